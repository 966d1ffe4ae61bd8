"""Rules by which a version gets its callers step by step, and loses them again: pure.

Each rule returns the deployment after the change, one generation later, or refuses.
"""

from collections.abc import Mapping

import msgspec

from perenne.core.clock import MINUTE, SECOND
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.serving.model import (
    Bandit,
    Constant,
    Deployment,
    Holdout,
    Role,
    Rollback,
    Route,
    Sticky,
    Variant,
    changed,
    require_previous,
)
from perenne.serving.routing import SLOTS, held_out_slots, resized

LARGEST_HOLDOUT = 0.5

MAX_TIMEOUT_MS = 60_000
CANARY_MIRROR = 0.1
"""Of the champion's requests, what a canary answers unseen as well: so that both are known on the same rows."""


def find_variant(deployment: Deployment, version: str, *roles: Role) -> Variant:
    """Return the variant of a version, or of a variant's name, with one of some roles. Raises NotFound."""
    for variant in deployment.variants:
        if version in (variant.version, variant.name) and (not roles or variant.role in roles):
            return variant
    named = " or ".join(role.value for role in roles) or "part"
    raise NotFound(
        f"{version} is no {named} of {deployment.name}",
        code=f"deployment.{roles[0].value if roles else 'variant'}_not_found",
        hint="`perenne deploy show NAME` tells who answers as what",
    )


def canaried(deployment: Deployment, canary: Variant, weight: float) -> Deployment:
    """Let a version answer a share of the callers: a new canary, a challenger that becomes one, or one with another weight.

    A canary that was parked is asked again.

    Raises
    ------
    Conflict
        If the version is the champion.
    Invalid
        If the weight is none, or is not left.
    """
    if deployment.champion.version == canary.version:
        raise Conflict(
            f"{canary.version} is the champion of {deployment.name}: it has all callers that no canary has",
            code="deployment.canary",
            hint="make the canaries smaller to give it more",
        )
    known = next((v for v in deployment.variants if v.version == canary.version and v.role is Role.CANARY), None)
    before = next((v for v in deployment.challengers if v.version == canary.version), None)
    own = known or msgspec.structs.replace(
        before or canary, name=f"canary-{canary.version}", role=Role.CANARY, mirror=CANARY_MIRROR
    )
    own = msgspec.structs.replace(own, parked="", since=deployment.generation + 1)
    others = [v for v in deployment.variants if v is not known and v is not before]
    return changed(deployment, variants=resized((*others, own), canary.version, weight))


def uncanaried(deployment: Deployment, version: str) -> Deployment:
    """Take a canary out; the champion gets its callers. Raises NotFound if it is none."""
    gone = find_variant(deployment, version, Role.CANARY)
    return changed(deployment, variants=tuple(v for v in deployment.variants if v is not gone))


def split(deployment: Deployment, weights: Mapping[str, float]) -> Deployment:
    """Give several versions, which are part of it already, their weights at once; canaries that are not named keep theirs.

    The champion's weight may be named too, and must then be what is left.
    """
    champion = deployment.champion
    wanted = {find_variant(deployment, version, Role.CANARY, Role.CHAMPION).version: w for version, w in weights.items()}
    named = wanted.pop(champion.version, None)
    variants = deployment.variants
    present = {v.version: v.weight for v in deployment.canaries}
    for version, weight in sorted(wanted.items(), key=lambda item: item[1] - present[item[0]]):  # who shrinks makes room
        variants = resized(variants, version, weight)
    after = changed(deployment, variants=variants)
    if named is not None and abs(named - share_of_champion(after)) > 5e-4:
        raise Invalid(
            f"{champion.version}, the champion, has what is left: {share_of_champion(after):.1%}, not {named:.1%}",
            code="deployment.weight",
            hint="leave it out, or make the weights add up to 100 %",
        )
    return after


def share_of_champion(deployment: Deployment) -> float:
    """Return the share of callers that no canary has."""
    return 1.0 - sum(v.weight for v in deployment.canaries if not v.parked)


def routed(deployment: Deployment, route: Route) -> Deployment:
    """Choose by another route. Raises Invalid if the route cannot be taken."""
    match route:
        case Sticky(header=header, field=field) if bool(header) == bool(field):
            raise Invalid(
                "a sticky route needs a header or an input to read the caller's key from, one of the two",
                code="deployment.route",
                hint="such as --header x-user-id, or --field customer",
            )
        case Sticky(header=header) if header and not header.isascii():
            raise Invalid(f"{header!r} is no name of a header", code="deployment.route", hint="letters, digits and dashes")
        case Bandit(epsilon=epsilon, reward=reward) if not 0 < epsilon <= 1 or reward not in ("correct", "label"):
            raise Invalid(
                "a bandit tries all alike with a share above 0 and up to 1, and its reward is `correct` or `label`",
                code="deployment.route",
                hint="such as --epsilon 0.1 --reward correct",
            )
        case _:
            return changed(deployment, route=route)


def ruled(deployment: Deployment, rules: Rollback) -> Deployment:
    """Take versions back by other rules. Raises Invalid if a rule makes no sense, and names it."""
    shares = ("error_rate", "agreement", "metric_alpha")
    wrong = [name for name in shares if not 0 <= getattr(rules, name) <= 1]
    wrong += [name for name in ("p99_ms", "slower") if not 0 <= getattr(rules, name) < float("inf")]
    wrong += ["slower"] if 0 < rules.slower < 1 else []
    wrong += [name for name in ("min_requests", "min_rows") if getattr(rules, name) < 1]
    wrong += [name for name, least in (("window", SECOND), ("watch", 0)) if not least <= getattr(rules, name) <= 10_000 * MINUTE]
    if wrong:
        raise Invalid(
            f"roll-back rule {wrong[0]} cannot be {getattr(rules, wrong[0])}",
            code="deployment.rules",
            hint="shares lie from 0 to 1, `slower` is 0 or from 1 on, counts are at least 1, times at least a second",
        )
    return changed(deployment, rollback=rules)


