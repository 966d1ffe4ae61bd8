"""What the columns of a table are to a model: features, target, time, key, or nothing it can use."""

import difflib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.model import FieldGuess, Kind, Role
from perenne.data.sniffing import Misfit, read_texts
from perenne.data.tables import Chunked, canonical, datatype_of, floats, pc, whole
from perenne.stats.columns import Column, Field, FieldKind, Task, dtype_of

MAX_CLASSES = 100
MAX_NUMBER_CLASSES = 20
FREE_TEXT_LENGTH = 30
"""Texts this long on average, and mostly distinct, are prose and not levels."""
FEWEST_ROWS = 20
"""With fewer rows nothing is said about how distinct values are."""

_ID_NAME = re.compile(r"(?i:(^|[_\W])(id|key|uuid|guid|nr|number|index|rowid))$|[a-z]I[dD]$")


def infer_fields(
    table: pa.Table,
    target: str | None = None,
    time: str | None = None,
    key: str | None = None,
    exclude: Sequence[str] = (),
) -> list[FieldGuess]:
    """Tell what every column is and which part it should play.

    Parameters
    ----------
    table : pyarrow.Table
        As from `read_source`.
    target, time, key : str, optional
        The column to predict, the one that says when a row was known, the one that names a row.
    exclude : sequence of str
        Columns that must not be used.

    Raises
    ------
    Invalid
        If a named column is missing, or the time column holds no times; the message says which come close.

    >>> table = pa.table({"x": [1.5, 2.0], "note": ["a", None], "y": [0, 1]})
    >>> [(guess.name, guess.kind.value, guess.role.value) for guess in infer_fields(table, target="y")]
    [('x', 'number', 'feature'), ('note', 'category', 'feature'), ('y', 'number', 'target')]
    """
    table = canonical(table)
    for part, name in [("target", target), ("time", time), ("key", key), *(("ignore", text) for text in exclude)]:
        if name is not None and name not in table.column_names:
            raise missing_column(part, name, table.column_names)
    guesses = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        role = {target: Role.TARGET, time: Role.TIME, key: Role.KEY}.get(name)
        guess = _guess(name, column)
        if role is not None:
            kind = Kind.CATEGORY if guess.kind is Kind.TEXT else guess.kind
            guess = FieldGuess(name, kind, role, guess.datatype, f"named as {role}")
        elif name in exclude:
            guess = FieldGuess(name, guess.kind, Role.IGNORED, guess.datatype, "named to be ignored")
        if role is Role.TIME and guess.kind is not Kind.TIME:
            raise _no_time(name, column)
        guesses.append(guess)
    return guesses


def _guess(name: str, column: Chunked) -> FieldGuess:
    datatype = datatype_of(column.type)
    if datatype == "string" and _are_times(column):
        datatype = "timestamp"
    kind = {"string": Kind.CATEGORY, "bool": Kind.CATEGORY, "timestamp": Kind.TIME}.get(datatype, Kind.NUMBER)
    known = len(column) - column.null_count
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    if known == 0:
        return FieldGuess(name, kind, Role.IGNORED, datatype, "no value at all")
    if distinct == 1 and known == len(column) > 1:
        return FieldGuess(name, kind, Role.IGNORED, datatype, "the same value in every row")
    if datatype == "string":
        return _guess_text(name, column, known, distinct)
    if datatype == "int64" and names_rows(name, known, distinct, pc.max(column).as_py() - pc.min(column).as_py()):
        return FieldGuess(name, kind, Role.IGNORED, datatype, "a different number in every row: it names rows")
    return FieldGuess(name, kind, Role.FEATURE, datatype, f"{distinct:,} different values")


def _guess_text(name: str, column: Chunked, known: int, distinct: int) -> FieldGuess:
    length = pc.mean(pc.utf8_length(column)).as_py()
    mostly_distinct = known >= FEWEST_ROWS and distinct > 0.5 * known
    if mostly_distinct and length >= FREE_TEXT_LENGTH and pc.any(pc.match_substring(column, " ")).as_py():
        reason = f"free text: {distinct:,} different texts of {length:.0f} characters on average; left out"
        return FieldGuess(name, Kind.TEXT, Role.IGNORED, "string", reason)
    if known >= FEWEST_ROWS and distinct > 0.9 * known:
        return FieldGuess(name, Kind.CATEGORY, Role.IGNORED, "string", "a different text in nearly every row: it names rows")
    return FieldGuess(name, Kind.CATEGORY, Role.FEATURE, "string", f"{distinct:,} levels")


def _are_times(column: Chunked) -> bool:
    """Tell whether all texts are dates or times; a few rows settle it nearly always."""
    head = read_texts(column.drop_null().slice(0, 100))
    if isinstance(head, Misfit) or not pa.types.is_timestamp(head.type):
        return False
    read = read_texts(column)
    return not isinstance(read, Misfit) and pa.types.is_timestamp(read.type)


def names_rows(name: str, known: int, distinct: int, span: int) -> bool:
    """Tell whether whole numbers are names of rows: all different, and counted up or called an id."""
    return distinct == known >= FEWEST_ROWS and (span == known - 1 or _ID_NAME.search(name) is not None)


