"""`perenne up` in a cluster, for a team: the control plane, its workers, and the migration that runs before them.

State lies in PostgreSQL, by a URL from a Secret, and in the object store; what the pods keep may be lost, unless a claim is asked
for.
"""

import msgspec

from perenne.core.errors import Invalid
from perenne.delivery.clusters.manifests.access import GROUP
from perenne.delivery.clusters.manifests.marking import label_value
from perenne.delivery.clusters.manifests.pods import CONTAINER_SECURITY, POD_SECURITY, from_field, pull_secrets, reached_by
from perenne.delivery.clusters.manifests.settings import HOME, TLS_FOLDER
from perenne.delivery.clusters.model import MANAGER, Object, check_image, check_label, check_networks, check_quantity

PORT = 7373
OWNED_KINDS = (
    ("", ("services", "configmaps", "serviceaccounts")),
    (GROUP, ("roles", "rolebindings")),
    ("apps", ("deployments",)),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
    ("networking.k8s.io", ("networkpolicies",)),
)
"""What the control plane's account may change in its namespace: what a deployment consists of. Rights that it has not itself it
cannot give away: Kubernetes sees to that."""


class ControlPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be rendered of the control plane.

    Attributes
    ----------
    image : str
        An image with perenne and its extra `postgres` in it, by digest.
    allow_tag : bool
        Whether an image without digest is taken.
    name, namespace : str
        What it is called, and where it goes.
    database_secret : str
        The Secret whose key `url` is the URL of the database.
    objects : str
        URL of the object store.
    objects_secret : str
        The Secret whose keys are the environment by which the object store is reached; empty where the account itself may.
    claim : str
        Size of the volume kept for logs and spool; empty for none.
    workers : int
        Replicas of `perenne worker`.
    tls_secret, pull_secret, proxies, names : str, str, tuple of str, tuple of str
        As those of a `Plan`.
    labels, annotations : dict
        What pods and the ServiceAccount carry further: a cloud's workload identity is told so.
    """

    image: str
    allow_tag: bool = False
    name: str = "perenne"
    namespace: str = "perenne"
    database_secret: str = "perenne-database"  # noqa: S105
    objects: str
    objects_secret: str = ""
    claim: str = ""
    workers: int = 1
    tls_secret: str = ""
    pull_secret: str = ""
    proxies: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


def control_objects(plan: ControlPlan) -> list[Object]:
    """Return the objects of the control plane, in the order in which they are applied.

    Raises
    ------
    Invalid
        If the image has no digest, nothing keeps others from reading along, or the objects would lie in a pod.
    """
    _check(plan)
    made = [_account(plan), _role(plan), _binding(plan), _settings(plan)]
    made += [_claim(plan)] if plan.claim else []
    return [*made, _service(plan), _network_policy(plan), _migration(plan), _server(plan), _workers(plan)]


def _check(plan: ControlPlan) -> None:
    check_image(plan.image, plan.allow_tag)
    check_label(plan.name, "name")
    check_label(plan.namespace, "namespace")
    check_networks(plan.proxies)
    if plan.claim:
        check_quantity(plan.claim, "--claim")
    if not 0 <= plan.workers <= 1_000:
        raise Invalid(f"{plan.workers} workers cannot be", code="cluster.replicas", hint="a number from 0 to 1000")
    if bool(plan.tls_secret) == bool(plan.proxies):
        hint = "--tls-secret names a Secret of type kubernetes.io/tls; --proxy the network of an ingress; one of both"
        raise Invalid("a control plane that others reach needs TLS", code="cluster.tls", hint=hint)
    if not plan.objects or plan.objects.startswith("file:"):
        hint = "--objects s3://…, gs://… or az://…: several pods read them, and any pod may go"
        raise Invalid("the objects of a control plane cannot lie in a pod", code="cluster.objects", hint=hint)


def _part(plan: ControlPlan, part: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "perenne", "app.kubernetes.io/instance": plan.name, "app.kubernetes.io/component": part}


def _metadata(plan: ControlPlan, part: str, suffix: str = "") -> Object:
    version = plan.image.partition("@sha256:")[2][:12] or plan.image.rpartition(":")[2]
    labels = _part(plan, part) | {
        "app.kubernetes.io/version": label_value(version),
        "app.kubernetes.io/managed-by": MANAGER,
    }
    return {"name": f"{plan.name}{suffix}", "namespace": plan.namespace, "labels": labels}


def _account(plan: ControlPlan) -> Object:
    said = {"annotations": plan.annotations} if plan.annotations else {}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**_metadata(plan, "server"), **said}}


def _role(plan: ControlPlan) -> Object:
    """Return the Role by which `perenne deploy apply`, run in the control plane's pod, may change deployments beside it."""
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    rules = [{"apiGroups": [group], "resources": list(kinds), "verbs": verbs} for group, kinds in OWNED_KINDS]
    rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]})
    return {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": _metadata(plan, "server"), "rules": rules}


def _binding(plan: ControlPlan) -> Object:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(plan, "server"),
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": plan.name},
        "subjects": [{"kind": "ServiceAccount", "name": plan.name, "namespace": plan.namespace}],
    }


