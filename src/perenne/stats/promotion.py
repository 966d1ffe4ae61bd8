"""Whether a challenger may replace a champion: paired tests on the same rows, what rows can show at all, and a budget of chance.

A difference is counted in the challenger's favour. Superiority asks for evidence that it is above 0, non-inferiority for evidence
that it is above minus a margin. What the rows could not have shown is unknown: that never promotes anybody.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.sequential import EXACT_BELOW, mcnemar

DRAWS = 1_000
LEAST_POWER = 0.5
EXPECTED_TESTS = 12


class Shown(StrEnum):
    """What rows have shown."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"


class Demand(msgspec.Struct, frozen=True):
    """What has to be shown.

    Attributes
    ----------
    kind : str
        `superior` or `non_inferior`.
    alpha : float
        The chance of passing by mistake.
    min_effect : float
        Of superiority: a smaller difference is not worth it, and rows that would miss it every second time tell nothing.
    margin : float
        Of non-inferiority: by how much it may be worse.
    minimum : int
        On fewer rows nothing is decided.
    """

    kind: str = "superior"
    alpha: float = 0.05
    min_effect: float = 0.0
    margin: float = 0.0
    minimum: int = 0


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A paired test on some rows.

    Attributes
    ----------
    part : str
        Which rows: `all`, `old`, `new`, or a group as `column=value`.
    demand : Demand
        What had to be shown.
    test : str
        How it was found out.
    rows : int
    difference, low, high : float, optional
        In the challenger's favour, with two-sided 95 % limits.
    p : float, optional
        One-sided: how well chance alone explains it.
    power : float, optional
        How surely these rows would have shown `min_effect`.
    missing : int
        How many labelled rows more it takes until they would show it every second time.
    wins, losses : int, optional
        Rows that only the one or the other has right.
    """

    part: str = "all"
    demand: Demand
    shown: Shown
    test: str
    rows: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    power: float | None = None
    missing: int = 0
    wins: int | None = None
    losses: int | None = None

    @property
    def sentence(self) -> str:
        """What came of it, in words.

        >>> by_counts(1_000, 60, 30, Demand()).sentence
        'all: better by 0.03 on 1000 rows, p = 0.00112: pass'
        """
        if self.difference is None or self.p is None:
            return f"{self.part}: nothing can be told from {self.rows} rows{_lacking(self.missing)}"
        way = "better" if self.difference > 0 else "worse" if self.difference < 0 else "alike"
        size = f" by {abs(self.difference):.4g}" if self.difference else ""
        limit = f", margin {self.demand.margin:g}" if self.demand.kind == "non_inferior" else ""
        return f"{self.part}: {way}{size} on {self.rows} rows{limit}, p = {self.p:.3g}: {self.shown}{_lacking(self.missing)}"


def _lacking(rows: int) -> str:
    return f", {rows:,} labelled rows are missing" if rows else ""


def by_counts(rows: int, wins: int, losses: int, demand: Demand, *, part: str = "all", seed: int = 0) -> Contest:
    """Test answers that are right or wrong by the rows that only one of the two has right.

    Superiority by McNemar's test, exact below 25 such rows; non-inferiority by the bootstrap, which needs the three counts only.

    >>> by_counts(2_000, 90, 60, Demand()).shown.value, by_counts(2_000, 60, 60, Demand()).shown.value
    ('pass', 'fail')
    """
    if rows < max(1, demand.minimum):
        return _too_few(rows, demand, part)
    apart, difference = (wins + losses) / rows, (wins - losses) / rows
    deviation = math.sqrt(max(0.0, apart - difference**2))
    if demand.kind == "superior":
        p, test = mcnemar(wins, losses), "mcnemar exact" if wins + losses < EXACT_BELOW else "mcnemar"
    else:
        drawn = draw_counts(rows, wins, losses, seed=seed)
        p, test = _share(drawn <= -demand.margin + 1e-12), "bootstrap of counts"
    low, high = difference - 1.96 * deviation / math.sqrt(rows), difference + 1.96 * deviation / math.sqrt(rows)
    power, missing = power_of(rows, deviation, demand)
    return Contest(
        part=part, demand=demand, shown=_judge(difference, p, power, demand), test=test, rows=rows, difference=difference,
        low=low, high=high, p=p, power=power, missing=missing, wins=wins, losses=losses,
    )  # fmt: skip


def draw_counts(rows: int, wins: int, losses: int, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Draw the difference anew from its three counts: the bootstrap of values that are -1, 0 or 1.

    >>> float(draw_counts(100, 0, 0).max())
    0.0
    """
    shares = np.array([wins, losses, rows - wins - losses]) / rows
    counts = np.random.default_rng(seed).multinomial(rows, shares, size=draws)
    found: NDArray[np.float64] = (counts[:, 0] - counts[:, 1]) / rows
    return found


