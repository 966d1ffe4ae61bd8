"""Runs: what was tried, with which parameters, on which code, data and environment, and what came out.

`service` starts, ends, finds and deletes runs, perenne's own and those of clients, and closes those whose process died;
`experiments` are the names under which they are compared. `logs` is the hot path: points of metrics, parameters, tags, inputs;
`history` reads the points again, whole or thinned for a chart, and `sealing` makes compressed chunks of them. `models` are those
that clients logged, `search` finds runs, experiments and models by filters, `summary` answers for many runs at once. `artifacts`
are the files of runs, `bringing` takes in runs from elsewhere. `client` is what programs log with.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.tracking import (
        artifacts,
        bringing,
        errors,
        experiments,
        history,
        logs,
        models,
        sealing,
        search,
        service,
        summary,
    )
    from perenne.tracking.events import Removed
    from perenne.tracking.model import (
        Experiment,
        LoggedModel,
        LoggedRun,
        MadeModel,
        Metric,
        Param,
        Provenance,
        Run,
        RunState,
        Tag,
        UsedDataset,
    )

_MODULES = frozenset(
    {"artifacts", "bringing", "errors", "experiments", "history", "logs", "models", "sealing", "search", "service", "summary"}
)
_ROOMS = {
    "Experiment": "model",
    "LoggedModel": "model",
    "LoggedRun": "model",
    "MadeModel": "model",
    "Metric": "model",
    "Param": "model",
    "Provenance": "model",
    "Removed": "events",
    "Run": "model",
    "RunState": "model",
    "Tag": "model",
    "UsedDataset": "model",
}

__all__ = [
    "Experiment",
    "LoggedModel",
    "LoggedRun",
    "MadeModel",
    "Metric",
    "Param",
    "Provenance",
    "Removed",
    "Run",
    "RunState",
    "Tag",
    "UsedDataset",
    "artifacts",
    "bringing",
    "errors",
    "experiments",
    "history",
    "logs",
    "models",
    "sealing",
    "search",
    "service",
    "summary",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
