"""What is kept of outcomes and of guardrails while they are watched: pure."""

from collections.abc import Sequence

import msgspec

from perenne.core.errors import Invalid
from perenne.monitoring.model import BoundState, Figure, Stream, WindowKey
from perenne.projects import DECISION, Monitoring, Outcome, OutcomeKind
from perenne.stats.bandits import Rewards
from perenne.stats.fairness import wilson

OVERRIDES = "override_rate"
"""The share of answers that a person decided otherwise: what decisions that are posted add up to."""

ALPHA = 1e-3
"""The chance that guardrails of a version that keeps them ever stop it while its windows run, all of them together."""

Z = 1.96
LEAST_ROWS = 30


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """How the guardrails stood in a window while it ran.

    Attributes
    ----------
    revision : int
        Of the window, when it was looked at.
    look : int
        Which window of its version it is, from 1: each may use a part of the chance of a false stop.
    alpha : float
        That part, for each guardrail.
    states : tuple of BoundState
        With limits that hold at every look.
    """

    deployment: str
    variant: str
    version: str
    window_start: int
    window_length: int
    revision: int
    look: int
    alpha: float
    states: tuple[BoundState, ...] = ()
    looked: int = 0

    @property
    def key(self) -> WindowKey:
        """Which window it is about."""
        return WindowKey(Stream(self.deployment, self.variant, self.version), self.window_start, self.window_length)


class OutcomeSums(msgspec.Struct, frozen=True, kw_only=True):
    """What outcomes of a window's answers add up to, over all rows or in one group."""

    name: str
    by: str = ""
    group: str = ""
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def rewards(self) -> Rewards:
        """The sums alone."""
        return Rewards(self.count, self.total, self.squares)


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """An aggregate that was posted: the mean of an outcome over `n` answers of a stretch of time.

    Attributes
    ----------
    digest : str
        Of its content: the same again changes nothing.
    deviation : float or None
        The standard deviation of the values; without it an amount has no interval, and breaches nothing.
    """

    digest: str
    deployment: str
    name: str
    by: str = ""
    group: str = ""
    start: int
    end: int
    n: int
    value: float
    deviation: float | None = None
    received: int
    received_by: str


def kind_of(plan: Monitoring, name: str) -> OutcomeKind:
    """Return what the values of an outcome are; decisions are a rate. Raises Invalid if it is not declared."""
    return OutcomeKind.RATE if name in (DECISION, OVERRIDES) else declared(plan, name).kind


def declared(plan: Monitoring, name: str) -> Outcome:
    """Find a declared outcome. Raises Invalid."""
    for outcome in plan.outcomes:
        if outcome.name == name:
            return outcome
    known = ", ".join(outcome.name for outcome in plan.outcomes) or "none"
    raise Invalid(
        f"{name[:100]!r} is no outcome of this project",
        code="outcomes.unknown",
        hint=f"declared are: {known}; add pn.Monitoring(outcomes=[pn.Outcome({name[:100]!r})])",
    )


def outcome_figure(sums: OutcomeSums, kind: OutcomeKind, *, groups: int = 1) -> Figure | None:
    """Return the mean of an outcome with a 95 % interval that holds for all groups together; None below 30 rows."""
    if sums.count < LEAST_ROWS:
        return None
    z = Z if groups == 1 else _shared_z(groups)
    low, high = _limits(sums.rewards, kind, z)
    group = _named(sums)
    return Figure(value=sums.rewards.mean, low=low, high=high, source="realised", rows=sums.count, group=group)


def reported_figure(row: Reported, kind: OutcomeKind) -> Figure:
    """Return a posted aggregate as a figure; without a deviation an amount has no limits."""
    low = high = None
    if kind is OutcomeKind.RATE and row.n:
        low, high = wilson(row.value * row.n, row.n, Z)
    elif row.deviation is not None and row.n:
        half = Z * row.deviation / row.n**0.5
        low, high = row.value - half, row.value + half
    return Figure(value=row.value, low=low, high=high, source="reported", rows=row.n, group=row.group)


def sums_of(name: str, values: Sequence[float], by: str = "", group: str = "") -> OutcomeSums:
    """Add values up.

    >>> sums_of("refund", [1.0, 0.0, 1.0]).total
    2.0
    """
    return OutcomeSums(
        name=name, by=by, group=group, count=len(values), total=float(sum(values)), squares=float(sum(v * v for v in values))
    )


def _limits(rewards: Rewards, kind: OutcomeKind, z: float) -> tuple[float, float]:
    if kind is OutcomeKind.RATE:
        return wilson(rewards.total, rewards.count, z)
    half = z * rewards.deviation / rewards.count**0.5
    return rewards.mean - half, rewards.mean + half


def _shared_z(groups: int) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - 0.05 / (2 * groups))


def _named(sums: OutcomeSums) -> str:
    return sums.group or ("missing" if sums.by else "")