def by_draws(
    difference: float, drawn: NDArray[np.float64], rows: int, demand: Demand, *, part: str = "all", test: str = "bootstrap"
) -> Contest:
    """Test a metric's difference by what it is under rows drawn anew; where it is mostly undefined, nothing is known.

    >>> import numpy as np
    >>> by_draws(0.02, np.linspace(0.01, 0.03, 1_000), 500, Demand()).shown.value
    'pass'
    """
    known = drawn[~np.isnan(drawn)]
    if rows < max(1, demand.minimum):
        return _too_few(rows, demand, part)
    if not np.isfinite(difference) or 2 * len(known) <= len(drawn):
        return Contest(part=part, demand=demand, shown=Shown.UNKNOWN, test=test, rows=rows)
    limit = 0.0 if demand.kind == "superior" else -demand.margin
    p = _share(known <= limit)
    low, high = (float(x) for x in np.quantile(known, [0.025, 0.975]))
    power, missing = power_of(rows, float(known.std()) * math.sqrt(rows), demand)
    return Contest(
        part=part, demand=demand, shown=_judge(difference, p, power, demand), test=test, rows=rows,
        difference=float(difference), low=low, high=high, p=p, power=power, missing=missing,
    )  # fmt: skip


def power_of(rows: int, deviation: float, demand: Demand) -> tuple[float | None, int]:
    """Tell how surely rows would show the least effect that counts, and how many are missing until every second time.

    Parameters
    ----------
    deviation : float
        Of one row's part in the difference.

    >>> power_of(2_000, 0.3, Demand(min_effect=0.01))
    (0.438..., 435)
    """
    if demand.kind != "superior" or demand.min_effect <= 0:
        return None, 0
    from scipy.special import ndtr, ndtri

    needed = float(ndtri(1 - demand.alpha))
    if deviation <= 0:
        return 1.0, 0
    power = float(ndtr(demand.min_effect * math.sqrt(rows) / deviation - needed))
    return power, max(0, math.ceil((needed * deviation / demand.min_effect) ** 2) - rows)


def combined(tests: Sequence[Contest]) -> Shown:
    """Return what several tests show together, all of which have to pass.

    >>> combined([]).value
    'unknown'
    """
    shown = {test.shown for test in tests}
    if Shown.FAIL in shown:
        return Shown.FAIL
    return Shown.PASS if shown == {Shown.PASS} else Shown.UNKNOWN


def next_alpha(alpha: float, per_year: float, spent: float, done: int, expected: int = EXPECTED_TESTS) -> float:
    """Return the alpha of the next test, so that a quarter's tests together take no more than a quarter of the year's budget.

    What is left is spread over the tests that are still expected, and never spent whole: a later test always has some.

    Parameters
    ----------
    per_year : float
        How many promotions by mistake a year may have; 0 for no budget.
    spent, done : float, int
        Of this quarter: what its tests took, and how many they were.
    expected : int
        How many tests a quarter has.

    >>> next_alpha(0.05, 0.0, 3.0, 40), round(next_alpha(0.05, 1.0, 0.0, 0), 4), round(next_alpha(0.05, 1.0, 0.24, 50), 4)
    (0.05, 0.0208, 0.005)
    """
    if per_year <= 0:
        return alpha
    return min(alpha, max(0.0, per_year / 4 - spent) / max(2, expected - done))


def _judge(difference: float, p: float, power: float | None, demand: Demand) -> Shown:
    if power is not None and power < LEAST_POWER:
        return Shown.UNKNOWN
    enough = demand.kind != "superior" or (difference > 0 and difference >= demand.min_effect)
    return Shown.PASS if enough and p < demand.alpha else Shown.FAIL


def _share(hits: NDArray[np.bool_]) -> float:
    return float((1 + hits.sum()) / (1 + len(hits)))


def _too_few(rows: int, demand: Demand, part: str) -> Contest:
    missing = max(1, demand.minimum) - rows
    return Contest(part=part, demand=demand, shown=Shown.UNKNOWN, test="none", rows=rows, missing=missing)
