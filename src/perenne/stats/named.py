"""The statistics that the field knows by name, of one feature, from the counts that a profile holds.

`measure` computes one of a window, `compare_rows` of two columns; `names` has their names and limits. The formulas are those of
`distances`, `ranks` and `moments`; shares are those of the tested cells.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats import bits, distances, moments, ranks
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.layout import FeatureCells
from perenne.stats.moments import Moments
from perenne.stats.names import P_LIMIT, STATISTICS, Chosen, own_name, resolve
from perenne.stats.numeric import NON_FINITE, NULL, ORDINARY, UNSEEN, NumberCells
from perenne.stats.phases import standard_of
from perenne.stats.profile import Profile
from perenne.stats.spread import tested
from perenne.stats.standard import Standard

Counts = NDArray[np.int64]

_OTHER = 62
_NONE = Moments(0, 0.0, 0.0)


class Measured(msgspec.Struct, frozen=True):
    """A statistic of a window.

    Attributes
    ----------
    name, value : str, float
    p : float or None
        None where the statistic has none.
    n, m : int
        Rows of the reference and of the window that it rests on.
    threshold : float
        The limit: of the value, or of p for a test.
    verdict : str
        `ok`, `alarm`, or `unknown` where a side has no rows.
    """

    name: str
    value: float
    p: float | None
    n: int
    m: int
    threshold: float
    verdict: str


@dataclass(frozen=True, eq=False)
class Sides:
    """The counts of one feature on both sides.

    Attributes
    ----------
    cells : FeatureCells
    reference, window : int64 (64,)
        All cells.
    reference_moments, window_moments : Moments
        Of the standardised numbers.
    """

    cells: FeatureCells
    reference: Counts
    window: Counts
    reference_moments: Moments = _NONE
    window_moments: Moments = _NONE

    @property
    def tested(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The cells that are tested."""
        return tested([self.cells], self.reference[None])[0], tested([self.cells], self.window[None])[0]

    @property
    def ordered(self) -> tuple[Counts, Counts]:
        """The cells in order of value."""
        return self.reference[:ORDINARY], self.window[:ORDINARY]

    def share(self, *cells: int) -> tuple[int, int, int, int]:
        """Rows in some cells, and all rows, of both sides."""
        places = list(cells)
        return (
            int(self.reference[places].sum()),
            int(self.reference.sum()),
            int(self.window[places].sum()),
            int(self.window.sum()),
        )


Outcome = tuple[float, float | None]


def _distance(formula: Callable[[distances.Counts, distances.Counts], NDArray[np.float64]]) -> Callable[[Sides], Outcome]:
    return lambda sides: (float(formula(*sides.tested)), None)


