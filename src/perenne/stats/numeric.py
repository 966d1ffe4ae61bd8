"""Cells of a numeric feature: quantile cells and atoms in the order of their values, found by a lookup table over bit codes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from perenne.stats import bits
from perenne.stats.columns import Column, FieldKind

CELLS = 64
"""Cells of every feature."""

ORDINARY = 60
"""Cells below this one hold values or levels in order; the four above have fixed meanings."""

NULL, NON_FINITE, UNSEEN = 60, 61, 63

GROUPS = 16
"""Groups of neighbouring cells that carry sums; the last three hold non-finite, null, unseen."""

_ORDINARY_GROUPS = GROUPS - 3
_ATOM_SHARE = 0.02
_ATOM_ROWS = 5
_MAX_ATOMS = 16
_MAX_DISCRETE = 29
_TESTED_QUANTILES = 32
_TESTED_ROWS = 20
_SEARCH = np.uint8(255)  # in a table: this code holds an atom or several edges, so look at the value itself
_DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class NumberCells:
    """How one number falls into a cell, as the reference fixed it.

    Attributes
    ----------
    name, kind : str, FieldKind
        The feature; a time is watched by its time of day, for its date always moves on.
    center, scale : float
        Median and spread of the reference, for the bit codes.
    narrow : bool
        Values are compared as float32, because the reference's repeated values survive it.
    points, atoms : arrays of equal length
        Edges and atoms by rising value, and which of them are atoms.
    table : uint8 (16384,)
        Cell of each bit code.
    places : uint8 (2 points + 1,)
        Cell of each point and of each gap beside one, for codes that hold several.
    groups, tests : uint8 (64,)
        Group of each cell for sums; cell into which each cell is merged for tests.
    minimum, maximum, median : float
        Of the reference's finite values, as given; NaN if there were none.
    fine : int64 (16384,)
        The reference's bit histogram.
    """

    name: str
    kind: FieldKind
    center: float
    scale: float
    narrow: bool
    points: NDArray[np.float64]
    atoms: NDArray[np.bool_]
    table: NDArray[np.uint8]
    groups: NDArray[np.uint8]
    tests: NDArray[np.uint8]
    minimum: float
    maximum: float
    median: float
    fine: NDArray[np.int64]
    places: NDArray[np.uint8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", _places(self.atoms))

    @classmethod
    def fit(cls, name: str, kind: FieldKind, column: Column) -> "NumberCells":
        """Fix the cells by the values of a reference."""
        given, _ = numbers(column)
        finite = given[np.isfinite(given)]
        minimum, maximum, median = (
            (float(finite.min()), float(finite.max()), float(np.median(finite))) if len(finite) else (np.nan,) * 3
        )
        watched = _watched(kind, given)
        finite = watched[np.isfinite(watched)]
        atoms, narrow = _find_atoms(finite)
        if narrow:
            watched, finite = _as_float32(watched), _as_float32(finite)
        center, scale = center_and_scale(finite)
        edges = _find_edges(finite, atoms)
        points = np.concatenate([edges, atoms])
        order = np.argsort(points, kind="stable")
        points, is_atom = points[order], (np.arange(len(points)) >= len(edges))[order]
        table = _build_table(points, is_atom, center, scale, empty=len(finite) == 0)
        counts = np.bincount(_locate(watched, points, _places(is_atom), table, center, scale)[0], minlength=CELLS)
        return cls(
            name=name,
            kind=kind,
            center=center,
            scale=scale,
            narrow=narrow,
            points=points,
            atoms=is_atom,
            table=table,
            groups=_number_groups(counts),
            tests=_number_tests(is_atom, counts),
            minimum=minimum,
            maximum=maximum,
            median=median,
            fine=bits.histogram(watched, center, scale),
        )

    def encode(self, column: Column) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the cell and the standardised value of each value; a value that is no number is `UNSEEN`, and 0."""
        values, alien = numbers(column)
        values = _watched(self.kind, values)
        if self.narrow:
            values = _as_float32(values)
        cells, standardised = _locate(values, self.points, self.places, self.table, self.center, self.scale)
        if alien is not None:
            cells[alien] = UNSEEN
        return cells, np.where(cells < ORDINARY, standardised, np.float64(0))

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper value of each cell in use, in order; an atom's are equal, the outermost are infinite."""
        lower, upper = [-np.inf], []
        for point, atom in zip(self.points.tolist(), self.atoms.tolist(), strict=True):
            upper.append(point)
            if atom:
                lower.append(point)
                upper.append(point)
            lower.append(point)
        upper.append(np.inf)
        return np.array(lower), np.array(upper)

    def atom_cells(self) -> NDArray[np.int64]:
        """Return the cells that are atoms."""
        lower, upper = self.bounds()
        return np.flatnonzero(lower == upper)


def numbers(column: Column) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Read a column as float64, NaN for None; also tell which values are no numbers, or None if all can be read."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64, copy=False), None
    values = np.full(len(column), np.nan)
    alien = np.zeros(len(column), np.bool_)
    for row, value in enumerate(column.tolist()):
        if value is not None:
            try:
                values[row] = float(value)
            except (TypeError, ValueError, OverflowError):
                alien[row] = True
    return values, alien


