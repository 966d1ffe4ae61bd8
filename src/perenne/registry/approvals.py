"""Evidence, and decisions of people on versions."""

from collections.abc import Iterable, Sequence

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, allowed, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.registry import guard, review_store, store
from perenne.registry.events import VersionDecided
from perenne.registry.model import (
    CHAMPION,
    OWN_POLICY,
    Decision,
    Dossier,
    Evidence,
    GateState,
    ReviewPolicy,
    Target,
    Version,
    VersionState,
)
from perenne.registry.service import dossier, get_version, mark_waiting
from perenne.storage.outbox import emit
from perenne.storage.transaction import Transaction


def add_evidence(tx: Transaction, actor: Principal, identity: str, items: Iterable[Evidence], *, produced_by: str) -> None:
    """Deposit facts about a version.

    Parameters
    ----------
    produced_by : str
        The run, episode or person that found them.
    """
    require(actor, Action.LOG)
    _deposit(tx, actor, identity, list(items), produced_by)


def testify(tx: Transaction, actor: Principal, identity: str, items: Iterable[Evidence]) -> None:
    """Deposit facts that a validator found out about a version, such as a check of a company's own.

    Raises
    ------
    Denied
        If the actor is no validator, or made the version.
    """
    version = get_version(tx, identity)
    require(actor, Action.APPROVE_TECHNICAL, version.project)
    if actor.name in authors(version) and not actor.solo:
        raise Denied(
            f"{actor.name} made {identity}",
            code="model.own",
            hint="evidence about it comes from its round, or from somebody else",
        )
    _deposit(tx, actor, identity, list(items), actor.name)


def _deposit(tx: Transaction, actor: Principal, identity: str, facts: list[Evidence], produced_by: str) -> None:
    version = get_version(tx, identity)
    store.insert_evidence(tx, version, facts, produced_by, SystemClock().now())
    mark_waiting(tx, version)
    after = {item.check: item.verdict.value + (f" (let go: {item.waived})" if item.waived else "") for item in facts}
    audit.record(tx, actor, "version.evidence", "version", identity, after=after, reason=produced_by)


def authors(version: Version) -> frozenset[str]:
    """Name who made a version: who registered it, and the person of its run."""
    return frozenset({version.created_by, version.author}) - {""}


def decide(
    tx: Transaction,
    actor: Principal,
    identity: str,
    *,
    approve: bool,
    reason: str = "",
    target: Target | None = None,
    review: str = "",
) -> Decision:
    """Approve or reject a version; the decision holds for exactly the files it has, and for the policies as they are now.

    Parameters
    ----------
    target : Target, optional
        The place it is asked for: the approval counts for the policies of that place only. For all places if not given.
    review : str
        The review it is made in.

    Raises
    ------
    Denied
        If the actor is no person, may not approve, made the version, or is not who must approve.
    Conflict
        If a required check has not passed: an approval cannot stand in for evidence. Or if it was decided already.
    """
    if actor.kind is not PrincipalKind.USER:
        raise Denied(
            f"{actor.name} is no person and may not decide", code="model.approver", hint="approve with the token of a person"
        )
    found = dossier(tx, identity)
    version = found.version
    if not sees(actor, version.project):
        raise NotFound(f"version {identity[:100]!r} does not exist", code="model.not_found", hint="it may lie elsewhere")
    demands = _demands(tx, version, target)
    _require_voice(actor, version, demands)
    counts = _counting(actor, version, demands) if approve else ()
    _check_open(actor, found, _missing(found, demands), counts, approve=approve)
    if approve:
        _check_approval(tx, actor, found, counts, demands, target)
    return _keep(tx, actor, found, approve=approve, reason=reason, counts=counts, review=review)


def _demands(tx: Transaction, version: Version, target: Target | None) -> list[ReviewPolicy]:
    """Return the policies an approval may count for: those of a place, or all that speak of the model."""
    stated = review_store.policies(tx)
    if target is not None:
        return guard.demands_of(stated, version.model, target)
    return [policy for policy in stated if policy.speaks_of(version.model)]


def _require_voice(actor: Principal, version: Version, demands: Sequence[ReviewPolicy]) -> None:
    """Go on only if the actor may decide at all: as an approver, or because a policy names a role or the actor."""
    if not any(policy.approvals and policy.approvers and is_asked(actor, policy.approvers) for policy in demands):
        require(actor, Action.APPROVE_BUSINESS, version.project)


def _missing(found: Dossier, demands: Sequence[ReviewPolicy]) -> frozenset[str]:
    """Return what still lacks an approval."""
    mine = [decision for decision in found.decisions if decision.tree == found.version.tree and decision.approved]
    lacks = {
        policy.digest
        for policy in demands
        if len({decision.approver for decision in mine if policy.digest in decision.policies}) < policy.approvals
    }
    if found.version.policy.approve_by and not any(OWN_POLICY in decision.policies for decision in mine):
        lacks.add(OWN_POLICY)
    return frozenset(lacks)


