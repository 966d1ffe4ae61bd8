"""The rules compared: ours, and the defaults of others as their code has them (Evidently 0.7.23, NannyML 0.13.1).

A rule is made from a reference in time order and answers, for a window, in which columns it alarms.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.drift import judge
from perenne.stats.profile import Profile

Table = dict[str, NDArray[Any]]


class Rule(Protocol):
    """What can tell in which columns a window has drifted."""

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the columns; `history` are the windows before it, oldest first."""
        ...


class Ours:
    """The drift rule of `perenne.stats`."""

    def __init__(self, reference: Table, window_rows: int) -> None:
        fields = [Field(name, FieldKind.CATEGORY if c.dtype == object else FieldKind.NUMBER) for name, c in reference.items()]
        rows = len(next(iter(reference.values())))
        self.reference = Reference.fit(reference, fields, chunks=int(np.clip(rows // window_rows, 8, 56)), task=Task.REGRESSION)

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the columns in alarm."""
        profile = Profile.empty(self.reference)
        profile.add(window)
        verdict = judge(self.reference, profile)
        return {feature.name for feature in verdict.features if feature.state == "alarm"}


class Tested:
    """Kolmogorov and Smirnov for numbers, chi-square for levels, nulls dropped; alarms at a p."""

    def __init__(self, reference: Table, limit: float, *, shared: bool) -> None:
        self._reference = {name: _known(column) for name, column in reference.items()}
        self._limit = limit / len(reference) if shared else limit

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the columns whose p is below the limit."""
        return {name for name, column in window.items() if _p(self._reference[name], _known(column)) < self._limit}


class Psi:
    """Population stability index over the reference's ten deciles, or its levels; alarms above 0.2."""

    def __init__(self, reference: Table) -> None:
        self._reference = {name: _known(column) for name, column in reference.items()}

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the columns above the limit."""
        return {name for name, column in window.items() if self._value(self._reference[name], _known(column)) > 0.2}

    @staticmethod
    def _value(reference: NDArray[Any], window: NDArray[Any]) -> float:
        if reference.dtype == object:
            p, q = _level_shares(reference, window)
        else:
            edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11)))
            edges[0], edges[-1] = -np.inf, np.inf
            p, q = (np.histogram(side, edges)[0] / max(1, len(side)) for side in (reference, window))
        p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
        return float(((q - p) * np.log(q / p)).sum())


class Evidently:
    """Up to 1,000 reference rows KS or chi-square at 0.05; above, Wasserstein over the deviation, or Jensen-Shannon, at 0.1."""

    def __init__(self, reference: Table) -> None:
        self._reference = {name: _known(column) for name, column in reference.items()}
        self._small = len(next(iter(reference.values()))) <= 1000

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the drifted columns."""
        return {name for name, column in window.items() if self._drifts(self._reference[name], _known(column))}

    def _drifts(self, reference: NDArray[Any], window: NDArray[Any]) -> bool:
        if not len(window):
            return True
        few = reference.dtype == object or len(np.unique(reference)) <= 5
        if self._small:
            return _p(reference.astype(object) if few else reference, window.astype(object) if few else window) < 0.05
        if few:
            p, q = _level_shares(reference.astype(object), window.astype(object))
            p, q = (np.where(side == 0, 1e-4, side) for side in (p, q))
            return float(jensenshannon(p, q)) >= 0.1
        return float(stats.wasserstein_distance(reference, window)) / max(float(np.std(reference)), 0.001) >= 0.1


class NannyML:
    """Jensen-Shannon distance in bits; limit: mean and three deviations of the reference's own chunks."""

    def __init__(self, reference: Table, window_rows: int) -> None:
        rows = len(next(iter(reference.values())))
        starts = range(0, rows - window_rows + 1, window_rows)
        self._reference = {name: _known(column) for name, column in reference.items()}
        self._edges, self._limits = {}, {}
        for name, column in reference.items():
            known = self._reference[name]
            self._edges[name] = None if known.dtype == object else np.histogram_bin_edges(known, bins="doane")
            own = [self._value(name, column[start : start + window_rows]) for start in starts]
            self._limits[name] = float(np.mean(own) + 3 * np.std(own))

    def alarms(self, window: Table, history: Sequence[Table]) -> set[str]:
        """Return the columns beyond their limit."""
        return {name for name, column in window.items() if self._value(name, column) > self._limits[name]}

    def _value(self, name: str, column: NDArray[Any]) -> float:
        reference, window, edges = self._reference[name], _known(column), self._edges[name]
        if not len(window):
            return 1.0
        if edges is None:
            return float(jensenshannon(*_level_shares(reference, window), base=2))
        p, q = (np.histogram(side, edges)[0] / len(side) for side in (reference, window))
        p, q = (np.append(side, max(0.0, 1 - side.sum())) for side in (p, q))
        return float(jensenshannon(p, q, base=2))


def _known(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype != object:
        return np.asarray(column[np.isfinite(column)])
    return np.array([value for value in column.tolist() if value is not None], object)


def _level_counts(reference: NDArray[Any], window: NDArray[Any]) -> NDArray[Any]:
    levels: dict[object, int] = {}
    codes = [[levels.setdefault(value, len(levels)) for value in side.tolist()] for side in (reference, window)]
    return np.array([np.bincount(np.array(side, int), minlength=len(levels)) for side in codes])


def _level_shares(reference: NDArray[Any], window: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    counts = _level_counts(reference, window)
    return counts[0] / counts[0].sum(), counts[1] / counts[1].sum()


def _p(reference: NDArray[Any], window: NDArray[Any]) -> float:
    if not len(window):
        return 0.0
    if reference.dtype != object:
        return float(stats.ks_2samp(reference, window, method="asymp").pvalue)
    counts = _level_counts(reference, window)
    return float(stats.chi2_contingency(counts, correction=False).pvalue) if counts.shape[1] > 1 else 1.0