def held_out(deployment: Deployment, share: float, answer: Constant | None) -> Deployment:
    """Answer a share of the callers without the model: with a constant, or by the previous version; none for a share of 0.

    Raises
    ------
    Invalid
        If the share is none.
    Conflict
        If no constant is given and no previous version stands by.
    """
    if not 0 <= share <= LARGEST_HOLDOUT or 0 < share < 1 / SLOTS:
        raise Invalid(
            f"{share} is no share of callers to hold out",
            code="deployment.holdout",
            hint=f"1% to 5% is usual, {LARGEST_HOLDOUT:.0%} the most; 0 for none",
        )
    if not share:
        return changed(deployment, holdout=None)
    if answer is None:
        require_previous(deployment)
    return changed(deployment, holdout=Holdout(share, held_out_slots(deployment.name, share), answer))


def timed(deployment: Deployment, version: str, timeout_ms: int) -> Deployment:
    """Give a variant less time, or 0 for the server's own limit; who is later is stood in for."""
    if not 0 <= timeout_ms <= MAX_TIMEOUT_MS:
        raise Invalid(
            f"{timeout_ms} ms is no time-out", code="deployment.timeout", hint=f"0 to {MAX_TIMEOUT_MS}; 0 for the server's limit"
        )
    return _with(deployment, find_variant(deployment, version), timeout_ms=timeout_ms)


def mirrored(deployment: Deployment, version: str, share: float) -> Deployment:
    """Let a challenger or canary answer another share of the champion's requests unseen."""
    if not 0 <= share <= 1:
        raise Invalid(f"{share} is no share", code="deployment.mirror", hint="0 to 1, such as 0.25 or 25%")
    return _with(deployment, find_variant(deployment, version, Role.CHALLENGER, Role.CANARY), mirror=share)


def fallen_back(deployment: Deployment, fallback: Variant | None) -> Deployment:
    """Name the version that answers where another one fails or is too late; None for the previous one."""
    others = tuple(v for v in deployment.variants if v.role is not Role.FALLBACK)
    if fallback is None:
        return changed(deployment, variants=others)
    named = msgspec.structs.replace(fallback, name=Role.FALLBACK.value, role=Role.FALLBACK)
    return changed(deployment, variants=(*others, named))


def parked(deployment: Deployment, version: str, reason: str) -> Deployment:
    """Ask a challenger or canary no more: its callers are the champion's, and it stays to be looked at.

    Raises
    ------
    NotFound
        If it is neither.
    Conflict
        If it is parked already.
    """
    found = find_variant(deployment, version, Role.CANARY, Role.CHALLENGER)
    if found.parked:
        raise Conflict(f"{version} is parked already", code="deployment.parked", hint="`perenne deploy show NAME` tells why")
    return _with(deployment, found, parked=reason or "parked", weight=0.0, slots=b"")


def unparked(deployment: Deployment, version: str) -> Deployment:
    """Ask a challenger again that was parked; a canary comes back with a weight."""
    found = find_variant(deployment, version, Role.CHALLENGER, Role.CANARY)
    if not found.parked:
        raise Conflict(f"{version} is not parked", code="deployment.not_parked", hint="`perenne deploy show NAME` tells who is")
    return _with(deployment, found, parked="", since=deployment.generation + 1)


def undone(deployment: Deployment, past: Deployment) -> Deployment:
    """Return to what a deployment was, as its next generation; a stop is neither ended nor begun by that."""
    return msgspec.structs.replace(past, generation=deployment.generation + 1, stop=deployment.stop)


def following(before: Deployment, after: Deployment) -> Deployment:
    """Make what came of several rules one change: one generation after what was before."""
    return msgspec.structs.replace(after, generation=before.generation + 1)


def route_line(route: Route) -> str:
    """Say in a line how callers are split."""
    match route:
        case Sticky(header=header, field=field, salt=salt):
            where = f"header {header}" if header else f"input {field}"
            return f"sticky by {where}" + (f", salt {salt}" if salt else "")
        case Bandit(rule=rule, reward=reward, epsilon=epsilon):
            return f"bandit ({rule.value}) for {reward}, {epsilon:.0%} for all alike"
        case _:
            return "each request by weight"


def rules_line(rules: Rollback) -> str:
    """Say in a line when a version is taken back by itself."""
    if not rules.automatic:
        return "never by itself"
    parts = [f"more than {rules.error_rate:.1%} fail or are too late"]
    if rules.p99_ms:
        parts.append(f"p99 above {rules.p99_ms:g} ms")
    if rules.slower:
        parts.append(f"p99 above {rules.slower:g} times the champion's")
    if rules.agreement:
        parts.append(f"agrees with the champion on less than {rules.agreement:.0%} of {rules.min_rows} rows or more")
    if rules.metric_alpha:
        parts.append(f"worse by labels (alpha {rules.metric_alpha:g}, however often it is looked at)")
    return f"from {rules.min_requests} requests on: " + "; ".join(parts)


def _with(deployment: Deployment, variant: Variant, **values: object) -> Deployment:
    after = msgspec.structs.replace(variant, **values)
    return changed(deployment, variants=tuple(after if v is variant else v for v in deployment.variants))
