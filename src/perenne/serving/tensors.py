"""Tensors as they travel to the observer: shape, datatype and bytes of each; those too large for a message stay behind."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

LARGEST_ROW = 32 * 1024
"""Bytes of one row's tensors beyond which they are not sent: the message still tells that the row was answered."""
LEFT_OUT = b""


class PackedTensor(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A tensor of some rows; texts are a list, all else is the array's bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | list[str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PackedTensor)
_several = msgspec.msgpack.Decoder(dict[str, bytes])


def pack_tensor(values: NDArray[Any]) -> bytes:
    """Write a tensor; one with too large rows becomes `LEFT_OUT`."""
    if row_bytes(values) > LARGEST_ROW:
        return LEFT_OUT
    texts = values.dtype == object
    data: bytes | list[str] = (
        [str(value) for value in values.ravel().tolist()] if texts else np.ascontiguousarray(values).tobytes()
    )
    return _encoder.encode(PackedTensor("O" if texts else values.dtype.str, values.shape, data))


def unpack_tensor(packed: bytes) -> NDArray[Any] | None:
    """Read what `pack_tensor` wrote; None if it was left out."""
    if not packed:
        return None
    read = _decoder.decode(packed)
    if isinstance(read.data, list):
        texts = np.empty(len(read.data), object)
        texts[:] = read.data
        return texts.reshape(read.shape)
    return np.frombuffer(read.data, np.dtype(read.dtype)).reshape(read.shape)


def shape_of(packed: bytes) -> tuple[int, ...] | None:
    """Return the shape of one row of a packed tensor; None if it was left out."""
    return _decoder.decode(packed).shape[1:] if packed else None


def part_of(packed: bytes, rows: slice) -> bytes:
    """Return some rows of a packed tensor, packed."""
    values = unpack_tensor(packed)
    return LEFT_OUT if values is None else pack_tensor(values[rows])


def join(parts: Sequence[bytes]) -> NDArray[Any] | None:
    """Read tensors of equal row shapes as one; None if one was left out."""
    values = [value for value in map(unpack_tensor, parts) if value is not None]
    return np.concatenate(values) if values and len(values) == len(parts) else None


def pack_outputs(outputs: Mapping[str, NDArray[Any]]) -> bytes:
    """Write named tensors."""
    return _encoder.encode({name: pack_tensor(values) for name, values in outputs.items()})


def unpack_outputs(packed: bytes) -> dict[str, bytes]:
    """Read named tensors, each still packed."""
    return _several.decode(packed)


def outputs_part(packed: bytes, rows: slice) -> bytes:
    """Return some rows of named tensors, packed."""
    return _encoder.encode({name: part_of(tensor, rows) for name, tensor in unpack_outputs(packed).items()})


def row_bytes(values: NDArray[Any]) -> int:
    """Return about how many bytes a row takes."""
    if not len(values):
        return 0
    if values.dtype == object:
        return sum(len(str(value)) + 5 for value in values.ravel().tolist()) // len(values)
    return values.nbytes // len(values)
