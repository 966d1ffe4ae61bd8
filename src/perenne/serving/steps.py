"""Rollouts step by step: canaries, weights, routes, rules, time-outs, fallbacks, parking, and undoing a change.

Each is one audited change that announces itself, as in `service`; the rules are in `rollouts`.
"""

from collections.abc import Mapping

from perenne.auth.principals import Principal
from perenne.core.errors import Conflict
from perenne.serving import rollouts, store
from perenne.serving.keeping import changeable, keep, variant_of
from perenne.serving.model import Constant, Deployment, Role, Rollback, Route
from perenne.storage.database import Transaction


def set_canary(
    tx: Transaction,
    actor: Principal,
    name: str,
    version_id: str,
    weight: float,
    *,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Let a version answer a share of the callers; a canary that was parked is asked again.

    Parameters
    ----------
    version_id : str
        `name@number` of a version whose gate is open.
    weight : float
        The share, from 0 to 1 in thousandths.

    Raises
    ------
    PerenneError
        If the version's gate is not open, it is the champion, or the weight is none or not left.
    """
    before = changeable(tx, actor, name, generation)
    canary, _ = variant_of(tx, version_id)
    return keep(tx, actor, before, rollouts.canaried(before, canary, weight), "canary_set", version_id, reason)


def remove_canary(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Take a canary out; the champion gets its callers. Raises NotFound if it is none."""
    before = changeable(tx, actor, name, generation)
    gone = rollouts.find_variant(before, version_id, Role.CANARY).version
    return keep(tx, actor, before, rollouts.uncanaried(before, gone), "canary_removed", gone, reason)


def split(
    tx: Transaction,
    actor: Principal,
    name: str,
    weights: Mapping[str, float],
    *,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Give several versions their weights at once; one that is no part yet becomes a canary. All or nothing."""
    before = changeable(tx, actor, name, generation)
    after = before
    known = {word for variant in (before.champion, *before.canaries) for word in (variant.version, variant.name)}
    for version_id in weights:
        if version_id not in known:
            after = rollouts.canaried(after, variant_of(tx, version_id)[0], 0.0)
    after = rollouts.following(before, rollouts.split(after, weights))
    return keep(tx, actor, before, after, "weights_set", before.champion.version, reason)


def set_route(
    tx: Transaction, actor: Principal, name: str, route: Route, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Split callers in another way. Raises Invalid if the route cannot be taken."""
    before = changeable(tx, actor, name, generation)
    return keep(tx, actor, before, rollouts.routed(before, route), "route_set", before.champion.version, reason)


def set_rules(
    tx: Transaction, actor: Principal, name: str, rules: Rollback, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Take versions back by other rules. Raises Invalid if a rule makes no sense."""
    before = changeable(tx, actor, name, generation)
    return keep(tx, actor, before, rollouts.ruled(before, rules), "rules_set", before.champion.version, reason)


def set_timeout(
    tx: Transaction,
    actor: Principal,
    name: str,
    version_id: str,
    timeout_ms: int,
    *,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Give a variant so much time to answer; 0 for the server's own limit."""
    before = changeable(tx, actor, name, generation)
    version = rollouts.find_variant(before, version_id).version
    return keep(tx, actor, before, rollouts.timed(before, version_id, timeout_ms), "timeout_set", version, reason)


def set_mirror(
    tx: Transaction,
    actor: Principal,
    name: str,
    version_id: str,
    share: float,
    *,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Let a challenger or canary answer so much of the champion's requests unseen."""
    before = changeable(tx, actor, name, generation)
    version = rollouts.find_variant(before, version_id).version
    return keep(tx, actor, before, rollouts.mirrored(before, version_id, share), "mirror_set", version, reason)


def set_holdout(
    tx: Transaction,
    actor: Principal,
    name: str,
    share: float,
    *,
    answer: Constant | None = None,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Answer a share of the callers without the model, by a constant or the previous version; 0 ends it."""
    before = changeable(tx, actor, name, generation)
    after = rollouts.held_out(before, share, answer)
    return keep(tx, actor, before, after, "holdout_set", before.champion.version, reason)


def set_fallback(
    tx: Transaction,
    actor: Principal,
    name: str,
    version_id: str | None,
    *,
    reason: str = "",
    generation: int | None = None,
) -> Deployment:
    """Name the version that answers where another one fails or is too late; None for the previous one."""
    before = changeable(tx, actor, name, generation)
    fallback = None if version_id is None else variant_of(tx, version_id)[0]
    version = before.champion.version if version_id is None else version_id
    return keep(tx, actor, before, rollouts.fallen_back(before, fallback), "fallback_set", version, reason)


def park(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str, generation: int | None = None
) -> Deployment:
    """Ask a challenger or canary no more, and give its callers to the champion."""
    before = changeable(tx, actor, name, generation)
    version = rollouts.find_variant(before, version_id).version
    return keep(tx, actor, before, rollouts.parked(before, version_id, reason), "parked", version, reason)


def unpark(
    tx: Transaction, actor: Principal, name: str, version_id: str, *, reason: str = "", generation: int | None = None
) -> Deployment:
    """Ask a challenger again that was parked. Raises PerenneError if it was not, or its gate is no longer open."""
    before = changeable(tx, actor, name, generation)
    version = rollouts.find_variant(before, version_id).version
    variant_of(tx, version)
    return keep(tx, actor, before, rollouts.unparked(before, version_id), "unparked", version, reason)


def undo(tx: Transaction, actor: Principal, name: str, *, reason: str, generation: int | None = None) -> Deployment:
    """Return to what the deployment was before its last change, as its next generation; undoing twice does it again.

    Raises
    ------
    Conflict
        If nothing is remembered of the generation before, or the gate of a version that answered then is closed.
    """
    before = changeable(tx, actor, name, generation)
    past = store.past(tx, name, before.generation - 1)
    if past is None:
        raise Conflict(
            f"{name} has no change that can be undone", code="deployment.no_past", hint="its last generations are remembered"
        )
    present = {variant.version for variant in before.variants}
    for variant in past.variants:
        if variant.version not in present or variant.role in (Role.CHAMPION, Role.CANARY):
            variant_of(tx, variant.version)
    return keep(tx, actor, before, rollouts.undone(before, past), "undone", past.champion.version, reason)
