"""The pairs of numbers a person should look at, and what a coefficient does not say about them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from perenne.data.aspects import Associations, Residuals
from perenne.data.associations import correlation_ratio, correlations, finite, is_number, ranks, varies
from perenne.data.model import PairProfile
from perenne.data.tables import Values, scale_of
from perenne.stats.columns import Column

SHAPE_DIFFERENCE = 0.1
"""Pearson's and Spearman's coefficients this far apart, or what a curve or a few rows add: a line misleads."""

_STRONG, _HIDDEN = 0.5, 0.25
_MAX_COLUMNS = 100
_MAX_PAIRS = {"shape": 20, "hidden": 10, "strong": 10}
_PAIR_BINS = 16
_FEW = 0.005
_FAN = 0.3
_FEWEST, _FEWEST_FOR_FAN = 8, 50
_CERTAIN = 10.0


def pairs_of(columns: Mapping[str, Values], associations: Associations | None) -> tuple[PairProfile, ...]:
    """Return the pairs of numbers worth a look: those a line would mislead about, and the strongest.

    Spearman's coefficient is Pearson's of the ranks among each column's own values. At most the first 100 columns are paired.
    """
    numbers = {name: finite(values) for name, values in columns.items() if is_number(values)}
    names = [name for name, values in numbers.items() if varies(values)][:_MAX_COLUMNS]
    if len(names) < 2:
        return ()
    matrix = np.column_stack([numbers[name] / scale_of(numbers[name]) for name in names])
    pearson, spearman = correlations(matrix), correlations(ranks(matrix))
    first, second = np.triu_indices(len(names), 1)
    r, rho = pearson[first, second], spearman[first, second]
    apart, strength = np.abs(r - rho), _strengths(associations, names, first, second)
    chosen: dict[int, str] = {}
    for reason, weight, wanted in (
        ("shape", apart, apart > SHAPE_DIFFERENCE),
        ("hidden", strength, (strength >= _HIDDEN) & (np.abs(r) < _STRONG)),
        ("strong", np.abs(r), np.abs(r) >= _STRONG),
    ):
        order = [int(at) for at in np.argsort(-weight, kind="stable") if wanted[at] and at not in chosen]
        chosen |= dict.fromkeys(order[: _MAX_PAIRS[reason]], reason)
    return tuple(
        _pair(names[first[at]], names[second[at]], numbers, float(r[at]), float(rho[at]), reason) for at, reason in chosen.items()
    )


def _strengths(
    associations: Associations | None, names: list[str], first: NDArray[np.int64], second: NDArray[np.int64]
) -> Column:
    if associations is None:
        return np.zeros(len(first))
    places = (associations.place(names[i], names[j]) for i, j in zip(first, second, strict=True))
    return np.array([0.0 if place is None else associations.strength[place] for place in places])


def _oriented(x: str, y: str, numbers: Mapping[str, Column], pearson: float) -> tuple[str, str]:
    """Put first what the other one is a curve of, if it is so one way only."""
    both = ~(np.isnan(numbers[x]) | np.isnan(numbers[y]))
    xs, ys = numbers[x][both] / scale_of(numbers[x]), numbers[y][both] / scale_of(numbers[y])
    turned = xs.size >= 2 * _FEWEST_FOR_FAN and not _curved(xs, ys, pearson) and _curved(ys, xs, pearson)
    return (y, x) if turned else (x, y)


def _pair(x: str, y: str, numbers: Mapping[str, Column], pearson: float, spearman: float, reason: str) -> PairProfile:
    x, y = _oriented(x, y, numbers, pearson)
    both = ~(np.isnan(numbers[x]) | np.isnan(numbers[y]))
    x_scale, y_scale = scale_of(numbers[x]), scale_of(numbers[y])
    xs, ys = numbers[x][both] / x_scale, numbers[y][both] / y_scale
    counts, x_edges, y_edges = np.histogram2d(xs, ys, _PAIR_BINS)
    slope, intercept = _line(xs, ys)
    residuals = ys - slope * xs - intercept
    over, _, over_edges = np.histogram2d(xs, residuals, [x_edges, _PAIR_BINS])
    flags = _flags(xs, ys, residuals, pearson)
    return PairProfile(
        x, y, pearson, spearman, reason, _bounds(x_edges, x_scale), _bounds(y_edges, y_scale), _counts(counts),
        (*flags, "hidden") if reason == "hidden" else flags,
        Residuals(
            slope=slope * (y_scale / x_scale), intercept=intercept * y_scale, edges=_bounds(over_edges, y_scale),
            counts=_counts(over),
        ),
    )  # fmt: skip


def _bounds(edges: Column, scale: float) -> tuple[float, ...]:
    return tuple((edges * scale).tolist())


def _counts(counts: Column) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in counts.astype(np.int64).tolist())


def _line(xs: Column, ys: Column) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; level if x does not vary."""
    if not xs.size:
        return 0.0, 0.0
    dx = xs - xs.mean()
    spread = float(np.square(dx).sum())
    slope = float((dx * (ys - ys.mean())).sum()) / spread if spread > 0 else 0.0
    return slope, float(ys.mean() - slope * xs.mean())


