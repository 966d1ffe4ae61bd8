"""An ONNX graph asked by its own inputs: one matrix, one tensor a column, tensors of any shape. ONNX Runtime, nothing else.

`graph.json` says which fields fill which input, and which outputs are labels, probabilities, values, or tensors to pass on.
"""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference.forms import open_session
from perenne.inference.model import Prediction, Signature, decide, of_outputs
from perenne.stats.columns import Column, Columns, Field, FieldKind, absent, row_count

GRAPH = "graph.json"


class GraphInput(msgspec.Struct, frozen=True):
    """An input of a graph.

    Attributes
    ----------
    name : str
        Its name in the graph.
    fields : tuple of str
        What fills it: the columns of a matrix, or one field.
    layout : str
        `matrix` (n, fields), `column` (n, 1), `flat` (n,), or `tensor` (n, *shape).
    dtype : str
        Of its values; `object` for texts.
    """

    name: str
    fields: tuple[str, ...]
    layout: Literal["matrix", "column", "flat", "tensor"]
    dtype: str


class GraphMap(msgspec.Struct, frozen=True, kw_only=True):
    """`graph.json`: how a graph is asked, and what its outputs mean.

    Attributes
    ----------
    inputs : tuple of GraphInput
        All its inputs.
    scores, value : str
        The output with the probabilities, or with the value of a regression; empty if it has none.
    outputs : dict
        For tensors to pass on: the graph's name of each output of the signature.
    rows : str
        `together`: the first dimension counts rows; `one`: it is 1 throughout, so rows are asked one by one; `whole`: there is no
        dimension for rows, and each row is a call of its own.
    """

    inputs: tuple[GraphInput, ...]
    scores: str = ""
    value: str = ""
    outputs: dict[str, str] = {}
    rows: Literal["together", "one", "whole"] = "together"


class GraphForm:
    """A graph and its map.

    Parameters
    ----------
    data : bytes
        The ONNX model, in one file.
    graph : GraphMap
        How it is asked.
    signature : Signature
        What is taken and answered.
    """

    def __init__(self, data: bytes, graph: GraphMap, signature: Signature) -> None:
        self._session = open_session(data)
        self._map = graph
        self._signature = signature
        self._fields = {field.name: field for field in signature.fields}
        self._names = list(graph.outputs.values()) if graph.outputs else [graph.scores or graph.value]

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows."""
        rows = row_count(columns)
        if not rows:
            return empty(self._signature)
        fed = {given.name: self._fill(given, columns, rows) for given in self._map.inputs}
        if self._map.rows == "together":
            return self._read(self._session.run(self._names, fed), rows)
        width = slice(1) if self._map.rows == "one" else 0
        answers = [
            self._session.run(
                self._names, {name: values[row : row + 1] if width else values[row] for name, values in fed.items()}
            )
            for row in range(rows)
        ]
        return self._read([_stacked(parts, bool(width)) for parts in zip(*answers, strict=True)], rows)

    def _fill(self, given: GraphInput, columns: Columns, rows: int) -> NDArray[Any]:
        found = [_column(columns, self._fields[name], rows) for name in given.fields]
        if given.layout == "matrix":
            return np.stack(found, axis=1).astype(given.dtype, copy=False)
        values = _as(found[0], self._fields[given.fields[0]], given.dtype)
        return values.reshape(rows, 1) if given.layout == "column" else values

    def _read(self, answers: list[NDArray[Any]], rows: int) -> Prediction:
        wrong = [name for name, values in zip(self._names, answers, strict=True) if values.shape[:1] != (rows,)]
        if wrong:
            raise Invalid(
                f"output {wrong[0]!r} of the model does not have one answer for each of {rows} rows",
                code="inference.rows",
                hint="export it with a first dimension that varies",
            )
        if self._map.outputs:
            return of_outputs(dict(zip(self._map.outputs, answers, strict=True)))
        table = np.asarray(answers[0], np.float64).reshape(rows, -1)
        if self._map.value:
            return Prediction(table[:, 0], None)
        scores = np.concatenate((1.0 - table, table), axis=1) if table.shape[1] == 1 else table
        return Prediction(decide(self._signature.task, scores, self._signature.threshold), scores)


def empty(signature: Signature) -> Prediction:
    """Return the answer to no rows."""
    if signature.outputs:
        shapes = {output.name: [max(size, 0) for size in output.shape] for output in signature.outputs}
        return of_outputs(
            {
                output.name: np.empty((0, *shapes[output.name]), object if output.datatype == "string" else output.datatype)
                for output in signature.outputs
            }
        )
    if not signature.classes:
        return Prediction(np.empty(0), None)
    return Prediction(np.empty(0, np.int64), np.empty((0, len(signature.classes))))


def _column(columns: Columns, field: Field, rows: int) -> Column:
    found = columns.get(field.name)
    if found is None:
        return absent(field, rows)
    if len(found) != rows:
        raise Invalid(
            f"column {field.name!r} has {len(found)} values, the others {rows}",
            code="inference.column_length",
            hint="every column has one value a row",
        )
    return found


def _as(values: Column, field: Field, dtype: str) -> NDArray[Any]:
    """Return a column in the type a graph asks for; a missing text is empty, a missing truth false."""
    if dtype == "object":
        return np.array(["" if value is None else str(value) for value in values.ravel().tolist()], object).reshape(values.shape)
    if field.kind is FieldKind.CATEGORY:
        return np.array([value == "true" for value in values.tolist()], dtype)
    whole = np.dtype(dtype).kind in "iu" and values.dtype.kind == "f"
    return np.nan_to_num(values).astype(dtype) if whole else values.astype(dtype, copy=False)


def _stacked(parts: tuple[NDArray[Any], ...], batched: bool) -> NDArray[Any]:
    try:
        return np.concatenate(parts) if batched else np.stack(parts)
    except ValueError:
        raise Invalid(
            "the rows of a request have answers of different shapes", code="inference.rows", hint="send one row in a request"
        ) from None
