"""The ServiceMonitor, for clusters where the Prometheus operator decides what is scraped."""

from perenne.delivery.clusters.manifests.marking import metadata, selector
from perenne.delivery.clusters.manifests.pods import scheme
from perenne.delivery.clusters.model import Object, Plan


def service_monitor(plan: Plan) -> Object:
    """Return the ServiceMonitor. Where callers show tokens, its own lies in the Secret `<name>-scrape` under the key `token`."""
    endpoint: Object = {
        "port": "http",
        "path": "/metrics",
        "scheme": scheme(plan),
        "interval": "15s",
    }
    if plan.token_secret:
        endpoint["authorization"] = {"type": "Bearer", "credentials": {"name": f"{plan.name}-scrape", "key": "token"}}
    if plan.tls_secret:
        endpoint["tlsConfig"] = {
            "ca": {"secret": {"name": plan.tls_secret, "key": "ca.crt", "optional": True}},
            "serverName": plan.name,
        }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(plan),
        "spec": {"selector": {"matchLabels": selector(plan)}, "endpoints": [endpoint]},
    }
