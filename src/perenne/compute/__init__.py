"""Where work is carried out: one port, `Executor`, and its adapters for this process, its threads and child processes.

`executors` has the port and the two in-process adapters, `processes` the one with children that can be killed,
`worker` is what such a child runs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.compute.executors import Executor, InlineExecutor, ThreadExecutor
    from perenne.compute.processes import ProcessExecutor, WorkerDied, WorkTimeout
    from perenne.compute.worker import report

_ROOMS = {
    "Executor": "executors",
    "InlineExecutor": "executors",
    "ProcessExecutor": "processes",
    "ThreadExecutor": "executors",
    "WorkTimeout": "processes",
    "WorkerDied": "processes",
    "report": "worker",
}

__all__ = ["Executor", "InlineExecutor", "ProcessExecutor", "ThreadExecutor", "WorkTimeout", "WorkerDied", "report"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
