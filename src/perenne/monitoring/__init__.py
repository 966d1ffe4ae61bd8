"""What is watched: windows of answers, drift, performance estimated and realised, and alerts.

One turn of the loop: `intake` collects what observers left; `realising` takes in the row log (`groups`) and labels (`labels`
accepts them, `joining` finds their predictions, `measuring` computes); `judge` compares windows with their reference and holds
them against objectives and guardrails (`bounds`, `disparity`, `operational`), and what it finds (`findings`) moves the `alerts`,
which `events` announce and `notify` tells people. `service` says who is watched and how everything stands, `tallies` sums windows
up for others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.events import AlertsChanged, DriftFound, GuardrailBreached, ObjectiveMissed
    from perenne.monitoring.intake import collect
    from perenne.monitoring.judge import judge_due
    from perenne.monitoring.labels import LabelRow, submit_labels
    from perenne.monitoring.model import Alert, WindowVerdict
    from perenne.monitoring.notify import DELIVER, AlertDelivery, Delivery, channels_from
    from perenne.monitoring.realising import realise
    from perenne.monitoring.service import deployment_health, drift_at, open_alerts, watch
    from perenne.monitoring.tallies import RealisedPoint, labelled_rows, realised_series, shadow_report

_ROOMS = {
    "DELIVER": "notify",
    "Alert": "model",
    "AlertDelivery": "notify",
    "AlertsChanged": "events",
    "Delivery": "notify",
    "DriftFound": "events",
    "GuardrailBreached": "events",
    "LabelRow": "labels",
    "ObjectiveMissed": "events",
    "RealisedPoint": "tallies",
    "WindowVerdict": "model",
    "channels_from": "notify",
    "collect": "intake",
    "deployment_health": "service",
    "drift_at": "service",
    "judge_due": "judge",
    "labelled_rows": "tallies",
    "open_alerts": "service",
    "realise": "realising",
    "realised_series": "tallies",
    "shadow_report": "tallies",
    "submit_labels": "labels",
    "watch": "service",
}

__all__ = [
    "DELIVER",
    "Alert",
    "AlertDelivery",
    "AlertsChanged",
    "Delivery",
    "DriftFound",
    "GuardrailBreached",
    "LabelRow",
    "ObjectiveMissed",
    "RealisedPoint",
    "WindowVerdict",
    "channels_from",
    "collect",
    "deployment_health",
    "drift_at",
    "judge_due",
    "labelled_rows",
    "open_alerts",
    "realise",
    "realised_series",
    "shadow_report",
    "submit_labels",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
