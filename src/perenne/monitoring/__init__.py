"""What is watched: windows of answers, drift, performance estimated and realised, and alerts.

One turn of the loop: `intake` collects what observers left and `servers` hears what model servers say of themselves;
`realising` takes in the row log (`groups`) and labels (`labels` accepts them, `joining` finds their predictions, `measuring`
computes); `judge` compares windows with their reference and holds them against objectives and guardrails (`bounds`, `disparity`,
`operational`), and what it finds (`findings`) moves the `alerts`, which `events` announce and `notify` tells people. `service`
says who is watched and how one deployment stands (`showing` in lines), `summary` how many do, `tallies` sums windows up for
others and `experiments` hold variants against each other; `discarding` lets go of objects that nothing refers to any more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring import discarding, events, labels, notify, summary, tallies
    from perenne.monitoring.intake import collect
    from perenne.monitoring.judge import judge_due
    from perenne.monitoring.model import Alert, AlertLine, BoundState, WindowVerdict
    from perenne.monitoring.realising import realise
    from perenne.monitoring.service import deployment_health, drift_at, watch

_ROOMS = {
    "Alert": "model",
    "AlertLine": "model",
    "BoundState": "model",
    "WindowVerdict": "model",
    "collect": "intake",
    "deployment_health": "service",
    "drift_at": "service",
    "judge_due": "judge",
    "realise": "realising",
    "watch": "service",
}
_WHOLE_ROOMS = ("discarding", "events", "labels", "notify", "summary", "tallies")

__all__ = [
    "Alert",
    "AlertLine",
    "BoundState",
    "WindowVerdict",
    "collect",
    "deployment_health",
    "discarding",
    "drift_at",
    "events",
    "judge_due",
    "labels",
    "notify",
    "realise",
    "summary",
    "tallies",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _WHOLE_ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
