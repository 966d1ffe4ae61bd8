"""ADWIN: a window over a stream that grows while its mean stays, and lets go of its older part when it has changed.

No rate needs to be known beforehand, and both directions are seen. The window is kept as buckets of 1, 2, 4, … values, at most
five of a size, so that its memory grows with the logarithm of its length.
"""

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

DELTA = 0.002
"""The chance of a change where there is none, over all cuts of one window."""

_PER_SIZE = 5
_SHORTEST = 5
_EVERY = 32

Floats = NDArray[np.float64]


class Change(msgspec.Struct, frozen=True):
    """A change of the mean: at which value it was seen, counted from 0, and the mean before and after it."""

    place: int
    before: float
    after: float

    @property
    def worse(self) -> bool:
        """Whether the mean rose; of a loss that is worse, and a fall is an improvement."""
        return self.after > self.before


class Adwin(msgspec.Struct):
    """Has the mean of a stream of values from 0 to 1 changed?

    Attributes
    ----------
    seen : int
        Values so far; every 32nd of them the window is looked at.
    sizes : list
        By size 1, 2, 4, …, its buckets, oldest first: the sum of their values, and the sum of squares about their mean.

    References
    ----------
    Bifet, Gavaldà: Learning from time-changing data with adaptive windowing (2007).

    >>> detector = Adwin()
    >>> [change.place for change in detector.update([0.0] * 500 + [1.0] * 100)], detector.mean
    ([511], 1.0)
    """

    seen: int = 0
    sizes: list[list[tuple[float, float]]] = []

    @property
    def width(self) -> int:
        """How many values the window holds."""
        return sum(len(buckets) << size for size, buckets in enumerate(self.sizes))

    @property
    def mean(self) -> float:
        """Their mean; 0 of none."""
        width = self.width
        return sum(total for buckets in self.sizes for total, _ in buckets) / width if width else 0.0

    def update(self, values: ArrayLike) -> list[Change]:
        """Take in values in order of arrival, and return the changes seen, oldest first."""
        changes = []
        for place, value in enumerate(np.asarray(values, np.float64).tolist()):
            self._insert(value)
            self.seen += 1
            if self.seen % _EVERY == 0:
                found = self._shrink()
                if found is not None:
                    changes.append(Change(place, *found))
        return changes

    def _insert(self, value: float) -> None:
        if not self.sizes:
            self.sizes.append([])
        self.sizes[0].append((value, 0.0))
        size = 0
        while len(self.sizes[size]) > _PER_SIZE:
            if size + 1 == len(self.sizes):
                self.sizes.append([])
            (first, scatter), (second, other) = self.sizes[size][:2]
            del self.sizes[size][:2]
            between = (first - second) ** 2 / (2 << size)
            self.sizes[size + 1].append((first + second, scatter + other + between))
            size += 1

    def _shrink(self) -> tuple[float, float] | None:
        """Drop what lies before the clearest change while there is one; return the means about the first."""
        first = None
        while True:
            found = self._cut()
            if found is None:
                return first
            buckets, before, after = found
            first = first or (before, after)
            for _ in range(buckets):
                self.sizes[-1].pop(0)
                while self.sizes and not self.sizes[-1]:
                    self.sizes.pop()

    def _cut(self) -> tuple[int, float, float] | None:
        """Return how many buckets lie before the clearest change, if there is one, and the means before and after it."""
        buckets = [(1 << size, *bucket) for size in reversed(range(len(self.sizes))) for bucket in self.sizes[size]]
        counts, totals, scatters = np.array(buckets).reshape(-1, 3).T
        n, total = counts.sum(), totals.sum()
        if n < 2 * _SHORTEST:
            return None
        variance = float((scatters + counts * (totals / counts - total / n) ** 2).sum() / n)
        n0, sums = np.cumsum(counts)[:-1], np.cumsum(totals)[:-1]
        n1, before = n - n0, sums / n0
        after = (total - sums) / n1
        excess = np.abs(before - after) - _limit(n0, n1, variance)
        excess[(n0 < _SHORTEST) | (n1 < _SHORTEST)] = -1.0
        place = int(excess.argmax())
        return (place + 1, float(before[place]), float(after[place])) if excess[place] > 0 else None


def _limit(n0: Floats, n1: Floats, variance: float) -> Floats:
    """How far apart the means of the two parts may lie by chance, over all cuts."""
    inverse = 1 / n0 + 1 / n1
    doubt = math.log(2 * math.log(float(n0[0] + n1[0])) / DELTA)
    return np.asarray(np.sqrt(2 * inverse * variance * doubt) + 2 / 3 * inverse * doubt)
