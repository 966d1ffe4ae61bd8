"""The text of a proposed `project.py`. Whatever comes from the user's data is written as a Python literal, never as code."""

from collections.abc import Mapping, Sequence
from typing import Any

from perenne.core import json
from perenne.projects import Guardrail, Objective
from perenne.stats.columns import Task

_ESTIMATORS = {
    True: ("LogisticRegression(max_iter=1_000)", "HistGradientBoostingClassifier", "LogisticRegression"),
    False: ("Ridge()", "HistGradientBoostingRegressor", "Ridge"),
}


def render(facts: Mapping[str, Any], objectives: Sequence[Objective], guardrails: Sequence[Guardrail]) -> str:
    """Write a project.

    Parameters
    ----------
    facts : mapping
        name, source (path of the data), rows, target, time (column or None), task.
    objectives, guardrails : sequence
        The limits to state.
    """
    return "\n".join([*_head(facts, objectives, guardrails), *_dataset(facts), *_model(facts), *_FOOT])


_FOOT = ['project.retrain(on=[pn.drift(), pn.missed()], promote=pn.superior(alpha=0.05), cooldown="1d")', ""]


def _head(facts: Mapping[str, Any], objectives: Sequence[Objective], guardrails: Sequence[Guardrail]) -> list[str]:
    problem = f"Predict {facts['target']} from the other columns."
    return [
        f'"""A project of perenne, proposed from {facts["rows"]} rows of data. Read it, and make it yours."""',
        "",
        "from pathlib import Path",
        "",
        "import perenne as pn",
        "",
        f"DATA = Path(__file__).parent / {_literal(facts['source'])}",
        "",
        "project = pn.Project(",
        f"    {_literal(facts['name'])},",
        f"    problem={_literal(problem)},  # say whom it helps, and how",
        '    owner="you",',
        *_bounds(
            "objectives", objectives, "just outside the 95 % interval of what a first model reached on rows it had not seen"
        ),
        *_bounds("guardrails", guardrails, "what must not get worse: the weakest group, with a tenth of slack"),
        ")",
        "",
        "",
    ]


def _dataset(facts: Mapping[str, Any]) -> list[str]:
    time = f"time={_literal(facts['time'])}" if facts["time"] else ""
    return [
        f"@project.dataset({time})",
        "def rows():",
        '    """Return a table or a path; it is read anew in every round."""',
        "    return DATA",
        "",
        "",
    ]


def _model(facts: Mapping[str, Any]) -> list[str]:
    linear, boosting, linear_name = _ESTIMATORS[facts["task"] is not Task.REGRESSION]
    return [
        "SEARCH = [",
        '    {"kind": "linear"},',
        '    {"kind": "boosting", "learning_rate": 0.05, "max_iter": 150},',
        '    {"kind": "boosting", "learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 15},',
        "]",
        "",
        "",
        f"@project.model(target={_literal(facts['target'])}, data=rows, search=SEARCH)",
        "def model(X, y, params):",
        '    """Gradient boosting, and a linear model to beat. X is float32 with NaN where a number is missing."""',
        "    # Imported here, so that reading this file stays quick.",
        f"    from sklearn.ensemble import {boosting}",
        "    from sklearn.impute import SimpleImputer",
        f"    from sklearn.linear_model import {linear_name}",
        "    from sklearn.pipeline import make_pipeline",
        "    from sklearn.preprocessing import StandardScaler",
        "",
        '    kind = params.pop("kind")',
        '    if kind == "linear":',
        f"        return make_pipeline(SimpleImputer(), StandardScaler(), {linear})",
        f"    return {boosting}(min_samples_leaf=20, random_state=0, **params)",
        "",
        "",
    ]


def _literal(text: str) -> str:
    """Write text as a Python literal in double quotes: JSON's strings are Python's, whatever they hold."""
    return json.encode(text).decode()


def _bounds(name: str, bounds: Sequence[Objective | Guardrail], reason: str) -> list[str]:
    if not bounds:
        return []
    return [f"    # {reason}", f"    {name}=[", *(f"        {_bound(bound)}," for bound in bounds), "    ],"]


def _bound(bound: Objective | Guardrail) -> str:
    by = f", by={_literal(bound.by)}" if bound.by else ""
    side = "at_least" if bound.at_least is not None else "at_most"
    return f"pn.{type(bound).__name__}({_literal(bound.metric)}, {side}={bound.limit!r}{by})"
