"""What the stand-in says of itself: versions, groups, kinds, and as much of OpenAPI as kubectl asks for."""

from typing import Any, NamedTuple

VERSION = "1.36"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


class Kind(NamedTuple):
    """A kind the stand-in serves."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


KINDS = (
    Kind("v1", "Namespace", "namespaces", namespaced=False),
    Kind("v1", "Pod", "pods"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "Service", "services"),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("batch/v1", "Job", "jobs"),
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("argoproj.io/v1alpha1", "Rollout", "rollouts"),
    Kind("argoproj.io/v1alpha1", "AnalysisTemplate", "analysistemplates"),
    Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices"),
    Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
)


def discovered(path: str) -> dict[str, Any] | None:
    """Answer a question of discovery; None if it is none."""
    groups = sorted({kind.api_version for kind in KINDS if kind.group})
    match path.strip("/").split("/"):
        case ["version"]:
            major, _, minor = VERSION.partition(".")
            return {"major": major, "minor": minor, "gitVersion": f"v{VERSION}.0", "platform": "linux/amd64"}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(version) for version in groups]}
        case ["api", "v1"]:
            return _resources("v1")
        case ["apis", group, version] if f"{group}/{version}" in groups:
            return _resources(f"{group}/{version}")
        case ["openapi", "v3"]:
            urls = ["api/v1", *(f"apis/{version}" for version in groups)]
            return {"paths": {url: {"serverRelativeURL": f"/openapi/v3/{url}?hash=1"} for url in urls}}
        case ["openapi", "v3", "api" | "apis", *version]:
            return _openapi("/".join(version))
    return None


def _group(version: str) -> dict[str, Any]:
    said = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.rpartition("/")[0], "versions": [said], "preferredVersion": said}


def _resources(version: str) -> dict[str, Any]:
    found = [
        {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind, "verbs": VERBS}
        for kind in KINDS
        if kind.api_version == version
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _openapi(version: str) -> dict[str, Any]:
    """Return what kubectl looks up: that patches of each kind know `fieldValidation` and `dryRun`."""
    group, _, short = version.rpartition("/")
    query = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldManager", "fieldValidation")
    ]
    paths = {}
    for kind in KINDS:
        if kind.api_version == version:
            root = f"/apis/{version}" if group else "/api/v1"
            where = (
                f"{root}/namespaces/{{namespace}}/{kind.plural}/{{name}}" if kind.namespaced else f"{root}/{kind.plural}/{{name}}"
            )
            about = {"group": group, "version": short, "kind": kind.kind}
            patch = {
                "parameters": query,
                "x-kubernetes-group-version-kind": about,
                "x-kubernetes-action": "patch",
                "responses": {},
            }
            paths[where] = {"patch": patch}
    return {"openapi": "3.0.0", "info": {"title": "stand-in", "version": VERSION}, "paths": paths, "components": {"schemas": {}}}