def _settings(plan: ControlPlan) -> Object:
    said = {
        "PERENNE_HOME": HOME,
        "PERENNE_HOST": "0.0.0.0",  # noqa: S104
        "PERENNE_PORT": str(PORT),
        "PERENNE_OBJECTS": plan.objects,
        "PERENNE_LOG": "json",
    }
    if plan.tls_secret:
        said |= {"PERENNE_TLS_CERT": f"{TLS_FOLDER}/tls.crt", "PERENNE_TLS_KEY": f"{TLS_FOLDER}/tls.key"}
    if plan.proxies:
        said["PERENNE_TRUSTED_PROXIES"] = ",".join(plan.proxies)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(plan, "server", "-settings"), "data": said}


def _claim(plan: ControlPlan) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": plan.claim}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _metadata(plan, "server", "-home"), "spec": spec}


def _service(plan: ControlPlan) -> Object:
    port = {"name": "http", "port": 443 if plan.tls_secret else 80, "targetPort": "http", "protocol": "TCP"}
    spec = {"type": "ClusterIP", "selector": _part(plan, "server"), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(plan, "server"), "spec": spec}


def _network_policy(plan: ControlPlan) -> Object:
    """Return the NetworkPolicy: in by the page's port only; out to wherever database, objects, webhooks and clusters are."""
    spec = {
        "podSelector": {"matchLabels": _part(plan, "server")},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http", "protocol": "TCP"}]}],
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": _metadata(plan, "server"), "spec": spec}


def _migration(plan: ControlPlan) -> Object:
    """Return the Job that brings the schema forward; a new image makes a new Job, for a Job cannot be changed."""
    mark = plan.image.partition("@sha256:")[2][:8] or label_value(plan.image.rpartition(":")[2]).lower()[:20]
    spec = {
        "backoffLimit": 3,
        "ttlSecondsAfterFinished": 86_400,
        "template": {
            "metadata": {"labels": {**plan.labels, **_part(plan, "migration")}},
            "spec": {"restartPolicy": "Never", **_pod(plan, ["migrate"], "migrate")},
        },
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _metadata(plan, "migration", f"-migrate-{mark}"), "spec": spec}


def _server(plan: ControlPlan) -> Object:
    pod = _pod(plan, ["up", "--no-worker", "--no-serve"], "server")
    served = pod["containers"][0]
    served["ports"] = [{"name": "http", "containerPort": PORT, "protocol": "TCP"}]
    served["startupProbe"] = {**_probe(plan, "/ready"), "periodSeconds": 2, "failureThreshold": 150}
    served["readinessProbe"] = {**_probe(plan, "/ready"), "periodSeconds": 5, "failureThreshold": 2}
    served["livenessProbe"] = {**_probe(plan, "/health"), "periodSeconds": 10, "failureThreshold": 6}
    return _deployment(plan, "server", "", 1, pod)


def _workers(plan: ControlPlan) -> Object:
    return _deployment(plan, "worker", "-worker", plan.workers, _pod(plan, ["worker", "--grace", "60s"], "worker"))


def _deployment(plan: ControlPlan, part: str, suffix: str, replicas: int, pod: Object) -> Object:
    """Return a Deployment. The server's is replaced, not doubled: its volume is held by one pod at a time."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": 5,
        "strategy": {"type": "Recreate"} if plan.claim and part == "server" else rolling,
        "selector": {"matchLabels": _part(plan, part)},
        "template": {"metadata": {"labels": {**plan.labels, **_part(plan, part)}}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(plan, part, suffix), "spec": spec}


def _pod(plan: ControlPlan, arguments: list[str], part: str) -> Object:
    kept: Object = {"name": "home", "emptyDir": {"sizeLimit": "8Gi"}}
    if plan.claim and part == "server":
        kept = {"name": "home", "persistentVolumeClaim": {"claimName": f"{plan.name}-home"}}
    pod: Object = {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": part == "server",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 120,
        "securityContext": POD_SECURITY,
        **pull_secrets(plan.pull_secret),
        "containers": [_container(plan, arguments, part)],
        "volumes": [kept, {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}}],
    }
    if plan.tls_secret and part == "server":
        pod["volumes"].append({"name": "tls", "secret": {"secretName": plan.tls_secret, "defaultMode": 0o440}})
    return pod


def _container(plan: ControlPlan, arguments: list[str], part: str) -> Object:
    sources: list[Object] = [{"configMapRef": {"name": f"{plan.name}-settings"}}]
    if plan.objects_secret:
        sources.append({"secretRef": {"name": plan.objects_secret}})
    mounts: list[Object] = [{"name": "home", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    if plan.tls_secret and part == "server":
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})
    database = {"secretKeyRef": {"name": plan.database_secret, "key": "url"}}
    return {
        "name": part,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent" if "@" in plan.image else "Always",
        "command": ["python", "-m", "perenne", *arguments],
        "envFrom": sources,
        "env": [{"name": "PERENNE_DATABASE", "valueFrom": database}, *_names(plan)],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }


def _names(plan: ControlPlan) -> list[Object]:
    names = [*plan.names, "$(POD_IP)", *reached_by(plan.name, plan.namespace)]
    return [from_field("POD_IP", "status.podIP"), {"name": "PERENNE_NAMES", "value": ",".join(names)}]


def _probe(plan: ControlPlan, path: str) -> Object:
    scheme = "HTTPS" if plan.tls_secret else "HTTP"
    headers = [{"name": "Host", "value": f"localhost:{PORT}"}]
    return {"httpGet": {"path": path, "port": "http", "scheme": scheme, "httpHeaders": headers}, "timeoutSeconds": 5}
