"""Drift and alerts as documents of Elastic Common Schema: names of ECS, and ours under `ml.`; pure."""

import hashlib

import msgspec

from perenne.core.clock import format_time
from perenne.formats import ecs
from perenne.formats.elastic import Document
from perenne.monitoring.alerting.messages import shown
from perenne.monitoring.model import Alert, Cause, WindowKey, WindowVerdict

DATASET = "perenne.drift"
STREAM = f"logs-{DATASET}-default"
MAX_NAME, MAX_TEXT = 1_000, 4_000
MOST_FEATURES = 100


def of_alert(alert: Alert, what: str, now: int, *, service: str = "", version: str = "") -> Document:
    """Write what happened to an alert; the same happening has the same id, however often it is told.

    Parameters
    ----------
    what : str
        `firing`, `continues`, `resolved` and so on.
    service, version : str
        Which program says so.
    """
    fields = {
        **_common("alert", now, service, version),
        "message": shown(f"{what}: {alert.summary}", MAX_TEXT),
        "event.id": alert.id,
        "event.action": what,
        "event.severity": alert.severity.level,
        "event.start": format_time(alert.since),
        "rule.id": shown(alert.rule, MAX_NAME),
        "rule.name": shown(alert.kind, MAX_NAME),
        "ml.alert.state": alert.state.value,
        "ml.alert.acknowledged_by": alert.acknowledged_by,
        "ml.alert.project": alert.project,
        "ml.drift.severity": alert.severity.value,
        "ml.drift.features": [shown(cause.feature, MAX_NAME) for cause in alert.causes],
        **_model(alert.deployment, alert.version),
    }
    if alert.ended is not None:
        fields["event.end"] = format_time(alert.ended)
    return Document(STREAM, f"{alert.id}-{what}-{alert.sent or now}", _known(fields))


def of_verdict(verdict: WindowVerdict, *, service: str = "", version: str = "") -> list[Document]:
    """Write what drifted in a window, a document for each feature; judged again, it is the same documents as before."""
    return [
        Document(STREAM, f"{key_of_window(verdict.key)}-{verdict.revision}-{number}", _drifted(verdict, cause, service, version))
        for number, cause in enumerate(verdict.causes[:MOST_FEATURES])
    ]


def key_of_window(key: WindowKey) -> str:
    """Return a window's id as a document's may be: short, whatever its deployment is called."""
    return hashlib.sha256(key.id.encode()).hexdigest()[:26]


def _drifted(verdict: WindowVerdict, cause: Cause, service: str, version: str) -> dict[str, object]:
    statistic, value = ("js2", cause.js2) if cause.js2 is not None else ("ks", cause.ks_d)
    end = verdict.key.end
    fields = {
        **_common("metric", end, service, version),
        "message": shown(f"{cause.feature}: {cause.sentence}", MAX_TEXT),
        "event.action": "drift",
        "event.start": format_time(verdict.span_start),
        "event.end": format_time(end),
        "ml.drift.feature": shown(cause.feature, MAX_NAME),
        "ml.drift.statistic": statistic,
        "ml.drift.value": value,
        "ml.drift.impact": cause.impact,
        "ml.drift.baseline": verdict.baseline,
        "ml.drift.severity": cause.state,
        "ml.drift.window.start": format_time(verdict.window_start),
        "ml.drift.window.end": format_time(end),
        "ml.row.count": verdict.rows,
        "ml.model.variant": verdict.variant,
        **_model(verdict.deployment, verdict.version),
    }
    return _known(fields)


def _common(kind: str, at: int, service: str, version: str) -> dict[str, object]:
    return {
        "@timestamp": format_time(at),
        "log.level": "warn" if kind == "alert" else "info",
        "ecs.version": ecs.VERSION,
        "log.logger": DATASET,
        "event.kind": kind,
        "event.category": ["api"],
        "event.type": ["info"],
        "event.dataset": DATASET,
        "event.module": "perenne",
        "data_stream.type": "logs",
        "data_stream.dataset": DATASET,
        "data_stream.namespace": "default",
        "service.type": service or "perenne",
        "service.version": version,
    }


def _model(deployment: str, version: str) -> dict[str, object]:
    model, _, number = version.rpartition("@")
    return {"service.name": deployment, "ml.model.name": model, "ml.model.version": number}


def _known(fields: dict[str, object]) -> dict[str, object]:
    """Leave out what is not known."""
    return {name: value for name, value in fields.items() if value is not None and value != "" and value != []}


class ToIndex(msgspec.Struct, frozen=True):
    """The payload of a job that sends documents: what happened to which alerts, and the window that it was found in."""

    changes: tuple[tuple[str, str], ...] = ()
    deployment: str = ""
    version: str = ""
    window_start: int = 0
