"""From milestone to continuity: one package takes a model from data to production and keeps it healthy there.

The names of a `project.py` are here: `Project`, `Objective`, `Guardrail`, `Gate`, `Monitoring`, `Alert`, `Window`, `expect`, the
triggers `drift`, `missed`, `concept`, `new_data`, `cron`, `all_of`, and the promotion rules `superior`, `non_inferior`,
`fresh`; and those of any program that logs what it tries: `start_run`, `log_metrics`, `log_params` and their like; and
`watch` for servers of others. They are read when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.elsewhere.client import watch
    from perenne.projects import (
        Alert,
        Blackout,
        Gate,
        Guardrail,
        Milestone,
        Monitoring,
        Objective,
        Outcome,
        Performance,
        Person,
        Project,
        Retention,
        Window,
        expect,
    )
    from perenne.projects import Concept as concept
    from perenne.projects import Cron as cron
    from perenne.projects import Drift as drift
    from perenne.projects import Labels as labelled
    from perenne.projects import Missed as missed
    from perenne.projects import NewData as new_data
    from perenne.projects import Sql as sql
    from perenne.projects.retraining import all_of, fresh, non_inferior, superior
    from perenne.tracking.client import (
        ActiveRun,
        AlreadyDone,
        active_run,
        end_run,
        flush,
        log_artifact,
        log_dict,
        log_figure,
        log_input,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        log_table,
        log_text,
        set_tag,
        set_tags,
        start_run,
    )

__version__ = "0.1.0"

_NAMES = {
    "Alert": "Alert",
    "Blackout": "Blackout",
    "Gate": "Gate",
    "Guardrail": "Guardrail",
    "Milestone": "Milestone",
    "Monitoring": "Monitoring",
    "Objective": "Objective",
    "Outcome": "Outcome",
    "Performance": "Performance",
    "Person": "Person",
    "Project": "Project",
    "Retention": "Retention",
    "Window": "Window",
    "concept": "Concept",
    "cron": "Cron",
    "drift": "Drift",
    "expect": "expect",
    "labelled": "Labels",
    "missed": "Missed",
    "new_data": "NewData",
    "sql": "Sql",
}
_OF_RETRAINING = frozenset({"all_of", "fresh", "non_inferior", "superior"})
_OF_RUNS = frozenset(
    {
        "ActiveRun",
        "AlreadyDone",
        "active_run",
        "end_run",
        "flush",
        "log_artifact",
        "log_dict",
        "log_figure",
        "log_input",
        "log_metric",
        "log_metrics",
        "log_param",
        "log_params",
        "log_table",
        "log_text",
        "set_tag",
        "set_tags",
        "start_run",
    }
)

__all__ = [
    "ActiveRun",
    "Alert",
    "AlreadyDone",
    "Blackout",
    "Gate",
    "Guardrail",
    "Milestone",
    "Monitoring",
    "Objective",
    "Outcome",
    "Performance",
    "Person",
    "Project",
    "Retention",
    "Window",
    "__version__",
    "active_run",
    "all_of",
    "concept",
    "cron",
    "drift",
    "end_run",
    "expect",
    "flush",
    "fresh",
    "labelled",
    "log_artifact",
    "log_dict",
    "log_figure",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "missed",
    "new_data",
    "non_inferior",
    "set_tag",
    "set_tags",
    "sql",
    "start_run",
    "superior",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name == "watch":
        return import_module("perenne.monitoring.elsewhere.client").watch
    if name in _OF_RUNS:
        return getattr(import_module("perenne.tracking.client"), name)
    if name in _OF_RETRAINING:
        return getattr(import_module("perenne.projects.retraining"), name)
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perenne.projects"), _NAMES[name])
