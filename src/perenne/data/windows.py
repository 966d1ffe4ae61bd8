"""The rows of a window of time, and where the window parts them from the others."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne.core.clock import SECOND, format_time
from perenne.core.errors import Invalid
from perenne.data.fields import to_columns
from perenne.stats.columns import Field, FieldKind


class Cuts(NamedTuple):
    """The times of the rows on both sides of a window's start and end, in microseconds since 1970."""

    before: int | None
    first: int
    last: int
    after: int | None


def rows_within(table: pa.Table, time: str, window: tuple[int, int]) -> tuple[pa.Table, Cuts]:
    """Return the rows whose time is in `[start, end)`; those without a time are left out.

    Raises
    ------
    Invalid
        If there is no such column, it holds no times, or no row is in the window.
    """
    start, end = window
    seconds = to_columns(table, [Field(time, FieldKind.TIME, "timestamp")])[time]
    known = ~np.isnan(seconds)
    instants = np.rint(np.where(known, seconds, 0) * SECOND).astype(np.int64)
    within = known & (instants >= start) & (instants < end)
    if not within.any():
        raise _no_rows(time, window, instants[known])
    earlier, later = instants[known & (instants < start)], instants[known & (instants >= end)]
    cuts = Cuts(
        int(earlier.max()) if earlier.size else None,
        int(instants[within].min()),
        int(instants[within].max()),
        int(later.min()) if later.size else None,
    )
    return table.filter(pa.array(within)), cuts


def _no_rows(time: str, window: tuple[int, int], instants: NDArray[np.int64]) -> Invalid:
    start, end = map(format_time, window)
    hint = "no row has a time"
    if instants.size:
        hint = f"its times are from {format_time(int(instants.min()))} to {format_time(int(instants.max()))}"
    return Invalid(f"column {time!r}: no row from {start} to {end}", code="data.no_rows", hint=hint)