def _independence(formula: Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Callable[[Sides], Outcome]:
    def compute(sides: Sides) -> Outcome:
        value, freedom = formula(*sides.tested)
        return float(value), float(distances.chi2_p(value, freedom))

    return compute


def _ks(sides: Sides) -> Outcome:
    value = float(distances.ks(*sides.ordered))
    return value, float(distances.ks_p(value, *(side.sum() for side in sides.ordered)))


def _ranks(sides: Sides) -> Outcome:
    area, p = distances.rank_sum(*sides.ordered)
    return float(area), float(p)


def _wasserstein(sides: Sides) -> Outcome:
    """Within a cell the window is taken to lie as the reference does, and never nearer than the means are apart."""
    assert isinstance(sides.cells, NumberCells)
    values, fine = bits.in_order(sides.cells.fine, 0.0, 1.0)
    deviation = sides.reference_moments.deviation
    apart = abs(moments.mean_difference(sides.reference_moments, sides.window_moments))
    if not len(values) or not deviation:
        return apart, None
    cell = sides.cells.table[bits.codes(values.astype(np.float32))]
    cell = np.where(cell < ORDINARY, cell, sides.cells.encode(values * sides.cells.scale + sides.cells.center)[0])
    held = np.bincount(cell, weights=fine, minlength=len(sides.window))
    within = [
        np.divide(side, held, out=np.zeros(len(held)), where=held > 0)[cell] * fine for side in (sides.reference, sides.window)
    ]
    return max(apart, distances.wasserstein(values, within[0], within[1], deviation)), None


def _commonest(sides: Sides) -> tuple[int, int, int, int]:
    counts = sides.reference[:ORDINARY]
    return sides.share(int(counts.argmax()))


def _range(sides: Sides) -> Outcome:
    """What the two outermost cells hold more than in the reference: values beyond its span can lie nowhere else."""
    assert isinstance(sides.cells, NumberCells)
    last = len(sides.cells.bounds()[0]) - 1
    return moments.share_rise(*sides.share(*{0, last}))


def _stuck(sides: Sides) -> Outcome:
    rises = distances.shares(sides.window) - distances.shares(sides.reference)
    return moments.share_rise(*sides.share(int(rises[:ORDINARY].argmax())))


def _of_moments(formula: Callable[[Moments, Moments], Outcome]) -> Callable[[Sides], Outcome]:
    return lambda sides: formula(sides.reference_moments, sides.window_moments)


_COMPUTE: dict[str, Callable[[Sides], Outcome]] = {
    "psi": _distance(distances.psi),
    "kl": _distance(distances.kl),
    "js_divergence": _distance(distances.js_divergence),
    "js_distance": _distance(distances.js_distance),
    "hellinger": _distance(distances.hellinger),
    "tv": _distance(distances.tv),
    "linf": _distance(distances.linf),
    "ks": _ks,
    "chi2": _independence(distances.chi2),
    "g_test": _independence(distances.g_test),
    "cramer_von_mises": lambda sides: ranks.cramer_von_mises(*sides.ordered),
    "anderson_darling": lambda sides: ranks.anderson_darling(*sides.ordered),
    "wasserstein": _wasserstein,
    "z_share": lambda sides: moments.z_share(*_commonest(sides)),
    "fisher_exact": lambda sides: moments.fisher_exact(*_commonest(sides)),
    "t_test": _of_moments(moments.t_test),
    "mean_difference": _of_moments(lambda a, b: (moments.mean_difference(a, b), moments.t_test(a, b)[1])),
    "variance_ratio": _of_moments(moments.variance_ratio),
    "mann_whitney": _ranks,
    "missing_share": lambda sides: moments.share_rise(*sides.share(NULL)),
    "unseen_share": lambda sides: moments.share_rise(*sides.share(UNSEEN, _OTHER)),
    "non_finite_share": lambda sides: moments.share_rise(*sides.share(NON_FINITE)),
    "range": _range,
    "stuck": _stuck,
}


def suits(name: str, cells: FeatureCells) -> bool:
    """Tell whether a statistic can be had of a feature: some need an order of values."""
    return isinstance(cells, NumberCells) or not STATISTICS[name].numbers


def measure(
    reference: Reference, window: Profile, feature: str, choice: Chosen | str, against: Standard | None = None
) -> Measured:
    """Compute a statistic of one feature of a window, compared with the reference or another standard in its cells.

    Raises
    ------
    Invalid
        If it needs numbers, and the feature has levels.
    NotFound
        If the reference has no such feature.
    """
    choice = resolve(choice) if isinstance(choice, str) else choice
    place = reference.place(feature)
    cells, numeric = reference.layout.features[place], reference.layout.numeric
    before = standard_of(reference) if against is None else against
    given = (before.baseline.counts[place], window.counts[place])
    if place not in numeric:
        return measure_sides(Sides(cells, *given), choice)
    row = numeric.index(place)
    both = [
        Moments.of(int(counts[:ORDINARY].sum()), *profile.moments[row, :2].tolist())
        for profile, counts in ((before.profile, before.profile.counts[place]), (window, given[1]))
    ]
    return measure_sides(Sides(cells, *given, *both), choice)


def measure_sides(sides: Sides, choice: Chosen) -> Measured:
    """Compute a statistic of two sides' counts. Raises Invalid if it needs numbers, and there are levels."""
    statistic = STATISTICS[choice.name]
    if not suits(choice.name, sides.cells):
        raise Invalid(
            f"'{choice.name}' needs numbers, and '{sides.cells.name}' has levels",
            code="statistic.levels",
            hint="levels have no order: psi, js_distance or chi2 take them",
        )
    counted = sides.ordered if statistic.numbers else (sides.reference, sides.window)
    n, m = (int(side.sum()) for side in counted)
    if not n or not m:
        return Measured(choice.name, 0.0, None, n, m, choice.threshold, "unknown")
    value, p = _COMPUTE[choice.name](sides)
    verdict = "alarm" if statistic.alarms(value, p, choice.threshold) else "ok"
    return Measured(choice.name, value, p, n, m, choice.threshold, verdict)


def compare_rows(reference: Column, window: Column, choice: Chosen | str, kind: FieldKind = FieldKind.NUMBER) -> Measured:
    """Compute a statistic of two columns: the reference's rows fix the cells, as they do for a model version.

    `epps_singleton` looks at the rows themselves.
    """
    if isinstance(choice, str) and own_name(choice.split("(")[0]) == "epps_singleton":
        return epps_singleton(reference, window)
    fitted = Reference.fit({"value": reference}, (Field("value", kind),), chunks=1, task=Task.REGRESSION)
    profile = Profile.empty(fitted)
    profile.add({"value": window})
    return measure(fitted, profile, "value", choice)


def epps_singleton(reference: Column, window: Column, threshold: float = P_LIMIT) -> Measured:
    """Compare the characteristic functions of two columns of numbers; missing and infinite values are left out."""
    from scipy.stats import epps_singleton_2samp

    first, second = (side[np.isfinite(side)] for side in (np.asarray(reference, float), np.asarray(window, float)))
    if min(len(first), len(second)) < 5:
        return Measured("epps_singleton", 0.0, None, len(first), len(second), threshold, "unknown")
    value, p = epps_singleton_2samp(first, second)
    return Measured(
        "epps_singleton", float(value), float(p), len(first), len(second), threshold, "alarm" if p < threshold else "ok"
    )
