"""The part of a deployment's screen about its rollout: who answers whom, how each does, and how it compares with the champion."""

import math

import msgspec

from perenne import monitoring, serving
from perenne.core.clock import DAY
from perenne.serving import Deployment, Variant
from perenne.serving.views import route_line, rules_line
from perenne.stats.bandits import Rewards
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

SHOWN = 7 * DAY
SAME_ROWS, OWN_CALLERS = "same rows", "own callers"


class RolloutLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a rollout; figures are of the last seven days with traffic, None where unknown.

    Attributes
    ----------
    weight : float
        The share of callers it is given; of a bandit's, the share it has now.
    agreement : float or None
        The share of the same rows that it answered like the champion.
    reward, rewarded : float or None, int
        What its callers' labels were worth on average, and how many came.
    parked : str
        Why it is not asked any more.
    """

    name: str
    role: str
    version: str
    weight: float
    rows: int
    requests: int
    error_rate: float | None
    p50_ms: float | None
    p99_ms: float | None
    agreement: float | None
    reward: float | None
    rewarded: int
    timeout_ms: int
    mirror: float
    parked: str


class Compared(msgspec.Struct, frozen=True):
    """By how much oftener a version is right than the champion, on what, and an interval that may be looked at always."""

    version: str
    role: str
    on: str
    rows: int
    value: float
    low: float
    high: float


class RolloutView(msgspec.Struct, frozen=True):
    """The rollout of a deployment."""

    route: str
    rules: str
    lines: tuple[RolloutLine, ...]
    compared: tuple[Compared, ...]
    bandit: bool


def rollout_view(tx: Transaction, objects: ObjectStore | None, item: Deployment, learnt: dict[str, float]) -> RolloutView:
    """Show the rollout of a deployment.

    Parameters
    ----------
    objects : ObjectStore or None
        Where labelled rows lie; None to leave labels out.
    learnt : dict
        A bandit's shares by version, empty without one.
    """
    reports = monitoring.tallies.variant_reports(tx, item.name, SHOWN)
    earned: dict[str, Rewards] = {}
    compared: list[Compared] = []
    others = [variant for variant in item.variants if variant.role in ("canary", "challenger")]
    if objects is not None and others:
        found = monitoring.tallies.earned(tx, objects, item.name, "correct")
        earned = {version: each.rewards for version, each in found.items()}
        for variant in others:
            champion = item.champion.version
            same = monitoring.tallies.paired(tx, objects, item.name, champion, variant.version).difference()
            own = monitoring.tallies.difference(found, champion, variant.version)
            compared += [_compared(variant, on, each) for on, each in ((SAME_ROWS, same), (OWN_CALLERS, own)) if each is not None]
    lines = tuple(_line(item, variant, reports, earned, learnt) for variant in item.variants)
    compared = [each for each in compared if math.isfinite(each.low) and math.isfinite(each.high)]
    return RolloutView(route_line(item.route), rules_line(item.rollback), lines, tuple(compared), bool(learnt))


def _compared(variant: Variant, on: str, found: "monitoring.tallies.Difference") -> Compared:
    return Compared(variant.version, variant.role.value, on, found.rows, found.value, found.low, found.high)


def _line(
    item: Deployment,
    variant: Variant,
    reports: "dict[tuple[str, str], monitoring.tallies.VariantReport]",
    earned: dict[str, Rewards],
    learnt: dict[str, float],
) -> RolloutLine:
    role = variant.role.value
    empty = monitoring.tallies.VariantReport(0, 0, (), 0, 0)
    own = reports.get((role, variant.version), empty)
    shadow = reports.get(("challenger", variant.version), empty)
    shown = shadow if role == "challenger" else own
    asked = shown.requests + (shown.errors if role == "challenger" else 0)
    rewards = earned.get(variant.version, Rewards())
    return RolloutLine(
        name=variant.name,
        role=role,
        version=variant.version,
        weight=_weight(item, variant, learnt),
        rows=shown.rows,
        requests=own.requests,
        error_rate=shown.errors / asked if asked else None,
        p50_ms=own.quantile_ms(0.5),
        p99_ms=own.quantile_ms(0.99),
        agreement=shadow.agreed / shadow.compared if shadow.compared else None,
        reward=rewards.mean if rewards.count else None,
        rewarded=rewards.count,
        timeout_ms=variant.timeout_ms,
        mirror=variant.mirror if role in ("canary", "challenger") else 0.0,
        parked=variant.parked,
    )


def _weight(item: Deployment, variant: Variant, learnt: dict[str, float]) -> float:
    """Return the share of callers that a variant is given."""
    if item.stop is not None:
        return 1.0 if variant.role == item.stop.mode.value else 0.0
    if variant.role not in ("champion", "canary"):
        return 0.0
    if learnt:
        return learnt.get(variant.version, 0.0)
    return variant.weight if variant.role == "canary" else serving.service.share_of_champion(item)
