"""Who reaches the pods and whom they reach: the Service and the NetworkPolicy."""

from urllib.parse import urlsplit

from perenne.delivery.clusters.manifests.marking import metadata, selector
from perenne.delivery.clusters.model import Object, Plan


def service(plan: Plan) -> Object:
    """Return the Service: one name before all pods that are ready."""
    port = {"name": "http", "port": 443 if plan.tls_secret else 80, "targetPort": "http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan),
        "spec": {"type": "ClusterIP", "selector": selector(plan), "ports": [port]},
    }


def network_policy(plan: Plan) -> Object:
    """Return the NetworkPolicy: allowed namespaces come in; names are resolved, traces and events sent, that is all."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(plan),
        "spec": {
            "podSelector": {"matchLabels": selector(plan)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": _callers(plan), "ports": [{"port": "http", "protocol": "TCP"}]}],
            "egress": _egress(plan),
        },
    }


def _callers(plan: Plan) -> list[Object]:
    if "*" in plan.callers:
        return [{"namespaceSelector": {}}]
    named = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in plan.callers]
    return [{"podSelector": {}}, *named]


def _egress(plan: Plan) -> list[Object]:
    names: Object = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    ports = sorted({_port(url) for url in (plan.telemetry, plan.events) if url})
    return [names, {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}] if ports else [names]


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
