"""Decisions of people on versions."""

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Denied
from perenne.registry import store
from perenne.registry.events import VersionDecided
from perenne.registry.model import Decision, GateState, VersionState
from perenne.registry.service import dossier, get_version
from perenne.storage.database import Transaction
from perenne.storage.outbox import emit


def decide(tx: Transaction, actor: Principal, identity: str, *, approve: bool, reason: str = "") -> Decision:
    """Approve or reject a version; the decision holds for exactly the files it has.

    Raises
    ------
    Denied
        If the actor is no person, may not approve, or is not who must approve by the version's policy.
    Conflict
        If a required check has not passed: an approval cannot stand in for evidence. Or if it was decided already.
    """
    if actor.kind is not PrincipalKind.USER:
        raise Denied(
            f"{actor.name} is no person and may not decide", code="model.approver", hint="approve with the token of a person"
        )
    found = dossier(tx, identity)
    require(actor, Action.APPROVE_BUSINESS, found.version.project)
    if approve and not _is_asked(actor, found.version.policy.approve_by):
        raise Denied(
            f"{actor.name} is not who must approve {identity}",
            code="model.approver",
            hint=f"its project asks {found.version.policy.approve_by}",
        )
    if any(decision.tree == found.version.tree for decision in found.decisions):
        raise Conflict(f"{identity} was decided already", code="model.decided", hint=f"`perenne model show {identity}`")
    if approve and found.gate.state is GateState.CLOSED:
        raise Conflict(
            f"{identity} cannot be approved: {'; '.join(found.gate.reasons)}",
            code="model.gate",
            hint="mend the model, not the gate",
        )
    decision = Decision(identity, found.version.tree, approve, actor.name, actor.solo, reason, SystemClock().now())
    store.insert_decision(tx, decision)
    store.set_state(tx, identity, VersionState.APPROVED if approve else VersionState.REJECTED)
    action = "version.approve" if approve else "version.reject"
    audit.record(tx, actor, action, "version", identity, before=found.version.state.value, after=decision, reason=reason)
    emit(tx, VersionDecided(version=identity, model=found.version.model, approved=approve, approver=actor.name, reason=reason))
    return decision


def _is_asked(actor: Principal, approve_by: str) -> bool:
    """Tell whether the actor is meant: by name or role, one of several between commas, or because there is nobody else."""
    asked = {part.strip() for part in approve_by.split(",")} - {""}
    return not asked or actor.solo or actor.name in asked or not asked.isdisjoint(actor.roles)


def bar(tx: Transaction, actor: Principal, identity: str, *, reason: str) -> None:
    """Keep a version from ever being promoted again: what happens to one that was rolled back or stopped."""
    version = get_version(tx, identity)
    require(actor, Action.DEPLOY, version.project)
    before = version.state
    store.set_state(tx, identity, VersionState.BARRED)
    audit.record(
        tx, actor, "version.bar", "version", identity, before=before.value, after=VersionState.BARRED.value, reason=reason
    )
