"""The pods of a model server: one container that may do nothing but answer, with its probes, its limits and its way out."""

from perenne.delivery.clusters.manifests.marking import SETTINGS, labels, selector
from perenne.delivery.clusters.manifests.settings import HOME, TLS_FOLDER, TOKEN_FILE, TOKEN_FOLDER, settings_digest
from perenne.delivery.clusters.model import DRAIN_SECONDS, LEAVE_SECONDS, Object, Plan

USER = 65_532
GRACE_SECONDS = LEAVE_SECONDS + DRAIN_SECONDS + 15
READY, LIVE = "/v2/health/ready", "/v2/health/live"
CONTAINER_SECURITY: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
POD_SECURITY: Object = {
    "fsGroup": USER,
    "runAsGroup": USER,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_WRITTEN = {"home": ("2Gi", HOME), "tmp": ("256Mi", "/tmp")}  # noqa: S108
"""Where a model server writes, and how much of it a pod may keep."""


def pod_template(plan: Plan) -> Object:
    """Return the template of the pods."""
    annotations = {
        SETTINGS: settings_digest(plan),
        "prometheus.io/scrape": "true",
        "prometheus.io/scheme": scheme(plan),
        "prometheus.io/port": str(plan.port),
        "prometheus.io/path": "/metrics",
    }
    return {"metadata": {"labels": labels(plan), "annotations": annotations}, "spec": pod_spec(plan)}


def pod_spec(plan: Plan) -> Object:
    """Return the specification of a pod."""
    return {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": POD_SECURITY,
        "topologySpreadConstraints": [_spread(plan, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")],
        **pull_secrets(plan.pull_secret),
        "containers": [container(plan, "server")],
        "volumes": volumes(plan),
    }


def pull_secrets(name: str) -> Object:
    """Return what pulls images, if that needs a secret."""
    return {"imagePullSecrets": [{"name": name}]} if name else {}


def container(plan: Plan, name: str) -> Object:
    """Return the container that answers."""
    sizes = plan.sizes
    return {
        "name": name,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent" if "@" in plan.image else "Always",
        "ports": [{"name": "http", "containerPort": plan.port, "protocol": "TCP"}],
        "envFrom": [{"configMapRef": {"name": f"{plan.name}-settings"}}, *_secrets(plan)],
        "env": _environment(plan),
        "resources": {
            "requests": {"cpu": sizes.cpu, "memory": sizes.memory, "ephemeral-storage": "64Mi"},
            "limits": {"cpu": sizes.cpu_limit, "memory": sizes.memory_limit, "ephemeral-storage": "3Gi"},
        },
        "startupProbe": {**probe(plan, READY), "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**probe(plan, READY), "periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**probe(plan, LIVE), "periodSeconds": 10, "failureThreshold": 6},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": _mounts(plan),
    }


def probe(plan: Plan, path: str) -> Object:
    """Return a probe that asks by a name which the server always answers to, however the pod is addressed."""
    asked = {
        "path": path,
        "port": "http",
        "scheme": scheme(plan).upper(),
        "httpHeaders": [{"name": "Host", "value": f"localhost:{plan.port}"}],
    }
    return {"httpGet": asked, "timeoutSeconds": 2}


def scheme(plan: Plan) -> str:
    """Return what the server itself speaks: a proxy before it speaks TLS in its place."""
    return "https" if plan.tls_secret else "http"


def volumes(plan: Plan) -> list[Object]:
    """Return the volumes: what is written, and the secrets."""
    made: list[Object] = [{"name": name, "emptyDir": {"sizeLimit": size}} for name, (size, _) in _WRITTEN.items()]
    if plan.tls_secret:
        made.append({"name": "tls", "secret": {"secretName": plan.tls_secret, "defaultMode": 0o440}})
    if plan.token_secret:
        items = [{"key": TOKEN_FILE, "path": TOKEN_FILE}]
        made.append({"name": "tokens", "secret": {"secretName": plan.token_secret, "defaultMode": 0o440, "items": items}})
    return made


def _mounts(plan: Plan) -> list[Object]:
    mounts: list[Object] = [{"name": name, "mountPath": place} for name, (_, place) in _WRITTEN.items()]
    if plan.tls_secret:
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})
    if plan.token_secret:
        mounts.append({"name": "tokens", "mountPath": TOKEN_FOLDER, "readOnly": True})
    return mounts


def _secrets(plan: Plan) -> list[Object]:
    return [{"secretRef": {"name": plan.env_secret}}] if plan.env_secret else []


def _environment(plan: Plan) -> list[Object]:
    """Return the names by which it is reached, which end in its namespace; its own address a pod knows by itself."""
    names = [*reached_by(plan.name, "$(POD_NAMESPACE)"), *plan.names]
    return [
        from_field("POD_NAMESPACE", "metadata.namespace"),
        {"name": "PERENNE_NAMES", "value": ",".join(names)},
    ]


def reached_by(service: str, namespace: str) -> list[str]:
    """Return the names by which a Service is reached from within the cluster."""
    return [service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]


def from_field(name: str, path: str) -> Object:
    """Return an environment variable that says something of the pod itself."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _spread(plan: Plan, key: str) -> Object:
    chosen = {"matchLabels": selector(plan)}
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": chosen}
