"""Review policies: what versions need before they may take an alias or a stage. Administrators state them."""

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Invalid, NotFound
from perenne.registry import naming, review_store, service, store
from perenne.registry.model import STAGES, MetricBound, ReviewPolicy
from perenne.registry.review_store import KeptPolicy
from perenne.storage.transaction import Transaction

MOST = 200
"""Policies there may be, and patterns of one."""


def state(tx: Transaction, actor: Principal, policy: ReviewPolicy) -> ReviewPolicy:
    """State a policy, or state it anew: approvals under another text of it count no more.

    Raises
    ------
    Invalid
        If it asks for nothing, guards nothing, or names a stage that there is not.
    """
    require(actor, Action.ADMINISTER)
    _check(policy)
    before = review_store.find_policy(tx, policy.name)
    if before == policy:
        return policy
    if before is None and len(review_store.policies(tx)) >= MOST:
        raise _wrong("name", f"there are {MOST} policies already", "remove one, or let patterns speak for several models")
    review_store.keep_policy(tx, policy, SystemClock().now(), actor.name)
    audit.record(tx, actor, "policy.state", "review_policy", policy.name, before=before, after=policy)
    _remark(tx, policy)
    return policy


def remove(tx: Transaction, actor: Principal, name: str, *, reason: str = "") -> None:
    """Remove a policy. Raises NotFound if there is none of that name."""
    require(actor, Action.ADMINISTER)
    before = get(tx, name)
    review_store.drop_policy(tx, name)
    audit.record(tx, actor, "policy.remove", "review_policy", name, before=before, reason=reason)
    _remark(tx, before)


def get(tx: Transaction, name: str) -> ReviewPolicy:
    """Read a policy. Raises NotFound."""
    found = review_store.find_policy(tx, name)
    if found is None:
        raise NotFound(
            f"there is no review policy {name[:100]!r}", code="policy.not_found", hint="`perenne review policies` shows them"
        )
    return found


def stated(tx: Transaction) -> list[KeptPolicy]:
    """Read all policies, by name."""
    return review_store.kept_policies(tx)


def _remark(tx: Transaction, policy: ReviewPolicy) -> None:
    """Find anew which of the newest versions of the models it speaks of wait for a person."""
    names = [name for name in store.model_names(tx) if policy.speaks_of(name)]
    for version in store.newest_versions(tx, names):
        service.mark_waiting(tx, version)


def _check(policy: ReviewPolicy) -> None:
    if not policy.name.strip() or len(policy.name) > naming.LONGEST_KEY or not policy.name.isprintable():
        raise _wrong("name", "it is empty, long or cannot be printed", "call it `production`, say")
    for field in ("models", "aliases", "stages", "checks", "approvers"):
        listed: tuple[str, ...] = getattr(policy, field)
        if len(listed) > MOST or not all(text.strip() and len(text) <= naming.LONGEST_NAME for text in listed):
            raise _wrong(field, "there are too many, or one is empty or long", "patterns such as `fraud-*`")
    if not policy.models or not (policy.aliases or policy.stages):
        raise _wrong("aliases", "it guards nothing", "name models, and aliases or stages")
    for stage in policy.stages:
        if stage not in STAGES[1:]:
            raise _wrong("stages", f"{stage[:40]!r} is no stage", f"one of: {', '.join(STAGES[1:])}")
    if not 0 <= policy.approvals <= 20:
        raise _wrong("approvals", f"{policy.approvals} people cannot be asked", "from 0 to 20")
    if not (policy.approvals or policy.checks or policy.objectives or policy.metrics):
        raise _wrong("approvals", "it asks for nothing", "say what a version needs: checks, objectives, metrics or approvals")
    for bound in policy.metrics:
        _check_bound(bound)


def _check_bound(bound: MetricBound) -> None:
    limits = [limit for limit in (bound.at_least, bound.at_most) if limit is not None]
    if not bound.metric.strip() or not limits or any(limit != limit for limit in limits):
        raise _wrong("metrics", f"{bound.metric[:40]!r} has no bound", "say at_least or at_most")


def _wrong(field: str, message: str, hint: str) -> Invalid:
    return Invalid(f"{field}: {message}", code="policy.invalid", hint=hint)
