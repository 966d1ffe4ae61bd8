"""Runs: what was tried, with which parameters, on which code, data and environment, and what came out.

`model` holds the Structs, `provenance` captures code, environment and hardware, `service` starts and ends runs and logs to them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.tracking.model import Provenance, Run, RunState
    from perenne.tracking.provenance import capture
    from perenne.tracking.service import end_run, get_run, newest_failed, newest_runs, runs, start_run

_ROOMS = {
    "Provenance": "model",
    "Run": "model",
    "RunState": "model",
    "capture": "provenance",
    "end_run": "service",
    "get_run": "service",
    "newest_failed": "service",
    "newest_runs": "service",
    "runs": "service",
    "start_run": "service",
}

__all__ = ["Provenance", "Run", "RunState", "capture", "end_run", "get_run", "newest_failed", "newest_runs", "runs"]
__all__ += ["start_run"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