def _flags(xs: Column, ys: Column, residuals: Column, r: float) -> tuple[str, ...]:
    """Tell what a coefficient hides: a curve, a spread that grows, a line that leans on a few rows, a few rows off the line."""
    if xs.size < _FEWEST:
        return ()
    checks = (
        ("curve", _curved(xs, ys, r)),
        ("fan", xs.size >= _FEWEST_FOR_FAN and abs(_rank_correlation(np.abs(residuals), xs)) > _FAN),
        ("lever", abs(r) > SHAPE_DIFFERENCE and abs(r - _r(xs, ys, _fewest(_standing(xs)))) > SHAPE_DIFFERENCE),
        ("outlier", abs(_r(xs, ys, _fewest(_standing(residuals)))) - abs(r) > SHAPE_DIFFERENCE),
    )
    return tuple(flag for flag, found in checks if found)


def _standing(values: Column) -> Column:
    """Return how far each value is from the mean."""
    distance: Column = np.abs(values - values.mean())
    return distance


def _fewest(distance: Column) -> NDArray[np.bool_]:
    """Return all rows but the farthest ones: one in two hundred, and one at least."""
    few = max(1, int(_FEW * distance.size))
    kept = np.ones(distance.size, np.bool_)
    kept[np.argpartition(-distance, few - 1)[:few]] = False
    return kept


def _r(xs: Column, ys: Column, kept: NDArray[np.bool_]) -> float:
    dx, dy = xs[kept] - xs[kept].mean(), ys[kept] - ys[kept].mean()
    scale = float(np.sqrt(np.square(dx).sum() * np.square(dy).sum()))
    return float((dx * dy).sum()) / scale if scale > 1e-12 else 0.0


def _rank_correlation(a: Column, b: Column) -> float:
    return float(correlations(ranks(np.column_stack([a, b])))[0, 1])


def _curved(xs: Column, ys: Column, r: float) -> bool:
    """Tell whether a parabola, or means by quantile, tell clearly more of y than a line does."""
    n = xs.size
    standard = (xs - xs.mean()) / (xs.std() or 1.0)
    design = np.column_stack([np.ones(n), standard, np.square(standard)])
    squares, products = np.einsum("ij,ik->jk", design, design), np.einsum("ij,i->j", design, ys)
    solution = np.linalg.lstsq(squares, products, rcond=None)[0]
    total = float(np.square(ys - ys.mean()).sum()) or 1.0
    left = float(np.square(ys - (design * solution).sum(1)).sum()) / total
    gain = 1 - left - r * r
    if gain > SHAPE_DIFFERENCE and gain > _CERTAIN * left / max(n - 3, 1):
        return len(np.unique(xs[:1_000])) > 2
    bins = int(np.clip(np.sqrt(n / 5), 2, 16))
    edges = np.unique(np.quantile(xs, np.linspace(0, 1, bins + 1)[1:-1]))
    ratio = correlation_ratio(np.searchsorted(edges, xs, "left"), len(edges) + 1, ys)
    return n >= 100 and ratio**2 - r * r > SHAPE_DIFFERENCE
