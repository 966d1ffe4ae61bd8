"""The vocabulary in which a project is stated: purpose, data, model, what it must reach and what must not get worse.

`model` holds the words (Objective, Guardrail, triggers, policies, Window), `gates` those of delivery, `watching` those of
monitoring, `alerting` those of alerts, `declarations` the `Project` that collects what a `project.py` declares, `expect`
expectations of data, `loading` reads a project from its folder, `bundles` keeps the folder for workers elsewhere, `service` keeps
what it said and tells what it leaves unsaid, `plan` holds its milestones against what happened.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.projects import expect
    from perenne.projects.alerting import Alert, OwnBound
    from perenne.projects.bundles import fetch_bundle, put_bundle
    from perenne.projects.declarations import Dataset, Model, Project
    from perenne.projects.expect import Expectation
    from perenne.projects.gates import Gate
    from perenne.projects.loading import LoadedProject, load_project
    from perenne.projects.model import (
        Cron,
        Drift,
        Guardrail,
        Labels,
        Manual,
        Milestone,
        Missed,
        NewData,
        Objective,
        Person,
        PlanState,
        Proof,
        RetrainPolicy,
        Sql,
        Superior,
        Trigger,
        Window,
    )
    from perenne.projects.performing import Performance
    from perenne.projects.service import get_project, list_projects, project_names, record_project
    from perenne.projects.store import ProjectRecord
    from perenne.projects.watching import Monitoring, Retention

_ROOMS = {
    "Alert": "alerting",
    "Cron": "model",
    "Dataset": "declarations",
    "Drift": "model",
    "Expectation": "expect",
    "Gate": "gates",
    "Guardrail": "model",
    "Labels": "model",
    "LoadedProject": "loading",
    "Manual": "model",
    "Milestone": "model",
    "Missed": "model",
    "Model": "declarations",
    "Monitoring": "watching",
    "NewData": "model",
    "Objective": "model",
    "OwnBound": "alerting",
    "Person": "model",
    "PlanState": "model",
    "Project": "declarations",
    "ProjectRecord": "store",
    "Proof": "model",
    "Performance": "performing",
    "Retention": "watching",
    "RetrainPolicy": "model",
    "Sql": "model",
    "Superior": "model",
    "Trigger": "model",
    "Window": "model",
    "fetch_bundle": "bundles",
    "get_project": "service",
    "list_projects": "service",
    "project_names": "service",
    "load_project": "loading",
    "put_bundle": "bundles",
    "record_project": "service",
}

__all__ = [
    "Alert",
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
    "Model",
    "Monitoring",
    "NewData",
    "Objective",
    "OwnBound",
    "Performance",
    "Person",
    "PlanState",
    "Project",
    "ProjectRecord",
    "Proof",
    "Retention",
    "RetrainPolicy",
    "Sql",
    "Superior",
    "Trigger",
    "Window",
    "expect",
    "fetch_bundle",
    "get_project",
    "list_projects",
    "load_project",
    "project_names",
    "put_bundle",
    "record_project",
]


def __getattr__(name: str) -> Any:
    if name == "expect":
        return import_module("perenne.projects.expect")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
