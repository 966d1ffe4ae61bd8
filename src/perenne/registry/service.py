"""Registering versions, taking evidence, asking the gate, moving aliases."""

from collections.abc import Iterable, Sequence

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound
from perenne.registry import store
from perenne.registry.events import VersionRegistered
from perenne.registry.model import Dossier, Evidence, Gate, GatePolicy, GateState, Version, VersionState, gate
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
    number = store.next_number(tx, model)
    version = Version(
        f"{model}@{number}", model, number, project, run, tree, reference, snapshot,
        VersionState.CANDIDATE, policy, fallback, SystemClock().now(), actor.name,
    )  # fmt: skip
    facts = list(evidence)
    state = gate(version, facts, ()).state
    store.insert_version(tx, version, waiting=version.created if state is GateState.WAITING else None)
    store.insert_evidence(tx, version, facts, run, version.created)
    for relation, kind, target in (
        ("made_by", Kind.RUN, run), ("trained_on", Kind.SNAPSHOT, snapshot), ("of", Kind.PROJECT, project),
    ):  # fmt: skip
        add_link(tx, (Kind.VERSION, version.id), relation, (kind, target))
    after = {"tree": tree, "run": run, "gate": state.value}
    audit.record(tx, actor, "version.register", "version", version.id, after=after)
    emit(tx, VersionRegistered(version=version.id, model=model))
    return version


def add_evidence(tx: Transaction, actor: Principal, identity: str, items: Iterable[Evidence], *, produced_by: str) -> None:
    """Deposit facts about a version.

    Parameters
    ----------
    produced_by : str
        The run, episode or person that found them.
    """
    require(actor, Action.LOG)
    version, facts = get_version(tx, identity), list(items)
    store.insert_evidence(tx, version, facts, produced_by, SystemClock().now())
    waits = dossier(tx, identity).gate.state is GateState.WAITING
    store.set_waiting(tx, identity, version.created if waits else None)
    after = {item.check: item.verdict.value for item in facts}
    audit.record(tx, actor, "version.evidence", "version", identity, after=after, reason=produced_by)


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
            gate(version, evidence[version.id], decisions[version.id]),
            tuple(evidence[version.id]),
            tuple(decisions[version.id]),
            tuple(aliases[version.id]),
        )
        for version in versions
    ]


def require_deployable(tx: Transaction, identity: str) -> Version:
    """Return a version whose gate is open.

    Raises
    ------
    Conflict
        If the gate is closed or waits for somebody; the message gives every reason.
    """
    found = dossier(tx, identity)
    if found.gate.state is not GateState.OPEN:
        raise Conflict(
            f"the gate of {identity} is {found.gate.state.value}: {'; '.join(found.gate.reasons)}",
            code="model.gate",
            hint=_hint(found.gate, identity),
        )
    return found.version


def _hint(state: Gate, identity: str) -> str:
    if state.state is GateState.WAITING:
        return f"`perenne model approve {identity}` or `perenne model reject {identity}`"
    return f"`perenne model show {identity}` has the evidence"


def set_alias(tx: Transaction, actor: Principal, model: str, name: str, identity: str, *, reason: str = "") -> None:
    """Point an alias to a version of the model whose gate is open.

    Raises
    ------
    Conflict
        If the gate is not open, or the version belongs to another model.
    """
    require(actor, Action.DEPLOY)
    version = require_deployable(tx, identity)
    if version.model != model:
        raise Conflict(
            f"{identity} is not a version of {model}", code="model.alias", hint="`perenne model list NAME` shows its versions"
        )
    before = store.find_alias(tx, model, name)
    if before != identity:
        store.move_alias(tx, model, name, identity, SystemClock().now())
        audit.record(tx, actor, "alias.move", "alias", f"{model}/{name}", before=before, after=identity, reason=reason)


def aliased(tx: Transaction, model: str, name: str) -> Version | None:
    """Return the version an alias points to, if there is one."""
    identity = store.find_alias(tx, model, name)
    return None if identity is None else store.find_version(tx, identity)


def versions(tx: Transaction, model: str | None = None, *, limit: int = 50, before: str | None = None) -> list[Version]:
    """List versions, newest first.

    Parameters
    ----------
    before : str, optional
        The version after which to go on. Raises NotFound if there is none of that id.
    """
    return store.list_versions(tx, model, limit, None if before is None else get_version(tx, before))
