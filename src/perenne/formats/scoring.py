"""MLflow's scoring protocol: JSON in its four layouts, or CSV, to a table of plain values; predictions to an answer."""

import csv
import io
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.nonfinite import quote_nonfinite

Value: TypeAlias = str | int | float | bool | None
MAX_COLUMNS = 10_000
MAX_EMPTY = 1_000_000
MAX_LINES = 1_000_000


class Table(msgspec.Struct, frozen=True):
    """Rows as they came, by column.

    Attributes
    ----------
    names : tuple of str or None
        The columns' names; None if the rows came bare.
    columns : tuple of sequences
        The values of each column: text, numbers, booleans or None.
    rows : int
        How many.
    """

    names: tuple[str, ...] | None
    columns: tuple[Sequence[Any], ...]
    rows: int


class ScoringRequest(msgspec.Struct, frozen=True):
    """A table to score, and the caller's parameters."""

    table: Table
    params: dict[str, Any]


class ScoringResponse(msgspec.Struct, omit_defaults=True):
    """An answer; the ids are ours, a client of MLflow's passes them by."""

    predictions: list[Any]
    prediction_ids: list[str] = []


class _Split(msgspec.Struct):
    data: list[list[Any]]
    columns: list[str] | None = None
    index: Any = None


class _Body(msgspec.Struct):
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: Any | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | None = None
    signature_name: Any | msgspec.UnsetType = msgspec.UNSET


class _Instances(msgspec.Struct):
    instances: list[Any] | msgspec.UnsetType = msgspec.UNSET
    inputs: list[Any] | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Body)
_instances = msgspec.json.Decoder(_Instances)
_encoder = msgspec.json.Encoder()
_LAYOUTS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def decode_json(body: bytes, *, whole: bool = False) -> ScoringRequest:
    """Read a JSON body.

    Parameters
    ----------
    whole : bool
        Whether a row that comes bare is one value, which is so for a model that takes tensors.

    Raises
    ------
    Invalid
        If it is no JSON object with exactly one of the four layouts; the message names the place, never a value.
    """
    read = _decode(_decoder, body)
    given = [name for name in _LAYOUTS if getattr(read, name) is not msgspec.UNSET]
    if len(given) != 1:
        raise Invalid(f"the body must be an object with exactly one of {', '.join(_LAYOUTS)}", code="BAD_REQUEST")
    if read.signature_name is not msgspec.UNSET:
        raise Invalid("signature_name is not supported", code="BAD_REQUEST")
    layout = given[0]
    value = getattr(read, layout)
    table = _from_rows(value.data, value.columns, layout) if isinstance(value, _Split) else _table(value, layout, whole=whole)
    return ScoringRequest(table, read.params or {})


def decode_instances(body: bytes, *, whole: bool = False) -> Table:
    """Read the body of KServe's first protocol: `instances`, or `inputs` as some of its clients call them.

    Raises
    ------
    Invalid
        If it is no JSON object with a list of rows under one of the two names.
    """
    read = _decode(_instances, body)
    given = [name for name in ("instances", "inputs") if getattr(read, name) is not msgspec.UNSET]
    if len(given) != 1:
        raise Invalid("the body must be an object with a list of instances", code="BAD_REQUEST")
    rows = getattr(read, given[0])
    if not whole and rows and not any(isinstance(row, dict | list) for row in rows):
        rows = [[row] for row in rows]
    return _table(rows, given[0], whole=whole)


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return decoder.decode(quote_nonfinite(body))
    except msgspec.ValidationError as error:
        raise Invalid(f"the request is malformed: {error}", code="BAD_REQUEST") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("the body is not JSON", code="BAD_REQUEST") from None


def decode_csv(body: bytes) -> Table:
    """Read CSV with a header line; every value is text, an empty one is None.

    Raises
    ------
    Invalid
        If it is not UTF-8, has no header, or a line has another number of values.
    """
    if body.count(b"\n") + body.count(b"\r") > MAX_LINES:
        raise Invalid(f"there are more than {MAX_LINES:,} lines", code="BAD_REQUEST")
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError:
        raise Invalid("the CSV is not UTF-8", code="BAD_REQUEST") from None
    except csv.Error as error:
        raise Invalid(f"the CSV cannot be read: {error}", code="BAD_REQUEST") from None
    if not lines or not lines[0]:
        raise Invalid("the CSV has no header line", code="BAD_REQUEST")
    rows = [[value or None for value in line] for line in lines[1:] if line]
    return _from_rows(rows, lines[0], "CSV")


def encode_response(response: ScoringResponse) -> bytes:
    """Write an answer; NaN becomes `null`."""
    return _encoder.encode(response)


def _table(value: Any, layout: str, *, whole: bool) -> Table:
    if isinstance(value, dict):
        return _from_columns(value)
    if not isinstance(value, list):
        raise Invalid(f"{layout} must be a list of rows or an object of columns", code="BAD_REQUEST")
    if all(isinstance(row, dict) for row in value):
        return _from_records(value)
    if whole and not any(isinstance(row, dict) for row in value):
        return Table(None, (value,), len(value))
    if all(isinstance(row, list) for row in value):
        return _from_rows(value, None, layout)
    raise Invalid(f"{layout} must hold rows: all objects, or all lists", code="BAD_REQUEST")


def _from_rows(rows: list[list[Any]], names: list[str] | None, layout: str) -> Table:
    width = len(names) if names is not None else len(rows[0]) if rows else 0
    for position, row in enumerate(rows):
        if len(row) != width:
            raise Invalid(f"{layout}: row {position} has {len(row)} values, expected {width}", code="BAD_REQUEST")
    columns = tuple(zip(*rows, strict=True)) if rows else ((),) * width
    return Table(None if names is None else _distinct(names), columns, len(rows))


def _from_records(records: list[dict[str, Any]]) -> Table:
    names = dict.fromkeys(name for record in records for name in record)
    given = sum(map(len, records))
    if len(names) * len(records) > max(MAX_EMPTY, 4 * given):
        raise Invalid("the rows have too few columns in common", code="BAD_REQUEST")
    return Table(_distinct(names), tuple([record.get(name) for record in records] for name in names), len(records))


def _from_columns(columns: dict[str, Any]) -> Table:
    lengths = set()
    for name, values in columns.items():
        if not isinstance(values, list):
            raise Invalid(f"inputs: column {name[:100]!r} must be a list", code="BAD_REQUEST")
        lengths.add(len(values))
    if len(lengths) > 1:
        raise Invalid("inputs: the columns have different lengths", code="BAD_REQUEST")
    return Table(_distinct(columns), tuple(columns.values()), lengths.pop() if lengths else 0)


def _distinct(names: Any) -> tuple[str, ...]:
    listed = tuple(names)
    if len(listed) > MAX_COLUMNS:
        raise Invalid(f"there are more than {MAX_COLUMNS:,} columns", code="BAD_REQUEST")
    if len(set(listed)) < len(listed):
        raise Invalid("two columns have the same name", code="BAD_REQUEST")
    return listed
