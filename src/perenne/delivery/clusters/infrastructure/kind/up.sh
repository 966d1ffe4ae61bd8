#!/usr/bin/env bash
# Makes a cluster on this machine, with a registry beside it and the metrics that autoscaling needs. Doing it again changes nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cluster=perenne
registry=perenne-registry
registry_port=${REGISTRY_PORT:-5001}
namespace=${NAMESPACE:-perenne}
metrics_server=${METRICS_SERVER:-https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.8.0/components.yaml}

for tool in kind kubectl docker; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done

if [ "$(docker inspect -f '{{.State.Running}}' "$registry" 2>/dev/null || true)" != true ]; then
  docker run -d --restart=always -p "127.0.0.1:${registry_port}:5000" --network bridge --name "$registry" registry:3
fi

if ! kind get clusters | grep -qx "$cluster"; then
  kind create cluster --config "$here/kind.yaml" --wait 120s
fi

for node in $(kind get nodes --name "$cluster"); do
  docker exec "$node" mkdir -p "/etc/containerd/certs.d/localhost:${registry_port}"
  printf '[host."http://%s:5000"]\n' "$registry" |
    docker exec -i "$node" cp /dev/stdin "/etc/containerd/certs.d/localhost:${registry_port}/hosts.toml"
done
if [ "$(docker inspect -f '{{json .NetworkSettings.Networks.kind}}' "$registry")" = null ]; then
  docker network connect kind "$registry"
fi

context="kind-$cluster"
kubectl --context "$context" apply -f "$metrics_server"
kubectl --context "$context" -n kube-system patch deployment metrics-server --type json \
  -p '[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--kubelet-insecure-tls"}]'
kubectl --context "$context" create namespace "$namespace" --dry-run=client -o yaml | kubectl --context "$context" apply -f -
kubectl --context "$context" label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted --overwrite

echo "push images to localhost:${registry_port}, then: perenne deploy apply NAME --cluster $context --namespace $namespace …"
