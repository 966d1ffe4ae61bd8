"""From a snapshot to a packaged, measured model: plan the rows, try candidates, build the winner, evaluate its compiled form.

`planning` decides columns, task and split; `rows` reads them; `fitting` tries one set of parameters; `building` makes the package
with its monitoring reference; `evaluation` measures what will be served, `slices` in groups, `contests` against a champion;
`impact` holds the model fixed and changes the data, `studies` record that (`impact_page` draws it); `reports` reads what was kept
of a round; `proposals` writes a project from a file of data.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.training.building import build
    from perenne.training.evaluation import compare_packages, evaluate, holdout
    from perenne.training.fitting import best_trial, fit_trial, search_metric
    from perenne.training.model import BoundCheck, Compared, Evaluation, Plan, Recipe, Report, SliceMetric, Terms, Trial
    from perenne.training.planning import make_plan, recipe_of
    from perenne.training.proposals import propose
    from perenne.training.reports import NOT_RECORDED, Told, report_of
    from perenne.training.studies import study_impact

_ROOMS = {
    "BoundCheck": "model",
    "Compared": "model",
    "Evaluation": "model",
    "Plan": "model",
    "Recipe": "model",
    "Report": "model",
    "SliceMetric": "model",
    "Terms": "model",
    "Trial": "model",
    "best_trial": "fitting",
    "build": "building",
    "compare_packages": "evaluation",
    "evaluate": "evaluation",
    "fit_trial": "fitting",
    "holdout": "evaluation",
    "make_plan": "planning",
    "recipe_of": "planning",
    "study_impact": "studies",
    "propose": "proposals",
    "NOT_RECORDED": "reports",
    "Told": "reports",
    "report_of": "reports",
    "search_metric": "fitting",
}

__all__ = [
    "NOT_RECORDED",
    "BoundCheck",
    "Compared",
    "Evaluation",
    "Plan",
    "Recipe",
    "Report",
    "SliceMetric",
    "Terms",
    "Told",
    "Trial",
    "best_trial",
    "build",
    "compare_packages",
    "evaluate",
    "fit_trial",
    "holdout",
    "make_plan",
    "propose",
    "recipe_of",
    "report_of",
    "search_metric",
    "study_impact",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
