"""When a version has failed: pure rules over counts, right however often one looks.

Each rule is a test of "no more than so many of its requests", by an e-value: if that is so, the chance that it ever speaks up is
at most `ALPHA`. Only what is beyond chance ends a rollout; with all requests failing that takes no more than `min_requests`.
"""

import math
from bisect import bisect_left

import msgspec

from perenne.formats.windows import LATENCY_EDGES_US
from perenne.serving.model import Rollback
from perenne.stats.sequential import log_e_value_above

ALPHA = 1e-4
_LOG_ALPHA = math.log(ALPHA)
LEAST_P99_US = 20_000
_SLOW_SHARE = 0.01
_CELLS = len(LATENCY_EDGES_US) + 1


class Tally(msgspec.Struct, frozen=True):
    """Requests that a version was asked: how many, how many failed or were too late, and how many in each cell of latency."""

    requests: int = 0
    failed: int = 0
    cells: tuple[int, ...] = (0,) * _CELLS

    def __add__(self, other: "Tally") -> "Tally":
        cells = tuple(a + b for a, b in zip(self.cells, other.cells, strict=True))
        return Tally(self.requests + other.requests, self.failed + other.failed, cells)

    def __sub__(self, other: "Tally") -> "Tally":
        cells = tuple(a - b for a, b in zip(self.cells, other.cells, strict=True))
        return Tally(self.requests - other.requests, self.failed - other.failed, cells)

    def quantile_us(self, share: float) -> int:
        """Return the upper edge of the cell in which a quantile lies; 0 without requests.

        >>> Tally(4, 0, (3, 1) + (0,) * (_CELLS - 2)).quantile_us(0.5) == LATENCY_EDGES_US[0]
        True
        """
        total, seen = sum(self.cells), 0
        for count, edge in zip(self.cells, (*LATENCY_EDGES_US, 2 * LATENCY_EDGES_US[-1]), strict=True):
            seen += count
            if seen and seen >= share * total:
                return edge
        return 0

    def slower_than(self, limit_us: float) -> int:
        """Count the requests that surely took longer."""
        return sum(self.cells[bisect_left(LATENCY_EDGES_US, limit_us) + 1 :])


def judge(rules: Rollback, mine: Tally, other: Tally) -> str:
    """Say why a version is to be taken back; nothing if it is not.

    Parameters
    ----------
    mine : Tally
        What it was asked of late.
    other : Tally
        The same of the version it is held against: the champion, or the one before.
    """
    if not rules.automatic or mine.requests < rules.min_requests:
        return ""
    usual = other.failed / other.requests if other.requests >= rules.min_requests else 0.0
    allowed = max(rules.error_rate, usual)
    if _beyond(mine.failed, mine.requests, allowed):
        return f"{mine.failed:,} of {mine.requests:,} requests failed or were too late, {allowed:.1%} are allowed"
    limit, why = _slowest(rules, other)
    slow = mine.slower_than(limit) if limit else 0
    if limit and _beyond(slow, mine.requests, _SLOW_SHARE):
        return f"{slow:,} of {mine.requests:,} requests took longer than {limit / 1_000:g} ms, {why}; 1% are allowed"
    return ""


def disagrees(rules: Rollback, agreed: int, compared: int) -> str:
    """Say why a version that answers the same rows otherwise than the champion is to be taken back; nothing if it is not."""
    if not rules.automatic or not rules.agreement or compared < rules.min_rows:
        return ""
    if not _beyond(compared - agreed, compared, 1 - rules.agreement):
        return ""
    return f"it answers {agreed:,} of {compared:,} rows like the champion, {rules.agreement:.0%} are asked for"


def _slowest(rules: Rollback, other: Tally) -> tuple[float, str]:
    """Return what all but one of a hundred requests may take, in microseconds, and why; 0 for no limit."""
    limits = []
    if rules.p99_ms:
        limits.append((rules.p99_ms * 1_000, "the limit"))
    if rules.slower and other.requests >= rules.min_requests:
        p99 = other.quantile_us(0.99)
        limits.append((max(rules.slower * p99, LEAST_P99_US), f"the other's p99 is {p99 / 1_000:g} ms at most"))
    return min(limits, default=(0.0, ""))


def _beyond(hits: int, trials: int, rate: float) -> bool:
    return rate < 1 and log_e_value_above(hits, trials, rate) >= -_LOG_ALPHA
