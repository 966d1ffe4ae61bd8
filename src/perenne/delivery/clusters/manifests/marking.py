"""What every object carries: its name, its namespace, and the labels by which it is found again."""

import re

from perenne.delivery.clusters.model import MANAGER, Object, Plan

DEPLOYMENT = "perenne/deployment"
VERSION = "perenne/version"
OWNER = "perenne/owner"
REVISION = "perenne/revision"
MANIFESTS = "perenne/manifests"
SIZING = "perenne/sizing"
SETTINGS = "perenne/settings"
_FOR_LABELS = re.compile(r"[^A-Za-z0-9._-]+")


def selector(plan: Plan) -> dict[str, str]:
    """Return the labels by which the pods of a plan are chosen: those that never change."""
    return {"app.kubernetes.io/name": "perenne-model-server", "app.kubernetes.io/instance": plan.name}


def labels(plan: Plan) -> dict[str, str]:
    """Return the labels of every object of a plan."""
    own = {
        **selector(plan),
        "app.kubernetes.io/version": label_value(plan.version),
        "app.kubernetes.io/part-of": label_value(plan.project),
        "app.kubernetes.io/managed-by": MANAGER,
        OWNER: plan.name,
    }
    return {**plan.labels, **own}


def metadata(plan: Plan, name: str = "", **annotations: str) -> Object:
    """Return the metadata of an object; `name` is put behind that of the plan."""
    placed = {"namespace": plan.namespace} if plan.namespace else {}
    said = {
        **plan.annotations,
        DEPLOYMENT: plan.deployment,
        VERSION: plan.version,
        **annotations,
    }
    return {"name": f"{plan.name}{name and '-' + name}", **placed, "labels": labels(plan), "annotations": said}


def label_value(text: str) -> str:
    """Return the nearest to a text that a label may hold.

    >>> label_value("churn@3"), label_value("-"), len(label_value("x" * 100))
    ('churn-3', '', 63)
    """
    return _FOR_LABELS.sub("-", text)[:63].strip("-._")
