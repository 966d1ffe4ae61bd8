"""Tables of many kinds for the tests of statistics: heavy tails, atoms, offsets, nulls, few and many levels."""

from collections.abc import Callable

import numpy as np

from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task
from perenne.stats.profile import Profile

Draw = Callable[[np.random.Generator, int], Column]


def _with_nulls(rng: np.random.Generator, values: Column, share: float = 0.1) -> Column:
    return np.where(rng.random(len(values)) < share, np.nan, values)


def _levels(rng: np.random.Generator, places: Column) -> Column:
    return np.array([f"level {place}" for place in places.tolist()], object)


KINDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "heavy_tails": lambda rng, n: rng.standard_cauchy(n),
    "zero_inflated": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(0, 1.5, n)),
    "counts": lambda rng, n: rng.poisson(3, n).astype(float),
    "offset": lambda rng, n: rng.normal(1e9, 1, n),
    "nulls": lambda rng, n: _with_nulls(rng, rng.exponential(1, n)),
    "rounded": lambda rng, n: np.round(rng.normal(50, 10, n)),
    "two_hundred_levels": lambda rng, n: _levels(rng, rng.integers(0, 200, n)),
    "long_tailed_levels": lambda rng, n: _levels(rng, np.minimum(rng.zipf(1.3, n), 100_000)),
    "few_levels": lambda rng, n: _levels(rng, rng.integers(0, 3, n)),
}


def table(rng: np.random.Generator, rows: int, features: int = 16) -> dict[str, Column]:
    """Draw a table that has each kind in turn."""
    kinds = list(KINDS)
    return {f"{kinds[place % len(kinds)]}_{place}": KINDS[kinds[place % len(kinds)]](rng, rows) for place in range(features)}


def fields_of(columns: Columns) -> list[Field]:
    """Declare categories where there are objects, numbers elsewhere."""
    kinds = {name: FieldKind.CATEGORY if column.dtype == object else FieldKind.NUMBER for name, column in columns.items()}
    return [Field(name, kind) for name, kind in kinds.items()]


def reference_of(columns: Columns, *, chunks: int = 12) -> Reference:
    """Fit a reference to inputs alone."""
    return Reference.fit(columns, fields_of(columns), chunks=chunks, task=Task.REGRESSION)


def profile_of(reference: Reference, columns: Columns) -> Profile:
    """Count rows."""
    profile = Profile.empty(reference)
    profile.add(columns)
    return profile


def answered(rows: int, seed: int = 0) -> tuple[dict[str, Column], Column, Column, Column]:
    """Draw inputs, scores of two classes, predictions and labels that follow the scores."""
    rng = np.random.default_rng(seed)
    columns = {
        "x": rng.normal(0, 1, rows),
        "nulls": _with_nulls(rng, rng.exponential(1, rows)),
        "level": _levels(rng, rng.integers(0, 5, rows)),
    }
    positive = 1 / (1 + np.exp(-1.5 * columns["x"]))
    labels = (rng.random(rows) < positive).astype(np.int64)
    return columns, np.column_stack([1 - positive, positive]), (positive >= 0.5).astype(np.int64), labels
