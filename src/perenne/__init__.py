"""From milestone to continuity: one package takes a model from data to production and keeps it healthy there.

The names of a `project.py` are here: `Project`, `Objective`, `Guardrail`, `Window`, `expect`, the triggers `drift`, `missed`,
`new_data`, `cron`, and the promotion rule `superior`. They are read when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.projects import Cron as cron
    from perenne.projects import Drift as drift
    from perenne.projects import Guardrail, Milestone, Objective, Person, Project, Window, expect
    from perenne.projects import Missed as missed
    from perenne.projects import NewData as new_data
    from perenne.projects import Superior as superior

__version__ = "0.1.0"

_NAMES = {
    "Guardrail": "Guardrail",
    "Milestone": "Milestone",
    "Objective": "Objective",
    "Person": "Person",
    "Project": "Project",
    "Window": "Window",
    "cron": "Cron",
    "drift": "Drift",
    "expect": "expect",
    "missed": "Missed",
    "new_data": "NewData",
    "superior": "Superior",
}

__all__ = [
    "Guardrail",
    "Milestone",
    "Objective",
    "Person",
    "Project",
    "Window",
    "__version__",
    "cron",
    "drift",
    "expect",
    "missed",
    "new_data",
    "superior",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perenne.projects"), _NAMES[name])
