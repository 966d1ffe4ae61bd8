"""Registering the versions that rounds make, and reading what is known about versions."""

from collections.abc import Iterable, Sequence

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound
from perenne.registry import guard, model_store, review_store, store, telling
from perenne.registry.events import VersionRegistered
from perenne.registry.model import Dossier, Evidence, GatePolicy, GateState, RegisteredModel, Version, VersionForm, VersionState
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.outbox import emit


def register(
    tx: Transaction,
    actor: Principal,
    *,
    model: str,
    project: str,
    run: str,
    tree: str,
    reference: str,
    snapshot: str,
    policy: GatePolicy,
    fallback: str | int | float | bool | None = None,
    evidence: Iterable[Evidence] = (),
) -> Version:
    """Make a version of a package together with its evidence, or return the one that has these very files already.

    A version comes whole or not at all: files, evidence, lineage, audit record and event are one transaction.
    """
    require(actor, Action.LOG)
    known = store.find_tree(tx, model, tree)
    if known is not None:
        return known
    now = SystemClock().now()
    _claim(tx, actor, model, project, now)
    number = store.next_number(tx, model)
    version = Version(
        f"{model}@{number}", model, number, project, run, tree, reference, snapshot,
        VersionState.CANDIDATE, policy, fallback, now, actor.name, updated=now,
    )  # fmt: skip
    facts = list(evidence)
    store.insert_version(tx, version, waiting=None)
    store.insert_evidence(tx, version, facts, run, version.created)
    for relation, kind, target in (
        ("made_by", Kind.RUN, run), ("trained_on", Kind.SNAPSHOT, snapshot), ("of", Kind.PROJECT, project),
    ):  # fmt: skip
        add_link(tx, (Kind.VERSION, version.id), relation, (kind, target))
    state = mark_waiting(tx, version)
    after = {"tree": tree, "run": run, "gate": state.value}
    audit.record(tx, actor, "version.register", "version", version.id, after=after)
    emit(tx, VersionRegistered(version=version.id, model=model))
    telling.version_created(tx, version, {})
    return version


def _claim(tx: Transaction, actor: Principal, name: str, project: str, now: int) -> None:
    """Make the model of a project's rounds, or take it over while it is empty. Raises Conflict if it is another's."""
    known = model_store.find(tx, name)
    if known is None:
        made = RegisteredModel(name, project, None, now, now, actor.name)
        model_store.insert(tx, made)
        telling.model_created(tx, made, {})
        return
    if known.prompt or (known.project != project and not store.has_project(tx, name, project) and store.all_ids(tx, name)):
        raise Conflict(
            f"{name} is {'a prompt' if known.prompt else f'a model of {known.project}'}",
            code="model.project",
            hint="give the project another name, or rename the model",
        )
    owner = known.project if store.all_ids(tx, name) else project
    model_store.change(tx, name, updated=now, project=owner)


def mark_waiting(tx: Transaction, version: Version) -> GateState:
    """Keep whether the gate of a version waits for a person, and return its state.

    What a round makes is meant to become champion; what a client registers waits only if somebody asks for a review of it.
    """
    (found,) = guard.gates(tx, [version])
    waits = found.state is GateState.WAITING and (
        version.form is VersionForm.PACKAGE or bool(review_store.open_of(tx, [version.id]))
    )
    store.set_waiting(tx, version.id, version.created if waits else None)
    return found.state


def get_version(tx: Transaction, identity: str) -> Version:
    """Read a version by `name@number`. Raises NotFound."""
    version = store.find_version(tx, identity)
    if version is None:
        raise NotFound(
            f"version {identity[:100]!r} does not exist", code="model.not_found", hint="`perenne model list` shows those that do"
        )
    return version


def dossier(tx: Transaction, identity: str) -> Dossier:
    """Read a version with its gate, evidence, decisions and aliases. Raises NotFound."""
    (found,) = dossiers(tx, [get_version(tx, identity)])
    return found


def dossiers(tx: Transaction, versions: Sequence[Version]) -> list[Dossier]:
    """Read what is known about each of some versions, in their order."""
    ids = [version.id for version in versions]
    evidence, decisions = store.list_evidence(tx, versions), store.list_decisions(tx, ids)
    aliases = store.list_aliases(tx, ids)
    return [
        Dossier(
            version,
            gate,
            tuple(evidence[version.id]),
            tuple(decisions[version.id]),
            tuple(aliases[version.id]),
        )
        for version, gate in zip(versions, guard.judged(tx, versions, evidence, decisions), strict=True)
    ]


def versions(tx: Transaction, model: str | None = None, *, limit: int = 50, before: str | None = None) -> list[Version]:
    """List versions, newest first.

    Parameters
    ----------
    before : str, optional
        The version after which to go on. Raises NotFound if there is none of that id.
    """
    return store.list_versions(tx, model, limit, None if before is None else get_version(tx, before))
