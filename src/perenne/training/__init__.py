"""From a snapshot to a packaged, measured model: plan the rows, try candidates, build the winner, evaluate its compiled form.

`planning` decides columns, task and split; `rows` reads them; `fitting` tries one set of parameters; `building` makes the package
with its monitoring reference; `evaluation` measures what will be served; `proposals` writes a project from a file of data.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.training.building import build
    from perenne.training.evaluation import evaluate
    from perenne.training.fitting import fit_trial
    from perenne.training.model import BoundCheck, Evaluation, Plan, Trial
    from perenne.training.planning import make_plan
    from perenne.training.proposals import propose

_ROOMS = {
    "BoundCheck": "model",
    "Evaluation": "model",
    "Plan": "model",
    "Trial": "model",
    "build": "building",
    "evaluate": "evaluation",
    "fit_trial": "fitting",
    "make_plan": "planning",
    "propose": "proposals",
}

__all__ = ["BoundCheck", "Evaluation", "Plan", "Trial", "build", "evaluate", "fit_trial", "make_plan", "propose"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
