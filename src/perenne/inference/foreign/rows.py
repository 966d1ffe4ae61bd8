"""Fields from what a client signed, and rows from what it logged beside its model; drawn ones where there are none."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perenne.core.clock import SECOND, parse_time
from perenne.core.errors import Invalid, PerenneError
from perenne.core.paths import confined
from perenne.formats.mlmodel import MLmodel, Spec
from perenne.stats.columns import Column, Columns, Field, FieldKind, dtype_of

GivenRows = Callable[[tuple[Field, ...]], Columns]
"""Rows that somebody has, read as the columns of the fields a model turns out to take."""

LARGEST_EXAMPLE = 64 << 20
DRAWN = 200
MAX_MATRIX = 4_096
_NUMBERS = {"int32": "int64", "float32": "float64"}


def number_fields(names: Sequence[str]) -> tuple[Field, ...]:
    """Return fields of numbers."""
    return tuple(Field(name, FieldKind.NUMBER) for name in names)


def numbered(columns: int, prefix: str = "x") -> tuple[str, ...]:
    """Return names for inputs that have none."""
    return tuple(f"{prefix}{place}" for place in range(columns))


def fields_of(specs: Sequence[Spec]) -> tuple[Field, ...]:
    """Return the fields that were signed.

    Raises
    ------
    Invalid
        If one is structured: such models take no rows.
    """
    return tuple(_field(spec, place) for place, spec in enumerate(specs))


def _field(spec: Spec, place: int) -> Field:
    name = spec.name or f"x{place}"
    if spec.type == "tensor":
        return Field(name, FieldKind.TENSOR, spec.datatype, spec.shape[1:])
    if not spec.datatype:
        raise Invalid(
            f"input {name!r} is signed as {spec.type}, which no row of a table holds",
            code="model_file.signature",
            hint="sign columns of numbers, texts, booleans and times, or tensors",
        )
    if spec.datatype in ("string", "bool"):
        return Field(name, FieldKind.CATEGORY, spec.datatype)
    if spec.datatype == "timestamp":
        return Field(name, FieldKind.TIME, "timestamp")
    return Field(name, FieldKind.NUMBER, _NUMBERS.get(spec.datatype, spec.datatype))


def logged_rows(root: Path, mlmodel: MLmodel | None, fields: tuple[Field, ...]) -> Columns | None:
    """Read the rows that were logged with a model; None if there are none, or they are none of these fields."""
    if mlmodel is None or mlmodel.example is None:
        return None
    path = confined(root, mlmodel.example.path)
    if not path.is_file() or path.stat().st_size > LARGEST_EXAMPLE:
        return None
    try:
        return _columns(json.loads(path.read_bytes()), fields)
    except (PerenneError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _columns(read: Any, fields: tuple[Field, ...]) -> Columns | None:
    if isinstance(read, dict) and len(read) == 1 and "dataframe_split" in read:
        read = read["dataframe_split"]
    if isinstance(read, dict) and "data" in read:
        return _from_split(read.get("columns"), read["data"], fields)
    inputs = read.get("inputs", read) if isinstance(read, dict) else read
    if isinstance(inputs, dict):
        return {field.name: _column(inputs[field.name], field) for field in fields}
    if len(fields) == 1 and fields[0].kind is FieldKind.TENSOR:
        return {fields[0].name: _column(inputs, fields[0])}
    return _from_split(None, inputs, fields)


def _from_split(names: list[Any] | None, rows: list[list[Any]], fields: tuple[Field, ...]) -> Columns | None:
    by_name = None if names is None else {str(name): place for place, name in enumerate(names)}
    if by_name is None or not all(field.name in by_name for field in fields):
        by_name = {field.name: place for place, field in enumerate(fields)}
    if not rows or any(len(row) < len(fields) for row in rows):
        return None
    return {field.name: _column([row[by_name[field.name]] for row in rows], field) for field in fields}


def _column(values: list[Any], field: Field) -> Column:
    match field.kind:
        case FieldKind.TENSOR:
            return np.array(values, dtype_of(field))
        case FieldKind.CATEGORY:
            column = np.empty(len(values), object)
            column[:] = [
                None if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in values
            ]
            return column
        case FieldKind.TIME:
            return np.array([np.nan if value is None else parse_time(value) / SECOND for value in values])
        case _:
            return np.array([np.nan if value is None else value for value in values], np.float64)


def drawn_rows(fields: tuple[Field, ...], rows: int = DRAWN) -> Columns:
    """Draw rows, the same ones each time: for a model of which no real row is known."""
    draw = np.random.default_rng(0)
    return {field.name: _drawn(field, rows, draw) for field in fields}


def _drawn(field: Field, rows: int, draw: np.random.Generator) -> Column:
    match field.kind:
        case FieldKind.CATEGORY:
            levels = ["true", "false"] if field.datatype == "bool" else ["", "a", "b"]
            return draw.choice(np.array(levels, object), rows)
        case FieldKind.TIME:
            return draw.uniform(1.5e9, 1.8e9, rows)
        case FieldKind.TENSOR:
            return _drawn_tensor(field, rows, draw)
        case _:
            return draw.normal(0.0, 1.0, rows).astype(np.float32).astype(np.float64)


def _drawn_tensor(field: Field, rows: int, draw: np.random.Generator) -> Column:
    shape = (rows, *(max(size, 1) for size in field.shape))
    dtype = dtype_of(field)
    if dtype.kind == "f":
        return draw.normal(0.0, 1.0, shape).astype(dtype)
    return np.full(shape, "" if dtype.kind == "O" else 0, dtype)
