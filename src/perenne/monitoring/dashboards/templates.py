"""What Elasticsearch is told of our data streams: the type of each field, and for how long documents are kept; pure.

The priority is above the 100 of the built-in template for `logs-*-*`. Features are `flattened`: one field for all.
"""

from typing import Any

PRIORITY = 200
POLICY, COMPONENT, TEMPLATE = "perenne-logs", "perenne-mappings", "perenne-logs"
PATTERNS = ("logs-perenne.*-*",)

TYPES: dict[str, str] = {
    "@timestamp": "date",
    "message": "match_only_text",
    "tags": "keyword",
    "labels": "object",
    "ecs.version": "keyword",
    "log.level": "keyword",
    "log.logger": "keyword",
    "event.ingested": "date",
    "event.start": "date",
    "event.end": "date",
    "event.kind": "keyword",
    "event.category": "keyword",
    "event.type": "keyword",
    "event.dataset": "keyword",
    "event.module": "keyword",
    "event.action": "keyword",
    "event.outcome": "keyword",
    "event.duration": "long",
    "event.severity": "long",
    "event.id": "keyword",
    "data_stream.type": "constant_keyword",
    "data_stream.dataset": "constant_keyword",
    "data_stream.namespace": "constant_keyword",
    "service.name": "keyword",
    "service.type": "keyword",
    "service.version": "keyword",
    "service.node.name": "keyword",
    "http.request.id": "keyword",
    "http.response.status_code": "long",
    "error.type": "keyword",
    "error.message": "match_only_text",
    "error.code": "keyword",
    "rule.id": "keyword",
    "rule.name": "keyword",
    "ml.model.name": "keyword",
    "ml.model.version": "keyword",
    "ml.model.variant": "keyword",
    "ml.row.count": "long",
    "ml.features": "flattened",
    "ml.prediction.value": "double",
    "ml.prediction.label": "keyword",
    "ml.prediction.score": "double",
    "ml.prediction.proba": "double",
    "ml.reason": "keyword",
    "ml.sample.rate": "double",
    "ml.alert.state": "keyword",
    "ml.alert.acknowledged_by": "keyword",
    "ml.alert.project": "keyword",
    "ml.drift.feature": "keyword",
    "ml.drift.features": "keyword",
    "ml.drift.statistic": "keyword",
    "ml.drift.value": "double",
    "ml.drift.threshold": "double",
    "ml.drift.p_value": "double",
    "ml.drift.baseline": "keyword",
    "ml.drift.impact": "double",
    "ml.drift.severity": "keyword",
    "ml.drift.window.start": "date",
    "ml.drift.window.end": "date",
}
"""Every field that we write, and its type."""

_LONG = {"ignore_above": 1024}


def lifecycle(hot: str = "30d", keep: str = "90d") -> dict[str, Any]:
    """Return the policy: a new index each month or 50 GB, removed after three months."""
    rollover = {"max_age": hot, "max_primary_shard_size": "50gb"}
    phases = {"hot": {"actions": {"rollover": rollover}}, "delete": {"min_age": keep, "actions": {"delete": {}}}}
    return {"policy": {"phases": phases, "_meta": _META}}


def component() -> dict[str, Any]:
    """Return the component template: what the fields are. What is not named is kept and not indexed."""
    properties: dict[str, Any] = {}
    for name, kind in TYPES.items():
        *path, last = name.split(".")
        here = properties
        for part in path:
            here = here.setdefault(part, {"properties": {}})["properties"]
        here[last] = _mapping(kind)
    return {"template": {"mappings": {"dynamic": False, "date_detection": False, "properties": properties}}, "_meta": _META}


def _mapping(kind: str) -> dict[str, Any]:
    if kind == "object":
        return {"type": "object", "dynamic": False}
    return {"type": kind, **(_LONG if kind in ("keyword", "flattened") else {})}


def index() -> dict[str, Any]:
    """Return the index template of the data streams."""
    return {
        "index_patterns": list(PATTERNS),
        "data_stream": {},
        "priority": PRIORITY,
        "composed_of": [COMPONENT],
        "template": {"settings": {"index.lifecycle.name": POLICY, "index.codec": "best_compression"}},
        "_meta": _META,
    }


_META = {"description": "perenne: predictions, drift and alerts", "managed_by": "perenne"}

FILES = {
    "lifecycle-policy.json": (f"PUT _ilm/policy/{POLICY}", lifecycle),
    "component-template.json": (f"PUT _component_template/{COMPONENT}", component),
    "index-template.json": (f"PUT _index_template/{TEMPLATE}", index),
}
"""By file: the request that it is the body of, in this order, and what makes it."""
