"""Reviews: somebody asks that a version may take a place, others look at it, and say yes or no."""

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.registry import approvals, guard, naming, placing, review_store
from perenne.registry.model import Gate, GateState, Target, Version
from perenne.registry.review_store import Review, ReviewState
from perenne.registry.service import get_version, mark_waiting
from perenne.storage.transaction import Transaction

ROWS = 200


def target_of(text: str) -> Target:
    """Read the place that is asked for: ``alias:champion``, ``stage:Production``, or the name alone.

    Raises
    ------
    Invalid
        If it is no alias and no stage.

    >>> str(target_of("production")), str(target_of("champion")), str(target_of("alias:staging"))
    ('stage Production', 'alias champion', 'alias staging')
    """
    kind, colon, name = text.partition(":")
    if not colon:
        kind, name = ("stage" if text.lower() in ("staging", "production", "archived") else "alias"), text
    if kind == "stage":
        return Target(kind, placing.canonical_stage(name))
    if kind != "alias":
        raise Invalid(f"{text[:100]!r} is no place", code="review.target", hint="alias:NAME or stage:NAME")
    naming.check_alias(name)
    return Target(kind, name)


def open_review(tx: Transaction, actor: Principal, identity: str, target: Target, *, reason: str = "") -> Review:
    """Ask that a version may take a place.

    Raises
    ------
    Conflict
        If the same is asked already, or its gate is open: nothing is left to ask.
    """
    version = _seen(tx, actor, identity)
    require(actor, Action.OPEN_REVIEW, version.project)
    naming.check_text(reason, "reason")
    if any(review.target == target for review in review_store.open_of(tx, [identity])):
        raise Conflict(f"{identity} is asked for {target} already", code="review.open", hint="`perenne review list` shows it")
    (gate,) = guard.gates(tx, [version], target)
    if gate.state is GateState.OPEN:
        raise Conflict(
            f"the gate of {identity} for {target} is open",
            code="review.needless",
            hint=f"`perenne model alias {identity}` sets it",
        )
    review = Review(
        id=new_id(), version=identity, model=version.model, project=version.project, tree=version.tree, target=target,
        state=ReviewState.OPEN, reason=reason, opened=SystemClock().now(), opened_by=actor.name,
    )  # fmt: skip
    review_store.insert(tx, review)
    mark_waiting(tx, version)
    after = {"review": review.id, "target": str(target), "gate": gate.state.value}
    audit.record(tx, actor, "review.open", "version", identity, after=after, reason=reason)
    return review


def decide(tx: Transaction, actor: Principal, identity: str, *, approve: bool, reason: str = "") -> Review:
    """Say yes or no in a review. It is closed by a no, or once nobody else needs to say yes.

    Raises
    ------
    Denied, Conflict
        As `approvals.decide`; or if it is closed, or the files are others than those it was opened for.
    """
    review = get(tx, actor, identity)
    _require_open(review)
    version = get_version(tx, review.version)
    if version.tree != review.tree:
        raise Conflict(f"{review.version} has other files now", code="review.files", hint="open another review")
    approvals.decide(tx, actor, review.version, approve=approve, reason=reason, target=review.target, review=identity)
    if not approve:
        return _close(tx, actor, review, ReviewState.REJECTED, reason)
    (gate,) = guard.gates(tx, [version], review.target)
    return _close(tx, actor, review, ReviewState.APPROVED, reason) if gate.state is GateState.OPEN else review


def withdraw(tx: Transaction, actor: Principal, identity: str, *, reason: str = "") -> Review:
    """Ask no longer: who opened the review may, and an owner. Raises Denied, or Conflict if it is closed."""
    review = get(tx, actor, identity)
    _require_open(review)
    if actor.name != review.opened_by and not allowed(actor, Action.EDIT_PROJECT):
        raise Denied(f"review {identity} is {review.opened_by}'s", code="review.owner", hint="who opened it may, or an owner")
    naming.check_text(reason, "reason")
    return _close(tx, actor, review, ReviewState.WITHDRAWN, reason)


def get(tx: Transaction, actor: Principal, identity: str) -> Review:
    """Read a review. Raises NotFound if there is none, or none that the actor may see."""
    found = review_store.find(tx, identity)
    if found is None or not sees(actor, found.project):
        raise NotFound(
            f"there is no review {identity[:100]!r}", code="review.not_found", hint="`perenne review list` shows those that are"
        )
    return found


def listed(
    tx: Transaction, actor: Principal, *, model: str = "", state: ReviewState | None = None, before: str = "", limit: int = ROWS
) -> list[Review]:
    """List reviews that the actor may see, newest first; `before` is the one after which to go on."""
    size = max(1, min(limit, ROWS))
    return review_store.reviews(tx, model=model, state=state, before=before, limit=size, projects=sorted(actor.projects))


def gate_of(tx: Transaction, review: Review) -> Gate:
    """Ask the gate of the place that a review is about."""
    return guard.gates(tx, [get_version(tx, review.version)], review.target)[0]


def _seen(tx: Transaction, actor: Principal, identity: str) -> Version:
    version = get_version(tx, identity)
    if not sees(actor, version.project):
        raise NotFound(f"version {identity[:100]!r} does not exist", code="model.not_found", hint="it may lie elsewhere")
    return version


def _require_open(review: Review) -> None:
    if review.state is not ReviewState.OPEN:
        raise Conflict(f"review {review.id} is {review.state.value}", code="review.closed", hint="open another one")


def _close(tx: Transaction, actor: Principal, review: Review, state: ReviewState, note: str) -> Review:
    review_store.close(tx, review.id, state, time=SystemClock().now(), by=actor.name, note=note)
    mark_waiting(tx, get_version(tx, review.version))
    after = {"review": review.id, "target": str(review.target)}
    audit.record(tx, actor, f"review.{state.value}", "version", review.version, after=after, reason=note)
    closed = review_store.find(tx, review.id)
    assert closed is not None
    return closed
