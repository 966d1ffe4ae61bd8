"""What is watched: windows of answers, drift, performance estimated and realised, and alerts.

One turn of the loop (`turns`): `intake` collects what observers left and `servers` hears what model servers say of themselves;
`realising` takes in the row log (`groups`) and labels (`labels` accepts them, `joining` finds their predictions, `measuring`
computes); `judge` compares windows with their reference and holds them against objectives and guardrails (`bounds`, `disparity`,
`operational`), and what it finds (`findings`, with the project's `own_rules`) moves the `alerts`, which `events` announce and
`alerting` tells people (`silencing` says when not; `origins` knows what versions have in common). `service`
says who is watched and how one deployment stands (`showing` in lines), `summary` how many do, `tallies` sums windows up for
others and `experiments` hold variants against each other; `replaying` judges windows of the past once more; `discarding` lets
go of objects that nothing refers to any more. The room `performance` follows how right answers are, before and after labels
come (`rightness`: its shapes; `estimating`: its job).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring import (
        alerting,
        discarding,
        elsewhere,
        events,
        labels,
        performance,
        replaying,
        service,
        summary,
        tallies,
        turns,
    )
    from perenne.monitoring.model import Alert, AlertLine, BoundState, WindowVerdict

_TYPES = ("Alert", "AlertLine", "BoundState", "WindowVerdict")
_WHOLE_ROOMS = (
    "alerting",
    "discarding",
    "elsewhere",
    "events",
    "labels",
    "performance",
    "replaying",
    "service",
    "summary",
    "tallies",
    "turns",
)

__all__ = ["Alert", "AlertLine", "BoundState", "WindowVerdict"]
__all__ += [
    "alerting",
    "discarding",
    "elsewhere",
    "events",
    "labels",
    "performance",
    "replaying",
    "service",
    "summary",
    "tallies",
    "turns",
]


def __getattr__(name: str) -> Any:
    if name in _WHOLE_ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _TYPES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)
