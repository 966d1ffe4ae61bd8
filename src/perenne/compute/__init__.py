"""Where work is carried out: one port, `Executor`, and its adapters for this process, threads, child processes and a Ray cluster.

`executors` has the ports and the two in-process adapters, `processes` the one with children, `worker` what such
a child runs, `ray` the one for clusters, `calls` what travels to another process and back, `opening` the choice by URL.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.compute.calls import WorkerDied, WorkTimeout, report
    from perenne.compute.executors import DistantExecutor, Executor, InlineExecutor, ThreadExecutor
    from perenne.compute.opening import open_executor
    from perenne.compute.processes import ProcessExecutor
    from perenne.compute.ray import RayExecutor

_ROOMS = {
    "DistantExecutor": "executors",
    "Executor": "executors",
    "InlineExecutor": "executors",
    "ProcessExecutor": "processes",
    "RayExecutor": "ray",
    "ThreadExecutor": "executors",
    "WorkTimeout": "calls",
    "WorkerDied": "calls",
    "open_executor": "opening",
    "report": "calls",
}

__all__ = [
    "DistantExecutor",
    "Executor",
    "InlineExecutor",
    "ProcessExecutor",
    "RayExecutor",
    "ThreadExecutor",
    "WorkTimeout",
    "WorkerDied",
    "open_executor",
    "report",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
