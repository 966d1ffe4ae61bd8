"""The wire between a worker, the observer and their parent: MessagePack datagrams over a pair of AF_UNIX sockets."""

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.inference import Prediction, Signature
from perenne.serving.model import Constant
from perenne.serving.tensors import join, outputs_part, pack_outputs, pack_tensor, part_of, shape_of, unpack_outputs
from perenne.stats.columns import Column, Columns, Field, FieldKind, NumberTable, Task

PackedColumn: TypeAlias = bytes | list[str | None]
MAX_MESSAGE = 96 * 1024
CONSTANT = "constant"
"""The role of an answer that no model gave."""

HOLDOUT = "holdout"
"""The role of an answer given without the model to callers who were chosen for that by chance."""

PERSON = "person"
"""The role of an answer that a person gives; what the stopped model would have answered is kept beside it, unseen."""


class Served(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """Some rows of one answered request.

    Attributes
    ----------
    request_id : str
        Ours; with a row's number it is the prediction id.
    first_row, rows : int
        Which rows of the request these are. No rows: a gap, in which `dropped` rows of this and earlier requests were lost.
    arrival, event_time : int
        When it arrived, and when it happened: the same unless traffic is replayed. Microseconds since 1970.
    latency_us, batch_rows : int
        From arrival to answer, and how many rows were predicted together.
    status : int
        200, or 500 if no model could answer.
    role, reason : str
        Who answered (`champion`, `canary`, `previous`, `fallback`, `constant`, `holdout`, `person`), and why: empty if as usual,
        else `weight`, `sticky`, `bandit`, `mixed`, `explicit`, `fallback`, `late` or `stopped`.
    version, tree : str
        Which version, and its package.
    dropped : int
        Of a gap, rows that never reached the observer.
    columns : list
        In the order of the signature: float64 bytes of numbers and times, lists of categories, packed tensors.
    predictions, scores : bytes
        int64 class indices or float64 values; float64 scores, row by row; or packed outputs and nothing. Empty if no model
        answered.
    answer : str, number, bool or None
        The constant that was answered.
    variant : str
        The name of who answered, which tells apart several of one role.
    propensity : float
        The chance with which this request went to who was asked; 1 if there was no choice.
    sticky_hash : int
        The place of the caller's key among all keys, as 64 bits without sign; 0 without a key.
    """

    request_id: str
    first_row: int
    rows: int
    arrival: int
    event_time: int
    latency_us: int
    batch_rows: int
    status: int
    role: str
    reason: str
    version: str
    tree: str
    dropped: int
    columns: list[PackedColumn]
    predictions: bytes
    scores: bytes
    answer: Constant | None = None
    variant: str = ""
    propensity: float = 1.0
    sticky_hash: int = 0


_POSITION = struct.Struct("<q")
_COUNT = struct.Struct(">BH")
_ARRAY = 0xDC
MOST_AT_ONCE = 0xFFFF
served_encoder = msgspec.msgpack.Encoder()
served_decoder = msgspec.msgpack.Decoder(list[Served])


def pack_message(position: int, *parts: bytes) -> bytes:
    """Make one message of what was served to several requests, each encoded by itself: an array of MessagePack.

    In front of it stands how many rows were sent on its wire before: what is lost on the way shows as a gap.
    """
    return b"".join((_POSITION.pack(position), _COUNT.pack(_ARRAY, len(parts)), *parts))


def unpack_message(data: bytes) -> tuple[int, list[Served]]:
    """Read a message and the position in front of it. Raises DecodeError if it is none."""
    if len(data) < _POSITION.size:
        raise msgspec.DecodeError("the message is too short")
    return _POSITION.unpack_from(data)[0], served_decoder.decode(memoryview(data)[_POSITION.size :])


def pack_columns(columns: Columns, fields: tuple[Field, ...]) -> list[PackedColumn]:
    """Write columns as they travel; a table of numbers alone goes in one piece, row by row."""
    if isinstance(columns, NumberTable) and columns.fields is fields:
        return [columns.matrix.tobytes()]
    return [_pack_column(columns[field.name], field.kind) for field in fields]


def _pack_column(column: Column, kind: FieldKind) -> PackedColumn:
    if kind is FieldKind.TENSOR:
        return pack_tensor(column)
    return column.tolist() if kind is FieldKind.CATEGORY else column.tobytes()


def pack_answers(prediction: Prediction) -> tuple[bytes, bytes]:
    """Write what a model answered as it travels: `predictions` and `scores` of a message."""
    if prediction.outputs is not None:
        return pack_outputs(prediction.outputs), b""
    return prediction.predictions.tobytes(), b"" if prediction.scores is None else prediction.scores.tobytes()


def rows_of(served: Served, signature: Signature, start: int, stop: int) -> Served:
    """Return some rows of a message; start and stop count from its first row."""
    width = len(served.scores) // served.rows
    size = 8 * len(signature.fields)
    if _in_one_piece(served.columns, signature.fields):
        columns = [served.columns[0][size * start : size * stop]]
    else:
        columns = [_part(column, field.kind, start, stop) for field, column in zip(signature.fields, served.columns, strict=True)]
    if signature.task is Task.OUTPUTS and served.predictions:
        predictions = outputs_part(served.predictions, slice(start, stop))
    else:
        predictions = served.predictions[8 * start : 8 * stop]
    return msgspec.structs.replace(
        served,
        first_row=served.first_row + start,
        rows=stop - start,
        columns=columns,
        predictions=predictions,
        scores=served.scores[width * start : width * stop],
    )


def _part(column: PackedColumn, kind: FieldKind, start: int, stop: int) -> PackedColumn:
    if isinstance(column, list):
        return column[start:stop]
    return part_of(column, slice(start, stop)) if kind is FieldKind.TENSOR else column[8 * start : 8 * stop]


def shapes_of(served: Served, signature: Signature) -> tuple[tuple[int, ...] | None, ...]:
    """Return the shapes of one row of the tensors in a message: only messages of equal shapes are one table."""
    if not served.rows or _in_one_piece(served.columns, signature.fields):
        return ()
    inputs = [
        shape_of(column)
        for field, column in zip(signature.fields, served.columns, strict=True)
        if field.kind is FieldKind.TENSOR and isinstance(column, bytes)
    ]
    if signature.task is Task.OUTPUTS and served.predictions:
        inputs += map(shape_of, unpack_outputs(served.predictions).values())
    return tuple(inputs)


def unpack_columns(parts: list[list[PackedColumn]], fields: tuple[Field, ...]) -> dict[str, NDArray[Any]]:
    """Read the columns of several messages as one table; tensors that were left out are not in it."""
    if len(parts) and all(_in_one_piece(part, fields) for part in parts):
        matrix = np.frombuffer(b"".join(part[0] for part in parts if isinstance(part[0], bytes))).reshape(-1, len(fields))
        return dict(zip((field.name for field in fields), np.ascontiguousarray(matrix.T), strict=True))
    table: dict[str, NDArray[Any]] = {}
    parts = [_apart(part, fields) for part in parts]
    for position, field in enumerate(fields):
        packed = [part[position] for part in parts]
        if field.kind is FieldKind.TENSOR:
            tensor = join([part for part in packed if isinstance(part, bytes)])
            if tensor is not None:
                table[field.name] = tensor
        elif field.kind is FieldKind.CATEGORY:
            values = [value for part in packed for value in part]
            column = np.empty(len(values), object)
            column[:] = values
            table[field.name] = column
        else:
            table[field.name] = np.frombuffer(b"".join(part for part in packed if isinstance(part, bytes)), np.float64)
    return table


def _in_one_piece(part: list[PackedColumn], fields: tuple[Field, ...]) -> bool:
    return len(part) == 1 and len(fields) > 1


def _apart(part: list[PackedColumn], fields: tuple[Field, ...]) -> list[PackedColumn]:
    """Take a table that came in one piece apart into its columns."""
    if not _in_one_piece(part, fields) or not isinstance(part[0], bytes):
        return part
    return [column.tobytes() for column in np.frombuffer(part[0]).reshape(-1, len(fields)).T]


def unpack_answers(group: Sequence[Served], signature: Signature) -> Prediction:
    """Read the answers of several messages as one; outputs that were left out are not in it."""
    if signature.task is Task.OUTPUTS:
        packed = [unpack_outputs(served.predictions) for served in group]
        joined = {output.name: join([part[output.name] for part in packed]) for output in signature.outputs}
        return Prediction(np.empty(0), None, {name: values for name, values in joined.items() if values is not None})
    kind = np.float64 if signature.task is Task.REGRESSION else np.int64
    predictions: NDArray[Any] = np.frombuffer(b"".join(served.predictions for served in group), kind)
    if signature.task is Task.REGRESSION:
        return Prediction(predictions, None)
    scores = np.frombuffer(b"".join(served.scores for served in group), np.float64).reshape(-1, len(signature.classes))
    return Prediction(predictions, scores)
