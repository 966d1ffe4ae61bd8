"""An inference request as the columns of a signature: one tensor per column, found by name, or one tensor of all."""

import numpy as np

from perenne.core.errors import Invalid
from perenne.formats.oip import InferRequest, RequestTensor, decode_values, element_count
from perenne.inference import Signature
from perenne.protocols.columns import read_tensor
from perenne.serving import Rows
from perenne.stats.columns import Column


def read_rows(request: InferRequest, signature: Signature, seconds: float) -> Rows:
    """Read a request.

    Raises
    ------
    Invalid
        If an input is missing, given twice, or of another type or shape than the signature's.
    """
    if len(request.inputs) == 1 and _is_table(request.inputs[0], signature):
        columns, count = _from_table(request.inputs[0], signature)
    else:
        columns, count = _from_columns(request.inputs, signature)
    return Rows(columns, count, seconds, request)


def _is_table(tensor: RequestTensor, signature: Signature) -> bool:
    return len(tensor.shape) == 2 and (tensor.name not in signature.names or tensor.shape[1] != 1)


def _from_table(tensor: RequestTensor, signature: Signature) -> tuple[dict[str, Column], int]:
    rows, width = tensor.shape
    if width != len(signature.fields):
        raise Invalid(
            f"input {tensor.name[:100]!r}: expected shape [n, {len(signature.fields)}], got {width} columns",
            code="INVALID_PARAMETER_VALUE",
        )
    values = decode_values(tensor).reshape(rows, width)
    columns = {
        field.name: read_tensor(field, tensor.datatype, np.ascontiguousarray(values[:, position]))
        for position, field in enumerate(signature.fields)
    }
    return columns, rows


def _from_columns(tensors: list[RequestTensor], signature: Signature) -> tuple[dict[str, Column], int]:
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors):
        raise Invalid("two inputs have the same name", code="INVALID_PARAMETER_VALUE")
    lacking = [name for name in signature.names if name not in by_name]
    if lacking:
        raise Invalid(f"missing inputs: {', '.join(lacking)}", code="INVALID_PARAMETER_VALUE")
    rows = _rows(by_name[signature.names[0]])
    columns = {}
    for field in signature.fields:
        tensor = by_name[field.name]
        if _rows(tensor) != rows:
            raise Invalid(f"input {field.name!r}: has another number of rows than the others", code="INVALID_PARAMETER_VALUE")
        columns[field.name] = read_tensor(field, tensor.datatype, decode_values(tensor))
    return columns, rows


def _rows(tensor: RequestTensor) -> int:
    what = f"input {tensor.name[:100]!r}"
    count = element_count(tensor.shape, what)
    if count != tensor.shape[0] or len(tensor.shape) > 2:
        raise Invalid(f"{what}: expected shape [n] or [n, 1]", code="INVALID_PARAMETER_VALUE")
    return count
