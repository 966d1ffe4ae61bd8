"""Runs: what was tried, with which parameters, on which code, data and environment, and what came out.

`model` holds the Structs, `provenance` captures code, environment and hardware, `service` starts and ends runs and logs to them,
`lost` closes those whose process died, `summary` answers for many runs at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.tracking import summary
    from perenne.tracking.lost import LEASE, close_lost_runs, hold_run
    from perenne.tracking.model import Provenance, Run, RunState
    from perenne.tracking.provenance import capture
    from perenne.tracking.service import (
        end_run,
        get_run,
        newest_failed,
        newest_runs,
        report_of,
        runs,
        start_run,
    )

_ROOMS = {
    "LEASE": "lost",
    "Provenance": "model",
    "Run": "model",
    "RunState": "model",
    "capture": "provenance",
    "close_lost_runs": "lost",
    "end_run": "service",
    "get_run": "service",
    "hold_run": "lost",
    "newest_failed": "service",
    "newest_runs": "service",
    "report_of": "service",
    "runs": "service",
    "start_run": "service",
}

__all__ = [
    "LEASE",
    "Provenance",
    "Run",
    "RunState",
    "capture",
    "close_lost_runs",
    "end_run",
    "get_run",
    "hold_run",
    "newest_failed",
    "newest_runs",
    "report_of",
    "runs",
    "start_run",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name == "summary":
        return import_module(f"{__name__}.summary")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
