"""Adding to what is there: rows above a watermark, or of files that are new. What is kept already never changes."""

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.data.origins.uniting import Part, unite

pc: Any = pyarrow.compute


class Grown(NamedTuple):
    """All rows, how many were added, the watermark as it is kept, and what a person should know."""

    table: pa.Table
    added: int
    watermark: str
    notes: tuple[str, ...] = ()


def grow(before: pa.Table | None, read: pa.Table, name: str) -> Grown:
    """Put rows that were read behind those of before, in the order they came in."""
    if before is None:
        return Grown(read, read.num_rows, "")
    if read.num_rows == 0:
        return Grown(before, 0, "")
    return Grown(unite([Part("what is kept", before), Part(name, read)]), read.num_rows, "")


def grow_by(before: pa.Table | None, read: pa.Table, column: str, last: str, name: str) -> Grown:
    """Add the rows above the last watermark, in its order; rows up to it that are new or gone are counted, not taken.

    Parameters
    ----------
    last : str
        The highest value so far, as JSON; empty at first.

    Raises
    ------
    Invalid
        If there is no such column, or it cannot be compared.
    """
    if column not in read.column_names:
        known = ", ".join(read.column_names[:20])
        raise Invalid(f"{name} has no column {column!r}", code="ingest.watermark", hint=f"the watermark is one of {known}")
    values = read.column(column)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    known = pc.is_valid(values)
    notes = _missing(len(values) - int(pc.sum(known).as_py() or 0), column)
    taken = known
    if last:
        limit = _limit(last, values, column)
        taken = pc.fill_null(pc.greater(values, limit), False)
        earlier = int(pc.sum(pc.fill_null(pc.less_equal(values, limit), False)).as_py() or 0)
        notes += late(earlier - (0 if before is None else before.num_rows))
    order = pc.sort_indices(values.filter(taken))
    new = read.filter(taken).take(order)
    grown = grow(before, new, name)
    highest = pc.max(values).as_py()
    return Grown(grown.table, grown.added, json.encode(highest).decode() if highest is not None else last, notes)


def _limit(last: str, values: Any, column: str) -> Any:
    try:
        return pa.scalar(json.decode(last.encode(), Any, what="watermark"), values.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise Invalid(
            f"column {column!r} holds {values.type} by now, and cannot be compared with the last watermark",
            code="ingest.watermark",
            hint="make it what it was, or begin anew with --replace",
        ) from None


def _missing(rows: int, column: str) -> tuple[str, ...]:
    return (f"{rows:,} rows have no {column} and were not taken",) if rows else ()


def late(difference: int) -> tuple[str, ...]:
    """Say that the source has more or fewer rows up to the watermark than were taken.

    >>> late(2), late(0), late(-1)
    (('2 rows came later than their watermark and were not taken',), (), ('1 rows that were taken are no longer in the source',))
    """
    if difference > 0:
        return (f"{difference:,} rows came later than their watermark and were not taken",)
    return (f"{-difference:,} rows that were taken are no longer in the source",) if difference < 0 else ()
