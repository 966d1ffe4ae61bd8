#!/usr/bin/env bash
# Makes this machine a cluster of one node with k3s: for a site at the edge, or a single server. Needs root; doing it again changes nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
channel=${K3S_CHANNEL:-v1.35}
namespace=${NAMESPACE:-perenne}

if [ "$(id -u)" != 0 ]; then
  echo "run this as root" >&2
  exit 1
fi

# What protect-kernel-defaults asks for.
cat >/etc/sysctl.d/90-kubelet.conf <<'SYSCTL'
vm.panic_on_oom=0
vm.overcommit_memory=1
kernel.panic=10
kernel.panic_on_oops=1
SYSCTL
sysctl -q -p /etc/sysctl.d/90-kubelet.conf

install -D -m 0600 "$here/config.yaml" /etc/rancher/k3s/config.yaml
if ! command -v k3s >/dev/null; then
  installer=$(mktemp)
  trap 'rm -f "$installer"' EXIT
  curl -fsSL https://get.k3s.io -o "$installer"
  INSTALL_K3S_CHANNEL="$channel" sh "$installer"
fi

until k3s kubectl get node "$(hostname | tr '[:upper:]' '[:lower:]')" >/dev/null 2>&1; do
  sleep 1
done
k3s kubectl wait --for=condition=Ready node --all --timeout=180s
k3s kubectl create namespace "$namespace" --dry-run=client -o yaml | k3s kubectl apply -f -
k3s kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted --overwrite

echo "copy /etc/rancher/k3s/k3s.yaml to where you work, put the address of this machine in it, then:"
echo "perenne deploy apply NAME --kubeconfig k3s.yaml --cluster default --namespace $namespace …"