def _counting(actor: Principal, version: Version, demands: Sequence[ReviewPolicy]) -> tuple[str, ...]:
    """Return what an approval of the actor counts for."""
    asking = [policy for policy in demands if policy.approvals]
    asked = tuple(part.strip() for part in version.policy.approve_by.split(",") if part.strip())
    wanted = bool(asked) or not asking
    own = (OWN_POLICY,) if wanted and allowed(actor, Action.APPROVE_BUSINESS) and is_asked(actor, asked) else ()
    made = actor.name in authors(version) and not actor.solo
    return own + tuple(
        policy.digest
        for policy in asking
        if not (made and not policy.own) and _may(actor, policy) and is_asked(actor, policy.approvers)
    )


def _may(actor: Principal, policy: ReviewPolicy) -> bool:
    return bool(policy.approvers) or allowed(actor, Action.APPROVE_BUSINESS)


def is_asked(actor: Principal, approvers: Sequence[str]) -> bool:
    """Tell whether the actor is meant: by name or role, because nobody is named, or because there is nobody else."""
    asked = set(approvers)
    return not asked or actor.solo or actor.name in asked or not asked.isdisjoint(actor.roles)


def _check_open(actor: Principal, found: Dossier, missing: frozenset[str], counts: Sequence[str], *, approve: bool) -> None:
    """Go on only if there is something left to decide, and the actor has not said so already."""
    mine = [decision for decision in found.decisions if decision.tree == found.version.tree]
    rejected = any(not decision.approved for decision in mine)
    given = {name for decision in mine if decision.approver == actor.name for name in decision.policies}
    useful = missing.intersection(counts) - given
    said = not useful and (bool(counts) or not missing) if approve else not missing
    if rejected or (mine and said):
        raise Conflict(
            f"{found.version.id} was decided already",
            code="model.decided",
            hint="others have still to say yes" if missing and not rejected else f"`perenne model show {found.version.id}`",
        )


def _check_approval(
    tx: Transaction,
    actor: Principal,
    found: Dossier,
    counts: Sequence[str],
    demands: Sequence[ReviewPolicy],
    target: Target | None,
) -> None:
    identity = found.version.id
    if not counts:
        if actor.name in authors(found.version) and any(is_asked(actor, policy.approvers) for policy in demands):
            raise Denied(f"{actor.name} made {identity}", code="model.own", hint="somebody else's eyes are asked for")
        asked = ", ".join(filter(None, (found.version.policy.approve_by, *(", ".join(p.approvers) for p in demands))))
        raise Denied(
            f"{actor.name} is not who must approve {identity}", code="model.approver", hint=f"asked are: {asked or 'approvers'}"
        )
    (gate,) = guard.gates(tx, [found.version], target or CHAMPION)
    if gate.state is GateState.CLOSED:
        raise Conflict(
            f"{identity} cannot be approved: {'; '.join(gate.reasons)}", code="model.gate", hint="mend the model, not the gate"
        )


def _keep(
    tx: Transaction, actor: Principal, found: Dossier, *, approve: bool, reason: str, counts: Sequence[str], review: str
) -> Decision:
    version = found.version
    decision = Decision(
        version.id, version.tree, approve, actor.name, actor.solo, reason, SystemClock().now(), tuple(counts),
        tuple(sorted(role.value for role in actor.roles)), review,
    )  # fmt: skip
    store.insert_decision(tx, decision)
    state = mark_waiting(tx, version)
    settled = not approve or state is GateState.OPEN
    if settled:
        store.set_state(tx, version.id, VersionState.APPROVED if approve else VersionState.REJECTED)
    action = "version.approve" if approve else "version.reject"
    audit.record(tx, actor, action, "version", version.id, before=version.state.value, after=decision, reason=reason)
    if settled:
        emit(tx, VersionDecided(version=version.id, model=version.model, approved=approve, approver=actor.name, reason=reason))
    return decision


def bar(tx: Transaction, actor: Principal, identity: str, *, reason: str) -> None:
    """Keep a version from ever being promoted again: what happens to one that was rolled back or stopped."""
    version = get_version(tx, identity)
    require(actor, Action.DEPLOY, version.project)
    before = version.state
    store.set_state(tx, identity, VersionState.BARRED)
    audit.record(
        tx, actor, "version.bar", "version", identity, before=before.value, after=VersionState.BARRED.value, reason=reason
    )


def clear(tx: Transaction, actor: Principal, identity: str, *, reason: str) -> Version:
    """Take a bar away: the version is what its decisions say again. Only a person does that, and says why.

    Raises
    ------
    NotFound, Denied, Invalid, Conflict
        If there is no such version, the actor may not or is no person, gives no reason, or the version is not barred.
    """
    version = get_version(tx, identity)
    require(actor, Action.DEPLOY, version.project)
    if actor.kind is not PrincipalKind.USER:
        raise Denied(f"{actor.name} is no person", code="model.person", hint="a bar is for a person to take away")
    if not reason.strip():
        raise Invalid("clearing a version needs a reason", code="model.reason", hint="say why: --reason '…'")
    if version.state is not VersionState.BARRED:
        raise Conflict(f"{identity} is not barred", code="model.not_barred", hint=f"`perenne model show {identity}`")
    said = [decision.approved for decision in store.list_decisions(tx, [identity]).get(identity, [])]
    state = VersionState.CANDIDATE if not said else VersionState.APPROVED if all(said) else VersionState.REJECTED
    store.set_state(tx, identity, state)
    audit.record(tx, actor, "version.clear", "version", identity, before=version.state.value, after=state.value, reason=reason)
    return get_version(tx, identity)