def _watched(kind: FieldKind, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if kind is not FieldKind.TIME:
        return values
    with np.errstate(invalid="ignore"):
        return np.mod(values, _DAY)


def _as_float32(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32).astype(np.float64)


def center_and_scale(finite: NDArray[np.float64]) -> tuple[float, float]:
    """Median and interquartile range, else standard deviation, else 1; within what float32 can hold of the reference."""
    if not len(finite):
        return 0.0, 1.0
    low, center, high = (float(value) for value in np.quantile(finite, [0.25, 0.5, 0.75], method="nearest"))
    with np.errstate(over="ignore"):
        scale = high - low or float(np.std(finite / 2) * 2)
        farthest = float(max(finite.max() - center, center - finite.min()))
    return center, min(max(scale, farthest * 1e-30), 1e300) or max(1.0, abs(center) * 1e-30)


def _find_atoms(finite: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return the values that are cells of their own, and whether comparing as float32 leaves them as they are."""
    values, counts = np.unique(finite, return_counts=True)
    # Few distinct values mean "discrete" only if hardly any value was met once: else the next row brings a new one.
    if len(values) <= _MAX_DISCRETE and (counts == 1).sum() <= _ATOM_SHARE * len(finite):
        chosen = np.arange(len(values))
    else:
        common = np.flatnonzero(counts > max(_ATOM_SHARE * len(finite), _ATOM_ROWS))
        chosen = common[np.argsort(-counts[common], kind="stable")][:_MAX_ATOMS]
    atoms, held = values[chosen], counts[chosen]
    narrowed = _as_float32(atoms)
    cast = np.sort(_as_float32(finite))
    same = np.searchsorted(cast, narrowed, "right") - np.searchsorted(cast, narrowed, "left")
    narrow = bool(np.array_equal(same, held) and np.isfinite(narrowed).all())
    return np.sort(narrowed if narrow else atoms), narrow


def _find_edges(finite: NDArray[np.float64], atoms: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = np.sort(finite[~np.isin(finite, atoms)])
    wanted = min(ORDINARY - 1 - 2 * len(atoms), len(rest) - 1)
    if wanted <= 0:
        return np.empty(0)
    places = (np.arange(1, wanted + 1) * len(rest)) // (wanted + 1)
    return np.setdiff1d(rest[places], [*atoms, rest[0]])


def _places(atoms: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Cell by place: `2p` lies between the points p-1 and p, `2p + 1` on point p (an edge belongs to the cell above)."""
    gaps = np.arange(len(atoms) + 1) + np.concatenate([[0], np.cumsum(atoms)])
    places = np.empty(2 * len(atoms) + 1, np.uint8)
    places[0::2] = gaps
    places[1::2] = gaps[1:] - atoms
    return places


def _build_table(
    points: NDArray[np.float64], atoms: NDArray[np.bool_], center: float, scale: float, *, empty: bool
) -> NDArray[np.uint8]:
    """Give every code its cell. A single edge moves to the nearer end of its code; atoms and crowded edges need a search."""
    standardised = bits.standardise(points, center, scale)
    held = bits.codes(standardised)
    ranks = bits.RANK[held]
    below = np.searchsorted(ranks, bits.RANK, "left")
    within = np.searchsorted(ranks, bits.RANK, "right") - below
    place = below.copy()
    single = np.flatnonzero(within == 1)
    place[single] += standardised[below[single]] <= bits.MIDDLE[single]
    table = _places(atoms)[2 * place]
    table[(within > 1) | np.isin(np.arange(bits.CODES), held[atoms])] = _SEARCH
    if empty:
        table[:] = UNSEEN
    table[list(bits.INFINITE_CODES)] = NON_FINITE
    table[bits.NAN_CODES] = NULL
    return table


def _locate(
    values: NDArray[np.float64],
    points: NDArray[np.float64],
    places: NDArray[np.uint8],
    table: NDArray[np.uint8],
    center: float,
    scale: float,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    standardised = bits.standardise(values, center, scale)
    cells = table.take(bits.codes(standardised))
    searched = np.flatnonzero(cells == _SEARCH)
    if len(searched):
        sought = values[searched]
        right = np.searchsorted(points, sought, "right")
        on_point = points[right - 1] == sought
        cells[searched] = places[2 * right - (on_point & (right > 0))]
    return cells, standardised


def _number_groups(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Split the ordinary cells into runs of about equal reference count."""
    groups = np.zeros(CELLS, np.uint8)
    ordinary = counts[:ORDINARY]
    middle = (np.cumsum(ordinary) - ordinary / 2) / max(1, ordinary.sum())
    groups[:ORDINARY] = np.minimum(_ORDINARY_GROUPS - 1, (middle * _ORDINARY_GROUPS).astype(np.int64))
    groups[ORDINARY:] = special_groups()
    return groups


def special_groups() -> NDArray[np.uint8]:
    """Return the groups of the cells null, non-finite, 62 (not in use) and unseen."""
    return np.array([GROUPS - 2, GROUPS - 3, GROUPS - 3, GROUPS - 1], np.uint8)


def _number_tests(atoms: NDArray[np.bool_], counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Merge runs of neighbouring quantile cells, never across an atom, if there are more than are tested.

    Their edges lie where the reference's own rows do, so that a cell of few rows is narrower or wider than its share says: with 4
    rows a cell, chi-square comes out a third too large on average, and far too large often; with 20 a twentieth.
    """
    tests = np.arange(CELLS, dtype=np.uint8)
    gaps = _places(atoms)[0::2]
    most = max(1, min(_TESTED_QUANTILES, int(counts[gaps].sum()) // _TESTED_ROWS))
    longest, length = -(-len(gaps) // most), 1
    for before, after in zip(gaps[:-1].tolist(), gaps[1:].tolist(), strict=True):
        length = length + 1 if after == before + 1 and length < longest else 1
        if length > 1:
            tests[after] = tests[before]
    return tests
