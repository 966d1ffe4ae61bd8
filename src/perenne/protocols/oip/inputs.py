"""An inference request as the columns of a signature: one tensor per column, found by name, or one tensor of all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.formats.oip import FLOATS, INTEGERS, InferRequest, RequestTensor, decode_values, element_count
from perenne.formats.oip_binary import Attached, read_values
from perenne.inference import Signature
from perenne.protocols.columns import expected_datatype, fit_shape, shape_text, tensor_readers
from perenne.serving import Rows
from perenne.stats.columns import Column, Columns, Field, FieldKind, NumberTable

MAX_EMPTY_ROWS = 10_000
"""Rows that hold nothing at all cost no bytes to ask for, but to answer."""

_NUMBERS = {*FLOATS, *INTEGERS, "BF16"}
_NOTHING: Attached = {}


class TensorInputs:
    """Reads requests for one signature; what does not depend on the request is done once.

    Parameters
    ----------
    signature : Signature
        What the model takes.
    """

    def __init__(self, signature: Signature) -> None:
        self._fields = [(field, field.name, tensor_readers(field)) for field in signature.fields]
        self._names = frozenset(signature.names)
        self._tabular = all(field.kind is not FieldKind.TENSOR for field in signature.fields)
        numbers = all(field.kind is FieldKind.NUMBER for field in signature.fields)
        self._numbers = signature.fields if numbers else None

    def read(self, request: InferRequest, seconds: float, attached: Attached = _NOTHING) -> Rows:
        """Read a request, and what raw data came with it.

        Raises
        ------
        Invalid
            If an input is missing, given twice, or of another type or shape than the signature's.
        """
        tensors = request.inputs
        columns: Columns
        if len(tensors) == 1 and self._is_table(tensors[0]):
            columns, rows = self._from_table(tensors[0], attached)
        else:
            columns, rows = self._from_columns(tensors, attached)
        return Rows(columns, rows, seconds, request)

    def _is_table(self, tensor: RequestTensor) -> bool:
        return self._tabular and len(tensor.shape) == 2 and (tensor.name not in self._names or tensor.shape[1] != 1)

    def _from_table(self, tensor: RequestTensor, attached: Attached) -> tuple[Columns, int]:
        rows, width = tensor.shape
        if width != len(self._fields):
            raise _bad(f"input {tensor.name[:100]!r}: expected shape [n, {len(self._fields)}], got {width} columns")
        values = _values(tensor, attached).reshape(rows, width)
        if self._numbers is not None and tensor.datatype in _NUMBERS:
            return NumberTable(self._numbers, values.astype(np.float64, copy=False)), rows
        by_column = np.ascontiguousarray(values.T)
        columns = {}
        for position, (field, name, readers) in enumerate(self._fields):
            reader = readers.get(tensor.datatype)
            if reader is None:
                raise _wrong_type(field, tensor)
            columns[name] = reader(by_column[position])
        return columns, rows

    def _from_columns(self, tensors: list[RequestTensor], attached: Attached) -> tuple[dict[str, Column], int]:
        by_name = {tensor.name: tensor for tensor in tensors}
        if len(by_name) < len(tensors):
            raise _bad("two inputs have the same name")
        if not by_name.keys() >= self._names:
            lacking = [name for _, name, _ in self._fields if name not in by_name]
            raise _bad(f"missing inputs: {', '.join(lacking)}")
        rows, columns = -1, {}
        for field, name, readers in self._fields:
            tensor = by_name[name]
            count = _count(field, tensor)
            if rows not in (-1, count):
                raise _bad(f"input {name!r}: has another number of rows than the others")
            rows = count
            reader = readers.get(tensor.datatype)
            if reader is None:
                raise _wrong_type(field, tensor)
            values = reader(_values(tensor, attached) if attached else decode_values(tensor))
            columns[name] = values.reshape(tensor.shape) if field.kind is FieldKind.TENSOR else values
        return columns, rows


def _values(tensor: RequestTensor, attached: Attached) -> NDArray[Any]:
    data = attached.get(tensor.name)
    return decode_values(tensor) if data is None else read_values(tensor, data)


def _count(field: Field, tensor: RequestTensor) -> int:
    if field.kind is not FieldKind.TENSOR:
        return tensor.shape[0] if len(tensor.shape) == 1 else _rows(tensor)
    if not fit_shape(field, tensor.shape):
        raise _bad(f"input {field.name!r}: expected shape {shape_text(field)}")
    if not element_count(tensor.shape, f"input {field.name!r}") and tensor.shape[0] > MAX_EMPTY_ROWS:
        raise _bad(f"input {field.name!r}: has more than {MAX_EMPTY_ROWS:,} rows of nothing")
    return tensor.shape[0]


def _rows(tensor: RequestTensor) -> int:
    what = f"input {tensor.name[:100]!r}"
    count = element_count(tensor.shape, what)
    if count != tensor.shape[0] or len(tensor.shape) > 2:
        raise _bad(f"{what}: expected shape [n] or [n, 1]")
    return count


def _wrong_type(field: Field, tensor: RequestTensor) -> Invalid:
    return _bad(f"input {field.name!r}: expected {expected_datatype(field)}, got {tensor.datatype[:20]}")


def _bad(message: str) -> Invalid:
    return Invalid(message, code="INVALID_PARAMETER_VALUE")
