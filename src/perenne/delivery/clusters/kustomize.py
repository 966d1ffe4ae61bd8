"""A base and its overlays for Kustomize: one file per object, and what differs from place to place beside it."""

import msgspec

from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.manifests.kserve import NAMES_POINTER, names
from perenne.delivery.clusters.model import Object, Plan, Shape, check_label
from perenne.delivery.clusters.writing import GENERATED, to_yaml

OVERLAYS = {"dev": (1, 1), "staging": (1, 3), "production": (0, 0)}
"""Each overlay: the least and most replicas; 0 for those of the plan."""

_GROUP = "kustomize.config.k8s.io/v1beta1"


def kustomization(plan: Plan) -> dict[str, str]:
    """Return the files of a base and its overlays, by their path.

    The base names no namespace; each overlay names its own: that of the plan in production, with `-dev` and `-staging` behind it
    elsewhere.
    """
    base = msgspec.structs.replace(plan, namespace="")
    files = {f"base/{_file(item)}": _text([item]) for item in objects(base)}
    listed = {"apiVersion": _GROUP, "kind": "Kustomization", "resources": [name.removeprefix("base/") for name in files]}
    files["base/kustomization.yaml"] = _text([listed])
    for overlay in OVERLAYS:
        files[f"overlays/{overlay}/kustomization.yaml"] = _text([_overlay(plan, overlay)])
    return files


def _file(item: Object) -> str:
    return f"{item['kind'].lower()}.yaml"


def _text(items: list[Object]) -> str:
    return f"{GENERATED}\n{to_yaml(items)}"


def _overlay(plan: Plan, overlay: str) -> Object:
    """Return the kustomization of an overlay; the image stands here too, so that a place may keep another one."""
    namespace = namespace_of(plan, overlay)
    reference, _, digest = plan.image.partition("@")
    made: Object = {"apiVersion": _GROUP, "kind": "Kustomization", "namespace": namespace, "resources": ["../../base"]}
    made["labels"] = [{"pairs": {"perenne/place": overlay}, "includeSelectors": False}]
    if digest:
        made["images"] = [{"name": reference, "digest": digest}]
    patches = [*_replicas(plan, overlay), *_reached(plan, namespace)]
    return made | ({"patches": patches} if patches else {})


def namespace_of(plan: Plan, overlay: str) -> str:
    """Return the namespace of an overlay. Raises Invalid if it gets too long."""
    base = plan.namespace or plan.name
    namespace = base if overlay == "production" else f"{base}-{overlay}"
    check_label(namespace, "namespace")
    return namespace


def _replicas(plan: Plan, overlay: str) -> list[Object]:
    least, most = OVERLAYS[overlay]
    if not most or (not plan.scales and plan.shape is not Shape.KSERVE):
        return []
    kind = "InferenceService" if plan.shape is Shape.KSERVE else "HorizontalPodAutoscaler"
    at = "/spec/predictor" if plan.shape is Shape.KSERVE else "/spec"
    return [_patch(kind, plan, {f"{at}/minReplicas": least, f"{at}/maxReplicas": most})]


def _reached(plan: Plan, namespace: str) -> list[Object]:
    if plan.shape is not Shape.KSERVE:
        return []
    return [_patch("InferenceService", plan, {NAMES_POINTER: names(plan, namespace)})]


def _patch(kind: str, plan: Plan, values: dict[str, object]) -> Object:
    changes = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    return {"target": {"kind": kind, "name": plan.name}, "patch": to_yaml([changes]).removeprefix("---\n")}  # type: ignore[list-item]
