"""The wire between a worker, the observer and their parent: MessagePack datagrams over a pair of AF_UNIX sockets."""

import socket
import struct
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.serving.model import Constant
from perenne.stats.columns import Columns, Field, FieldKind, NumberTable

PackedColumn: TypeAlias = bytes | list[str | None]
MAX_MESSAGE = 96 * 1024
BUFFER = 1024 * 1024
CONSTANT = "constant"
"""The role of an answer that no model gave."""


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
        Who answered (`champion`, `previous`, `constant`), and why if not as usual (`fallback`, `stopped`, `explicit`).
    version, tree : str
        Which version, and its package.
    dropped : int
        Of a gap, rows that never reached the observer.
    columns : list
        In the order of the signature: float64 bytes of numbers and times, lists of categories.
    predictions, scores : bytes
        int64 class indices or float64 values; float64 scores, row by row. Empty if no model answered.
    answer : str, number, bool or None
        The constant that was answered.
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


class Flush(msgspec.Struct, frozen=True, array_like=True):
    """From the parent: write everything you have, then send the same back."""

    token: str


_POSITION = struct.Struct("<q")
_COUNT = struct.Struct(">BH")
_ARRAY = 0xDC
MOST_AT_ONCE = 0xFFFF
served_encoder = msgspec.msgpack.Encoder()
served_decoder = msgspec.msgpack.Decoder(list[Served])
flush_decoder = msgspec.msgpack.Decoder(Flush)


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


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a wire; messages stay whole, and each end outlives the process that used it."""
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    try:
        ends = socket.socketpair(socket.AF_UNIX, kind)
    except OSError:  # no SOCK_SEQPACKET for AF_UNIX on macOS
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        end.setblocking(False)
    return ends


def pack_columns(columns: Columns, fields: tuple[Field, ...]) -> list[PackedColumn]:
    """Write columns as they travel; a table of numbers alone goes in one piece, row by row."""
    if isinstance(columns, NumberTable) and columns.fields is fields:
        return [columns.matrix.tobytes()]
    return [
        columns[field.name].tolist() if field.kind is FieldKind.CATEGORY else columns[field.name].tobytes() for field in fields
    ]


def unpack_columns(parts: list[list[PackedColumn]], fields: tuple[Field, ...]) -> dict[str, NDArray[np.generic]]:
    """Read the columns of several messages as one table."""
    if parts and all(len(part) == 1 for part in parts) and len(fields) > 1:
        matrix = np.frombuffer(b"".join(part[0] for part in parts if isinstance(part[0], bytes))).reshape(-1, len(fields))
        return dict(zip((field.name for field in fields), np.ascontiguousarray(matrix.T), strict=True))
    table: dict[str, NDArray[np.generic]] = {}
    whole = [_apart(part, fields) for part in parts]
    for position, field in enumerate(fields):
        packed = [part[position] for part in whole]
        if field.kind is FieldKind.CATEGORY:
            values = [value for part in packed for value in part]
            column = np.empty(len(values), object)
            column[:] = values
            table[field.name] = column
        else:
            table[field.name] = np.frombuffer(b"".join(part for part in packed if isinstance(part, bytes)), np.float64)
    return table


def _apart(part: list[PackedColumn], fields: tuple[Field, ...]) -> list[PackedColumn]:
    """Take a table that came in one piece apart into its columns."""
    if len(part) == len(fields) or not isinstance(part[0], bytes):
        return part
    return [column.tobytes() for column in np.frombuffer(part[0]).reshape(-1, len(fields)).T]
