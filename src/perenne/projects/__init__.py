"""The vocabulary in which a project is stated: purpose, data, model, what it must reach and what must not get worse.

`model` holds the words (Objective, Guardrail, Window), `retraining` and `blackouts` those of retraining, `gates` those of
delivery, `watching` those of monitoring, with `statistics`, `costs` and `outcomes`, `alerting` those of alerts, `declarations`
the `Project` that collects what a `project.py` declares, `expect` expectations of data, `loading` reads a project from its
folder, `bundles` keeps the folder for workers elsewhere, `service` keeps what it said and tells what it leaves unsaid, `plan`
holds its milestones against what happened, `wording` says a policy of retraining in sentences.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.projects import bundles, expect, wording
    from perenne.projects.alerting import Alert, OwnBound
    from perenne.projects.blackouts import Blackout
    from perenne.projects.declarations import Dataset, Model, Project
    from perenne.projects.expect import Expectation
    from perenne.projects.gates import Gate
    from perenne.projects.loading import LoadedProject, load_project
    from perenne.projects.model import (
        Guardrail,
        Labels,
        Milestone,
        Objective,
        Person,
        PlanState,
        Proof,
        Sql,
        Window,
    )
    from perenne.projects.outcomes import DECISION, Outcome, OutcomeKind
    from perenne.projects.performing import Performance
    from perenne.projects.retraining import (
        AllOf,
        Concept,
        Cron,
        Drift,
        Manual,
        Missed,
        Mode,
        NewData,
        Promotion,
        RetrainPolicy,
        Trigger,
    )
    from perenne.projects.service import get_project, list_projects, project_names, record_project
    from perenne.projects.store import ProjectRecord
    from perenne.projects.watching import BaselineKind, Monitoring, Retention

_ROOMS = {
    "Alert": "alerting",
    "AllOf": "retraining",
    "BaselineKind": "watching",
    "Blackout": "blackouts",
    "Concept": "retraining",
    "Cron": "retraining",
    "DECISION": "outcomes",
    "Dataset": "declarations",
    "Drift": "retraining",
    "Expectation": "expect",
    "Gate": "gates",
    "Guardrail": "model",
    "Labels": "model",
    "LoadedProject": "loading",
    "Manual": "retraining",
    "Milestone": "model",
    "Missed": "retraining",
    "Mode": "retraining",
    "Model": "declarations",
    "Monitoring": "watching",
    "NewData": "retraining",
    "Objective": "model",
    "Outcome": "outcomes",
    "OutcomeKind": "outcomes",
    "OwnBound": "alerting",
    "Person": "model",
    "PlanState": "model",
    "Project": "declarations",
    "ProjectRecord": "store",
    "Promotion": "retraining",
    "Proof": "model",
    "Performance": "performing",
    "Retention": "watching",
    "RetrainPolicy": "retraining",
    "Sql": "model",
    "Trigger": "retraining",
    "Window": "model",
    "get_project": "service",
    "list_projects": "service",
    "load_project": "loading",
    "project_names": "service",
    "record_project": "service",
}

__all__ = [
    "DECISION",
    "Alert",
    "AllOf",
    "BaselineKind",
    "Blackout",
    "Concept",
    "Cron",
    "Dataset",
    "Drift",
    "Expectation",
    "Gate",
    "Guardrail",
    "Labels",
    "LoadedProject",
    "Manual",
    "Milestone",
    "Missed",
    "Mode",
    "Model",
    "Monitoring",
    "NewData",
    "Objective",
    "Outcome",
    "OutcomeKind",
    "OwnBound",
    "Performance",
    "Person",
    "PlanState",
    "Project",
    "ProjectRecord",
    "Promotion",
    "Proof",
    "Retention",
    "RetrainPolicy",
    "Sql",
    "Trigger",
    "Window",
    "bundles",
    "expect",
    "get_project",
    "list_projects",
    "load_project",
    "project_names",
    "record_project",
    "wording",
]


def __getattr__(name: str) -> Any:
    if name in ("bundles", "expect", "wording"):
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