def task_of(column: Chunked) -> Task:
    """Tell what kind of answer a target asks for.

    Two values: binary. Texts, or at most 20 whole numbers that repeat: multiclass. Other numbers: regression.

    Raises
    ------
    Invalid
        If there is nothing to learn: no value, one value only, times, or hundreds of classes.

    >>> task_of(pa.chunked_array([["a", "b", "a"]]))
    <Task.BINARY: 'binary'>
    """
    datatype = datatype_of(column.type)
    known = len(column) - column.null_count
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    if known == 0:
        raise Invalid("the target has no values", code="data.no_labels", hint="is it the right column?")
    if distinct == 1:
        value = column.drop_null()[0].as_py()
        raise Invalid(
            f"the target is {str(value)[:80]!r} in all {known:,} rows",
            code="data.one_class",
            hint="a model needs rows of at least two classes; is the window too short?",
        )
    if distinct == 2:
        return Task.BINARY
    if datatype == "string":
        if distinct > MAX_CLASSES:
            raise Invalid(
                f"the target has {distinct:,} different texts, at most {MAX_CLASSES} classes can be told apart",
                code="data.too_many_classes",
                hint="is it the right column? if it is a number, some of its values cannot be read as one",
            )
        return Task.MULTICLASS
    if datatype == "timestamp":
        raise Invalid("the target holds times", code="data.target_type", hint="predict a number, such as the seconds between two")
    integers = datatype == "int64" or pc.all(pc.equal(pc.round(column), column)).as_py()
    return Task.MULTICLASS if integers and distinct <= MAX_NUMBER_CLASSES and known >= 5 * distinct else Task.REGRESSION


def to_columns(table: pa.Table, fields: Sequence[Field]) -> dict[str, Column]:
    """Turn the named columns into arrays, as in `perenne.stats.columns`.

    Raises
    ------
    Invalid
        If a column is missing or a value cannot be what its field says; the message names column and row.

    >>> to_columns(pa.table({"a": [1, None]}), [Field("a", FieldKind.NUMBER)])
    {'a': array([ 1., nan])}
    """
    for field in fields:
        if field.name not in table.column_names:
            raise missing_column("feature", field.name, table.column_names)
    plain = canonical(table.select([field.name for field in fields])) if fields else table
    return {field.name: _array(plain.column(position), field) for position, field in enumerate(fields)}


def _array(column: Chunked, field: Field) -> Column:
    if field.kind is FieldKind.TENSOR:
        return _tensor(column, field)
    if field.kind is FieldKind.CATEGORY:
        return _levels(column)
    if pa.types.is_string(column.type):
        wanted = "time" if field.kind is FieldKind.TIME else "number"
        read = read_texts(column, kind=wanted)
        if isinstance(read, Misfit):
            raise _not_a(field.name, wanted, read.value, read.row)
        column = pa.chunked_array([read])
    if field.kind is FieldKind.TIME:
        if not pa.types.is_timestamp(column.type) and column.null_count < len(column):
            raise _not_a(field.name, "time", column.drop_null()[0].as_py(), 0)
        return floats(column) / 1e6
    if pa.types.is_timestamp(column.type):
        raise _not_a(field.name, "number", column.drop_null()[0].as_py(), 0)
    return floats(column)


def _tensor(column: Chunked, field: Field) -> Column:
    """Return lists, nested or flat, as an array of the field's shape."""
    rows = len(column)
    try:
        values = np.array(column.to_pylist(), dtype_of(field))
        return values.reshape(rows, *field.shape) if field.shape.count(-1) < 2 else values
    except (TypeError, ValueError):
        shape = " x ".join("?" if size < 0 else str(size) for size in field.shape) or "one value"
        raise Invalid(
            f"column {field.name!r} does not hold tensors of {shape}",
            code="data.tensor",
            hint="each row is a list, nested or flat, of as many values",
        ) from None


def _levels(column: Chunked) -> Column:
    """Return texts; whole numbers without a decimal point, so that 1 and 1.0 are one level."""
    encoded = whole(column).dictionary_encode()
    levels = np.array([*map(_level, encoded.dictionary.to_pylist()), None], dtype=object)
    column_of_levels: Column = levels[np.asarray(encoded.indices.fill_null(len(levels) - 1))]
    return column_of_levels


def _level(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def missing_column(part: str, name: str, columns: Sequence[str]) -> Invalid:
    """Make the error that a named column is not there, with the names that come close."""
    near = difflib.get_close_matches(name, columns, n=3) or list(columns[:10])
    code = "data.target_missing" if part == "target" else "data.column"
    return Invalid(f"there is no column {name!r}, named as {part}", code=code, hint=f"there is {', '.join(map(repr, near))}")


def _no_time(name: str, column: Chunked) -> Invalid:
    read = read_texts(column, kind="time") if pa.types.is_string(column.type) else None
    if isinstance(read, Misfit):
        return _not_a(name, "time", read.value, read.row)
    return Invalid(
        f"column {name!r} holds {datatype_of(column.type)}, no times",
        code="data.value",
        hint="times are written 2013-01-31T12:00:00Z",
    )


def _not_a(name: str, wanted: str, value: object, row: int) -> Invalid:
    return Invalid(
        f"column {name!r}, row {row + 1}: {str(value)[:80]!r} is no {wanted}",
        code="data.value",
        hint="correct the value, or leave it empty",
    )
