"""The ConfigMap: what a model server is told by its environment. Nothing secret goes here."""

import hashlib
import posixpath

from perenne.core import json
from perenne.delivery.clusters.manifests.marking import metadata
from perenne.delivery.clusters.model import LEAVE_SECONDS, Object, Plan

HOME = "/var/lib/perenne"
TLS_FOLDER = "/etc/perenne/tls"
TOKEN_FOLDER = "/etc/perenne/tokens"  # noqa: S105
TOKEN_FILE = "tokens.json"  # noqa: S105


def settings(plan: Plan) -> dict[str, str]:
    """Return the environment of the model server that is the same in every pod."""
    said = {
        "PERENNE_HOME": HOME,
        "PERENNE_SERVE_PORT": str(plan.port),
        "PERENNE_WORKERS": str(plan.workers),
        "PERENNE_DRAIN": str(LEAVE_SECONDS),
        "PERENNE_LOG": "json",
        "OMP_NUM_THREADS": "1",
    }
    if plan.tls_secret:
        said |= {"PERENNE_TLS_CERT": f"{TLS_FOLDER}/tls.crt", "PERENNE_TLS_KEY": f"{TLS_FOLDER}/tls.key"}
    if plan.token_secret:
        said["PERENNE_TOKENS"] = posixpath.join(TOKEN_FOLDER, TOKEN_FILE)
    if plan.proxies:
        said["PERENNE_TRUSTED_PROXIES"] = ",".join(plan.proxies)
    if plan.telemetry:
        said |= {"OTEL_EXPORTER_OTLP_ENDPOINT": plan.telemetry, "OTEL_SERVICE_NAME": f"perenne-{plan.name}"}
    return {**said, **plan.environment}


def config_map(plan: Plan) -> Object:
    """Return the ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(plan, "settings"), "data": settings(plan)}


def settings_digest(plan: Plan) -> str:
    """Return a mark that differs when the settings do, so that pods are replaced when they change."""
    return hashlib.sha256(json.canonical(settings(plan))).hexdigest()[:16]
