"""Keeping what projects say, and telling what one leaves unsaid."""

from collections.abc import Collection, Iterable

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Denied, NotFound
from perenne.projects import store
from perenne.projects.declarations import Project
from perenne.projects.loading import LoadedProject
from perenne.projects.store import ProjectRecord
from perenne.storage.database import Transaction

_PROMISES = ("owner", "problem", "scope", "objectives", "guardrails", "policy", "window", "gates", "monitoring")


def record_project(
    tx: Transaction, actor: Principal, loaded: LoadedProject, source: str, bundle: str | None = None
) -> ProjectRecord:
    """Keep what a project's file says now, and the digest of its bundle; nothing is written if both are what they were.

    Code and data may change under whoever runs the project: automation takes them as they are. What the project promises (owner,
    objectives, guardrails, policy, window, gates, monitoring) only a person takes over who may edit it.

    Parameters
    ----------
    source : str
        The digest under which its file lies in the object store: put before, as no transaction waits for a distant store.

    Raises
    ------
    Denied
        If the promises changed, or the project is new, and the actor may not edit projects.
    """
    known = store.find(tx, loaded.project.name)
    if known is not None and (known.source, known.folder, known.gates) == (source, loaded.home, loaded.project.gates):
        return known if bundle in (None, known.bundle) else _keep_bundle(tx, actor, known, bundle)
    now = SystemClock().now()
    record = _record(loaded, source, bundle, created=known.created if known else now, updated=now)
    _require_right(actor, known, record)
    store.save(tx, record)
    audit.record(tx, actor, "project.state", "project", record.name, before=known, after=record)
    return record


def _require_right(actor: Principal, known: ProjectRecord | None, record: ProjectRecord) -> None:
    changed = [name for name in _PROMISES if known is not None and getattr(known, name) != getattr(record, name)]
    if known is not None and not changed:
        require(actor, Action.LOG)
    elif known is not None and not allowed(actor, Action.EDIT_PROJECT):
        raise Denied(
            f"{', '.join(changed)} of {record.name} changed since a person last ran it",
            code="project.promises",
            hint="`perenne run` by somebody who may edit the project takes it over",
        )
    else:
        require(actor, Action.EDIT_PROJECT)


def _keep_bundle(tx: Transaction, actor: Principal, known: ProjectRecord, bundle: str | None) -> ProjectRecord:
    """Keep what lies beside the project's file now, such as newer data: nothing that was stated changes, so anybody may."""
    record = msgspec.structs.replace(known, bundle=bundle)
    store.save(tx, record)
    audit.record(tx, actor, "project.bundle", "project", known.name, before=known.bundle, after=bundle)
    return record


def _record(loaded: LoadedProject, source: str, bundle: str | None, *, created: int, updated: int) -> ProjectRecord:
    project = loaded.project
    return ProjectRecord(
        name=project.name,
        problem=project.problem,
        owner=project.owner,
        scope=project.scope,
        objectives=project.objectives,
        guardrails=project.guardrails,
        plan=project.plan,
        policy=project.policy,
        window=project.window,
        folder=loaded.home,
        source=source,
        bundle=bundle,
        created=created,
        updated=updated,
        people=project.people,
        gates=project.gates,
        monitoring=project.monitoring,
    )


def get_project(tx: Transaction, name: str) -> ProjectRecord:
    """Read a project. Raises NotFound."""
    record = store.find(tx, name)
    if record is None:
        raise NotFound(
            f"project {name[:100]!r} is not known here",
            code="project.not_found",
            hint="`perenne run` in its folder makes it known",
        )
    return record


def list_projects(tx: Transaction, names: Iterable[str] | None = None) -> list[ProjectRecord]:
    """List projects by name: those that are named, or all."""
    return store.every(tx) if names is None else store.some(tx, names)


def project_names(tx: Transaction, *, after: str = "", limit: int | None = None, with_policy: bool = False) -> dict[str, int]:
    """List the names of projects in order, each with the time at which what it says last changed.

    Parameters
    ----------
    after : str
        The name after which to go on.
    with_policy : bool
        Whether to leave out those that have no retraining policy.
    """
    return store.names(tx, after, limit, with_policy)


def matching(tx: Transaction, text: str, limit: int, among: Collection[str] = ()) -> list[ProjectRecord]:
    """Find projects by a piece of their name: first those whose name begins so."""
    names = store.find_named(tx, text, limit, among)
    found = {record.name: record for record in store.some(tx, names)}
    return [found[name] for name in names]


class Gap(msgspec.Struct, frozen=True):
    """Something a project should say and does not; the heaviest first."""

    weight: int
    missing: str
    hint: str


def gaps(project: Project | ProjectRecord) -> list[Gap]:
    """Tell what a project leaves unsaid, in order of weight; of one that is only known by its record all but its model."""
    proved = all(milestone.evidence and milestone.ends is not None for milestone in project.plan)
    checks = [
        (not project.objectives, 10, "an objective", 'objectives=[Objective("roc_auc", at_least=0.7)]'),
        (isinstance(project, Project) and not project.models, 9, "a model", "@project.model(target=…, data=…)"),
        (not project.owner.strip(), 8, "an owner", 'owner="team or person"'),
        (not project.problem.strip(), 7, "the problem it solves", 'problem="…"'),
        (not project.guardrails, 6, "a guardrail", 'guardrails=[Guardrail("selection_rate_ratio", by="group", at_least=0.8)]'),
        (project.policy is None, 5, "a retraining policy", "project.retrain(on=[drift()])"),
        (not any(bound.metric.startswith("latency") for bound in project.objectives), 4, "a latency objective", "latency_p99_ms"),
        (not any(bound.by for bound in project.objectives), 3, "an objective by slice", 'Objective(…, by="column")'),
        (not project.people, 2, "who takes part", 'people=[Person("ada", "data scientist")]'),
        (not project.plan, 1, "a plan", 'plan=[Milestone("2026-01-31", "in service", evidence="deployed")]'),
        (not proved, 1, "what proves a milestone, and by which day", 'Milestone("2026-01-31", "…", evidence="deployed")'),
    ]
    return [Gap(weight, missing, hint) for absent, weight, missing, hint in checks if absent]
