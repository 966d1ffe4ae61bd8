"""What changed in a feature, in words: the one or two things that moved the most."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import FieldKind
from perenne.stats.distances import shares
from perenne.stats.layout import FeatureCells
from perenne.stats.levels import NAMED
from perenne.stats.numeric import NON_FINITE, NULL, ORDINARY, UNSEEN, NumberCells
from perenne.stats.profile import NewLevel

_MAX_TEXT = 40
_SECOND = 0.25  # a second thing is told if it moved at least this much of the first
_MEDIAN_STEP = 0.05  # of the reference's spread; less is told as a change of width

Shares = NDArray[np.float64]


def describe(
    feature: FeatureCells, reference: NDArray[np.int64], window: NDArray[np.int64], new_levels: Sequence[NewLevel] = ()
) -> str:
    """Say what changed between two rows of counts; empty if one side has no rows or nothing changed.

    Parameters
    ----------
    reference, window : int64 (64,)
    new_levels : sequence of NewLevel
        Some of the levels the reference did not have.
    """
    if not reference.sum() or not window.sum():
        return ""
    p, q = shares(reference), shares(window)
    told = _special(feature, p, q, new_levels, int(window.sum()))
    told += _values(feature, p, q) if isinstance(feature, NumberCells) else _levels(feature.levels, p, q)
    told = sorted((clause for clause in told if clause[0] > 0), key=lambda clause: -clause[0])
    return ", ".join(text for moved, text in told[:2] if moved >= _SECOND * told[0][0])


def _special(feature: FeatureCells, p: Shares, q: Shares, new_levels: Sequence[NewLevel], rows: int) -> list[tuple[float, str]]:
    names = {NULL: "missing", NON_FINITE: "infinite", UNSEEN: "no number"}
    told = [(_moved(p, q, cell), f"{name} {_change(p[cell], q[cell])}") for cell, name in names.items()]
    if not isinstance(feature, NumberCells):
        told[-1] = (_moved(p, q, UNSEEN), _new(new_levels, rows, q[UNSEEN]))
    return told


def _new(levels: Sequence[NewLevel], rows: int, share: float) -> str:
    if not levels:
        return f"new levels {_percent(share)}"
    most = max(levels, key=lambda level: level.rows)
    if len(levels) == 1:
        return f"new level {_quoted(most.text)} {_percent(most.rows / rows)}"
    return f"new levels {_percent(share)}, such as {_quoted(most.text)}"


def _levels(levels: Sequence[str], p: Shares, q: Shares) -> list[tuple[float, str]]:
    named = [(_moved(p, q, cell), f"{_quoted(level)} {_change(p[cell], q[cell])}") for cell, level in enumerate(levels)]
    rare = slice(NAMED, ORDINARY)
    moved = float(np.abs(p[rare] - q[rare]).sum() / 2)
    return [*named, (moved, f"rare levels {_change(p[rare].sum(), q[rare].sum())}")]


def _values(feature: NumberCells, p: Shares, q: Shares) -> list[tuple[float, str]]:
    """Say how the values moved: one repeated value, else the median, else the width."""
    p, q = p[:ORDINARY], q[:ORDINARY]
    if not p.sum() or not q.sum():
        return []
    moved = float(np.abs(p / p.sum() - q / q.sum()).sum() / 2 * min(p.sum(), q.sum()))
    lower, upper = feature.bounds()
    atoms = feature.atom_cells()
    if len(atoms):
        atom = int(atoms[np.abs(q[atoms] - p[atoms]).argmax()])
        if abs(q[atom] - p[atom]) > moved / 2:
            return [(moved, f"exactly {_number(feature, lower[atom])}: {_change(p[atom], q[atom])}")]
    before, after = _quantile(feature, p, 0.5), _quantile(feature, q, 0.5)
    if abs(after - before) > _MEDIAN_STEP * feature.scale or after < lower[1] or after > upper[-2]:
        return [(moved, f"median {_number(feature, before)} -> {_open(feature, after)}")]
    halves = [[_open(feature, _quantile(feature, side, share)) for share in (0.25, 0.75)] for side in (p, q)]
    return [(moved, f"middle half {' to '.join(halves[0])} -> {' to '.join(halves[1])}")]


def _quantile(feature: NumberCells, ordinary: Shares, share: float) -> float:
    """Interpolate a quantile between the edges of its cell; infinite in a cell that is open to that side."""
    lower, upper = feature.bounds()
    below = np.cumsum(ordinary) / ordinary.sum()
    cell = min(int(np.searchsorted(below, share)), len(lower) - 1)
    start = below[cell - 1] if cell else 0.0
    if np.isinf(lower[cell]) or np.isinf(upper[cell]):
        return float(lower[cell] if np.isinf(lower[cell]) else upper[cell])
    within = (share - start) / max(below[cell] - start, 1e-12)
    return float(lower[cell] + within * (upper[cell] - lower[cell]))


def _open(feature: NumberCells, value: float) -> str:
    if np.isfinite(value) or not len(feature.points):
        return _number(feature, value)
    return f"below {_number(feature, feature.points[0])}" if value < 0 else f"above {_number(feature, feature.points[-1])}"


def _number(feature: NumberCells, value: float) -> str:
    if feature.kind is FieldKind.TIME and np.isfinite(value):
        return f"{int(value // 3600):02d}:{int(value % 3600 // 60):02d}"
    return f"{value:.4g}"


def _moved(p: Shares, q: Shares, cell: int) -> float:
    return float(abs(p[cell] - q[cell]))


def _change(before: float, after: float) -> str:
    return f"{_percent(before)} -> {_percent(after)}"


def _percent(share: float) -> str:
    """Write a share.

    >>> [_percent(share) for share in (0, 0.0004, 0.021, 0.31)]
    ['0 %', '<0.1 %', '2.1 %', '31 %']
    """
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == round(percent) else f"{percent:.1f} %"


def _quoted(level: str) -> str:
    return f"'{level if len(level) <= _MAX_TEXT else level[: _MAX_TEXT - 1] + '…'}'"
