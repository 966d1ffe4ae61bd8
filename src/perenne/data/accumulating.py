"""What is kept of a column while its rows pass by in batches: enough for its profile, and never more than a bounded piece."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.data.aspects import Extreme
from perenne.data.column_profiles import EXTREMES
from perenne.data.tables import Values, pc
from perenne.stats.columns import Column

EXACT = 100_000
"""So many different values of a column are counted one by one; beyond that the most frequent ones are kept."""

_KEPT = 20_000
_BUFFERED = 400_000
_MAX_BYTES = 64 << 20
_SHIFT = 40
_MAX_CODES = 200_000

Counts = NDArray[np.int64]


class ValueCounts:
    """Different values of a column and how often each came; `exact` until there are too many of them.

    Of the others only the most frequent ones are kept, and each of these counts is what came since the value was first kept.
    """

    def __init__(self, kind: pa.DataType, exact: int = EXACT) -> None:
        self.exact = True
        self._limit = exact
        self._held = pa.table({"value": pa.array([], kind), "count": pa.array([], pa.int64())})
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0

    def add(self, values: Values) -> None:
        """Count some values; none of them is missing."""
        counted = pc.value_counts(values)
        piece = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
        self._waiting.append(piece)
        self._rows += piece.num_rows
        self._bytes += piece.nbytes
        if self._rows > max(_BUFFERED, 4 * self._limit) or self._bytes > _MAX_BYTES:
            self._settle()

    def _settle(self) -> None:
        pieces, self._waiting, self._rows, self._bytes = [self._held, *self._waiting], [], 0, 0
        grouped: Any = pa.concat_tables(pieces).group_by("value", use_threads=False).aggregate([("count", "sum")])
        held = pa.table({"value": grouped.column("value"), "count": grouped.column("count_sum")})
        if held.num_rows > self._limit or held.nbytes > _MAX_BYTES:
            self.exact = False
            order = pc.sort_indices(held, sort_keys=[("count", "descending")])
            held = held.take(order.slice(0, min(_KEPT, self._limit)))
            while held.nbytes > _MAX_BYTES and held.num_rows > 1:
                held = held.slice(0, held.num_rows // 2)
        self._held = held.combine_chunks()

    def found(self) -> tuple[Values, Counts]:
        """Return the values and their counts, the first that came first if all are kept."""
        self._settle()
        values, counts = self._held.column("value"), self._held.column("count")
        return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type), np.asarray(counts)


class Numbers:
    """What is kept of finite numbers: ends, sums, and how many have the same leading bits."""

    def __init__(self) -> None:
        self.count = self.infinite = self.zeros = self.negatives = self.fives = self.whole = 0
        self.mean = 0.0
        self.lowest: list[Extreme] = []
        self.highest: list[Extreme] = []
        self._codes = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._shift = _SHIFT

    def add(self, numbers: Column, first_row: int) -> None:
        """Take a batch of numbers, NaN where one is missing; `first_row` is its first row's number, from 1."""
        known = ~np.isnan(numbers)
        places = np.flatnonzero(known & np.isfinite(numbers))
        self.infinite += int(known.sum()) - places.size
        if not places.size:
            return
        finite = numbers[places] + 0.0
        self.count += finite.size
        self.mean += float(((finite - self.mean) / self.count).sum())
        self.zeros += int((finite == 0).sum())
        self.negatives += int((finite < 0).sum())
        whole = finite[(finite == np.round(finite)) & (finite != 0)]
        self.whole += whole.size
        self.fives += int((whole % 5 == 0).sum())
        self._add_codes(*np.unique(_ordered_bits(finite) >> self._shift, return_counts=True))
        self._add_extremes(finite, places + first_row)

    def _add_codes(self, codes: Counts, counts: Counts) -> None:
        everything, inverse = np.unique(np.concatenate([self._codes, codes]), return_inverse=True)
        self._counts = np.bincount(inverse, np.concatenate([self._counts, counts]).astype(np.float64)).astype(np.int64)
        self._codes = everything
        while self._codes.size > _MAX_CODES:
            self._shift += 1
            coarse, inverse = np.unique(self._codes >> 1, return_inverse=True)
            self._codes, self._counts = coarse, np.bincount(inverse, self._counts.astype(np.float64)).astype(np.int64)

    def _add_extremes(self, finite: Column, rows: Counts) -> None:
        different = np.unique(finite)
        for held, chosen, sign in ((self.lowest, different[:EXTREMES], 1), (self.highest, different[: -EXTREMES - 1 : -1], -1)):
            seen = {item.value for item in held}
            held += [Extreme(int(rows[np.argmax(finite == one)]), float(one)) for one in chosen if one not in seen]
            held.sort(key=lambda item: sign * item.value)
            del held[EXTREMES:]

    def quantiles(self, shares: Column) -> Column:
        """Return the values at some shares of the rows, off by less than a four-thousandth of themselves."""
        below = np.cumsum(self._counts)
        places = np.searchsorted(below, np.clip(shares * (self.count - 1), 0, None), "right").clip(0, self._codes.size - 1)
        values = _from_ordered_bits(self._codes[places] << self._shift)
        values[shares >= 1] = self.highest[0].value
        return np.clip(values, self.lowest[0].value, self.highest[0].value)


