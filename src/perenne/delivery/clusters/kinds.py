"""The kinds of object that perenne applies, where each lies in the API of a cluster, and what it says of how it does."""

from typing import Any, NamedTuple

from perenne.core.errors import Invalid
from perenne.delivery.clusters.model import Object


class Resource(NamedTuple):
    """Where a kind of object lies: its group and version, its kind, and its name in URLs."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """The group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def noun(self) -> str:
        """What `kubectl` calls it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the objects of a namespace, or of one."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


RESOURCES = (
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    Resource("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Resource("v1", "ConfigMap", "configmaps"),
    Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource("v1", "Service", "services"),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("argoproj.io/v1alpha1", "AnalysisTemplate", "analysistemplates"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("argoproj.io/v1alpha1", "Rollout", "rollouts"),
    Resource("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices"),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
)
"""In the order in which they are applied; they are removed the other way round."""

PODS = Resource("v1", "Pod", "pods")
_BY_KIND = {(item.api_version, item.kind): item for item in RESOURCES}


def resource_of(item: Object) -> Resource:
    """Return where an object lies. Raises Invalid for a kind that perenne does not apply."""
    found = _BY_KIND.get((item["apiVersion"], item["kind"]))
    if found is None:
        raise Invalid(
            f"{item['apiVersion']} {item['kind']} {item['metadata']['name']!r} is none of the kinds that are applied here",
            code="cluster.kind",
            hint="apply it with kubectl; Secrets above all are never kept by perenne",
        )
    return found


def named(item: Object) -> str:
    """Return how people call an object."""
    return f"{item['kind']} {item['metadata']['name']}"


class Progress(NamedTuple):
    """How far what runs pods has come: whether it is done, whether it has failed, and both in words."""

    done: bool
    failed: bool
    words: str


def progress_of(item: Object) -> Progress | None:
    """Read how far an object has come; None for a kind that has nothing to come to."""
    read = _PROGRESS.get(item["kind"])
    return None if read is None else read(item, item.get("status") or {})


def _deployment(item: Object, status: dict[str, Any]) -> Progress:
    wanted = (item.get("spec") or {}).get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    words = f"{updated} of {wanted} replicas are new, {available} available"
    if late := _condition(status, "Progressing", "False"):
        return Progress(False, True, f"{words}: {late}")
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 1)
    return Progress(seen and updated == wanted == available == status.get("replicas", 0), False, words)


def _rollout(item: Object, status: dict[str, Any]) -> Progress:
    phase = status.get("phase", "")
    seen = str(status.get("observedGeneration", "")) == str(item["metadata"].get("generation", 1))
    return Progress(
        seen and phase == "Healthy",
        seen and phase == "Degraded",
        f"{phase or 'not seen yet'} {status.get('message', '')}".strip(),
    )


def _inference_service(item: Object, status: dict[str, Any]) -> Progress:
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 1)
    ready: dict[str, Any] = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    return Progress(
        seen and ready.get("status") == "True",
        False,
        f"Ready is {ready.get('status', 'not said')} {ready.get('message', '')}".strip(),
    )


def _job(item: Object, status: dict[str, Any]) -> Progress:
    failed = _condition(status, "Failed", "True")
    return Progress(bool(status.get("succeeded")), bool(failed), failed or f"{status.get('succeeded', 0)} succeeded")


def _condition(status: dict[str, Any], kind: str, value: str) -> str:
    """Return what a condition says that has a value; empty if it has another."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind and condition.get("status") == value:
            return condition.get("message") or condition.get("reason") or kind
    return ""


_PROGRESS = {"Deployment": _deployment, "Rollout": _rollout, "InferenceService": _inference_service, "Job": _job}
