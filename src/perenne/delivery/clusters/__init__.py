"""Kubernetes: manifests of a deployment or of the control plane, clusters as code, and what is applied where.

`planning` makes a `model.Plan` from a deployment's record and what its gates measured (`sizing`); `manifests` turns it into
objects, `kustomize` into a base with overlays, `writing` into text. `infrastructure` has the files of clusters as code.
`target` is a cluster's API as this machine reaches it; `applying` looks, applies and waits there, `live` asks how it does,
`kinds` knows where each kind of object lies. `revisions` records each apply (`store`), and finds the way back.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.delivery.clusters import applying, live, revisions
    from perenne.delivery.clusters.model import Plan, Revision, RevisionState
    from perenne.delivery.clusters.revisions import ClusterChanged, latest

_MODULES = frozenset({"applying", "live", "revisions"})
_ROOMS = {
    "ClusterChanged": "revisions",
    "Plan": "model",
    "Revision": "model",
    "RevisionState": "model",
    "latest": "revisions",
}

__all__ = ["ClusterChanged", "Plan", "Revision", "RevisionState", "applying", "latest", "live", "revisions"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