def exact_quantiles(values: Column, counts: Counts, shares: Column) -> Column:
    """Return quantiles of values that stand there several times each, between two of them in a straight line."""
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(counts[order])
    places = shares * (below[-1] - 1)
    low = values[np.searchsorted(below, np.floor(places), "right")]
    high = values[np.searchsorted(below, np.ceil(places), "right")]
    found: Column = low + (high - low) * (places - np.floor(places))
    return found


def _ordered_bits(values: Column) -> Counts:
    """Return whole numbers in the order of the floats: those of negative ones run backwards."""
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _from_ordered_bits(bits: Counts) -> Column:
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits).view(np.float64).copy()


class Moments:
    """Sums of the powers of the deviations from a known mean, in units of the largest one."""

    def __init__(self, mean: float, largest: float) -> None:
        self._mean, self._largest = mean, largest
        self._sums = np.zeros(3)
        self._count = 0

    def add(self, finite: Column) -> None:
        """Take a batch."""
        if self._largest > 0:
            deviations = (finite - self._mean) / self._largest
            squares = deviations * deviations
            self._sums += (squares.sum(), (squares * deviations).sum(), (squares * squares).sum())
        self._count += finite.size

    def found(self) -> tuple[float, float, float]:
        """Return standard deviation (n - 1), skewness and excess kurtosis; the last two are 0 for a constant."""
        n = max(self._count, 1)
        if self._largest <= 1e-12 * abs(self._mean) or self._largest < 1e-150:
            return self._largest, 0.0, 0.0
        second, third, fourth = self._sums / n
        sd = self._largest * float(np.sqrt(second * n / max(n - 1, 1)))
        return sd, float(third / second**1.5), float(fourth / second**2 - 3)


class Steps:
    """Times in the order in which they come: whether they rise, per hour how many, and the longest gaps if they do."""

    def __init__(self, now: int) -> None:
        self._now = now
        self.ascending = True
        self.future = 0
        self.least, self.most = 2**63 - 1, -(2**63)
        self._last: int | None = None
        self._hours = np.zeros(0, "datetime64[h]")
        self._counts = np.zeros(0, np.int64)

    def add(self, instants: Counts) -> None:
        """Take a batch of times in microseconds; none of them is missing."""
        if not instants.size:
            return
        self.ascending &= bool(np.all(instants[1:] >= instants[:-1])) and (self._last is None or int(instants[0]) >= self._last)
        self._last = int(instants[-1])
        self.least, self.most = min(self.least, int(instants.min())), max(self.most, int(instants.max()))
        self.future += int((instants > self._now).sum()) if self._now else 0
        hours, counts = np.unique(instants.astype("datetime64[us]").astype("datetime64[h]"), return_counts=True)
        everything, inverse = np.unique(np.concatenate([self._hours, hours]), return_inverse=True)
        self._counts = np.bincount(inverse, np.concatenate([self._counts, counts]).astype(np.float64)).astype(np.int64)
        self._hours = everything

    def per(self, unit: str) -> tuple[NDArray[np.datetime64], Counts]:
        """Return how many times lie in each hour, day, month or year."""
        periods, inverse = np.unique(self._hours.astype(f"datetime64[{unit}]"), return_inverse=True)
        return periods, np.bincount(inverse, self._counts.astype(np.float64)).astype(np.int64)
