"""An ONNX model of somebody else's: what it takes, what it answers, and how it is asked. Found out by looking, and by asking it.

A classifier is one with a label and probabilities that are some; a regression, one with inputs of a table and a single number a
row. All others answer tensors.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference.foreign.rows import MAX_MATRIX, numbered
from perenne.inference.forms import open_session
from perenne.inference.graphs import GraphInput, GraphMap
from perenne.inference.model import Output, Signature
from perenne.stats.columns import Field, FieldKind, Task

LARGEST = 2 << 30
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(string)": "string",
    "tensor(bool)": "bool",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_FLOATS = frozenset({"float32", "float64", "float16"})
_SEQUENCE = "seq(map("


class Port(NamedTuple):
    """An input or output of a graph: its name, datatype (empty for what is no tensor), and shape, None where it varies."""

    name: str
    datatype: str
    shape: tuple[int | None, ...]


class Read(NamedTuple):
    """A model as it will be asked: its bytes (without operators that only rearrange answers), signature and map."""

    data: bytes
    signature: Signature
    graph: GraphMap


def read_onnx(data: bytes, names: Sequence[str] = ()) -> Read:
    """Read a model.

    Parameters
    ----------
    data : bytes
        The file.
    names : sequence of str
        What a client called the columns of its one matrix, if it said so.

    Raises
    ------
    Invalid
        If it is none, or takes or answers something else than tensors.
    """
    session = open_session(data)
    if any(output.type.startswith(_SEQUENCE) for output in session.get_outputs()):
        data = without_maps(data)
        session = open_session(data)
    inputs, outputs = ([_port(port) for port in ports] for ports in (session.get_inputs(), session.get_outputs()))
    rows, answers = _ask(session, inputs, outputs)
    if answers:  # a graph may leave an output's rank open
        outputs = [
            port if len(port.shape) == answer.ndim else port._replace(shape=(None,) * answer.ndim)
            for port, answer in zip(outputs, answers, strict=True)
        ]
    table = _table(inputs, names) if rows == "together" else None
    fields, fed = table or _tensors(inputs, rows)
    classified = _classified(data, outputs, answers) if rows == "together" else None
    if classified is not None:
        classes, scores = classified
        task = Task.BINARY if len(classes) == 2 else Task.MULTICLASS
        return Read(data, Signature(fields, task, classes, "prediction"), GraphMap(inputs=fed, scores=scores))
    if table is not None and len(outputs) == 1 and _is_number(outputs[0], answers[0]):
        return Read(data, Signature(fields, Task.REGRESSION, (), "prediction"), GraphMap(inputs=fed, value=outputs[0].name))
    return _with_outputs(data, fields, fed, outputs, rows)


def _with_outputs(
    data: bytes,
    fields: tuple[Field, ...],
    fed: tuple[GraphInput, ...],
    outputs: list[Port],
    rows: Literal["together", "one", "whole"],
) -> Read:
    named = tuple(Output(port.name, port.datatype, _row_shape(port, rows)) for port in outputs)
    graph = GraphMap(inputs=fed, outputs={port.name: port.name for port in outputs}, rows=rows)
    return Read(data, Signature(fields, Task.OUTPUTS, (), "", outputs=named), graph)


def _port(port: Any) -> Port:
    datatype = _DTYPES.get(port.type, "")
    if not datatype:
        raise Invalid(
            f"{port.name!r} of the ONNX model is {port.type}, which no request holds",
            code="model_file.onnx",
            hint="export it with tensors only",
        )
    return Port(port.name, datatype, tuple(size if isinstance(size, int) and size >= 0 else None for size in port.shape))


def _ask(session: Any, inputs: list[Port], outputs: list[Port]) -> tuple[Literal["together", "one", "whole"], list[NDArray[Any]]]:
    """Find out how a graph takes rows, by asking it with two, then with one."""
    free = all(port.shape and port.shape[0] is None for port in inputs)
    for rows, mode in ((2, "together"), (1, "one")):
        if (rows == 2 and not free) or any(not port.shape or port.shape[0] not in (None, rows) for port in inputs):
            continue
        try:
            answers = session.run(None, {port.name: _probe(port, (rows, *port.shape[1:])) for port in inputs})
        except Exception:  # noqa: S112  (ONNX Runtime raises kinds of its own); the next way is tried
            continue
        if all(np.shape(answer)[:1] == (rows,) for answer in answers):
            return ("together" if mode == "together" else "one"), [np.asarray(answer) for answer in answers]
    return "whole", []


def _probe(port: Port, shape: Sequence[int | None]) -> NDArray[Any]:
    sizes = [1 if size is None else size for size in shape]
    return np.full(sizes, "" if port.datatype == "string" else 0, object if port.datatype == "string" else port.datatype)


def _table(inputs: list[Port], names: Sequence[str]) -> tuple[tuple[Field, ...], tuple[GraphInput, ...]] | None:
    """Return fields of a table, if the inputs are one matrix of numbers, or one column each; None otherwise."""
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].datatype in _FLOATS:
        port, width = inputs[0], inputs[0].shape[1]
        if width is None or not 1 <= width <= MAX_MATRIX:
            return None
        called = tuple(names) if len(names) == width else numbered(width)
        fields = tuple(Field(name, FieldKind.NUMBER) for name in called)
        return fields, (GraphInput(port.name, called, "matrix", port.datatype),)
    if not inputs or any(port.shape[1:] not in ((1,), ()) for port in inputs):
        return None
    fed = tuple(
        GraphInput(port.name, (port.name,), "column" if len(port.shape) == 2 else "flat", _numpy(port.datatype))
        for port in inputs
    )
    return tuple(_column_field(port) for port in inputs), fed


def _column_field(port: Port) -> Field:
    if port.datatype in ("string", "bool"):
        return Field(port.name, FieldKind.CATEGORY, port.datatype)
    return Field(port.name, FieldKind.NUMBER, "float64" if port.datatype in _FLOATS else "int64")


def _tensors(inputs: list[Port], rows: str) -> tuple[tuple[Field, ...], tuple[GraphInput, ...]]:
    fields = tuple(Field(port.name, FieldKind.TENSOR, port.datatype, _row_shape(port, rows)) for port in inputs)
    return fields, tuple(GraphInput(port.name, (port.name,), "tensor", _numpy(port.datatype)) for port in inputs)


def _row_shape(port: Port, rows: str) -> tuple[int, ...]:
    shape = port.shape if rows == "whole" else port.shape[1:]
    return tuple(-1 if size is None else size for size in shape)


def _numpy(datatype: str) -> str:
    return "object" if datatype == "string" else datatype


def _is_number(output: Port, answer: NDArray[Any]) -> bool:
    return output.datatype in _FLOATS and answer.size == len(answer)


def _classified(data: bytes, outputs: list[Port], answers: list[NDArray[Any]]) -> tuple[tuple[Any, ...], str] | None:
    """Return the classes and the output of their probabilities, if there is a label and such an output; None otherwise."""
    if len(outputs) != 2:
        return None
    label, scores = sorted(zip(outputs, answers, strict=True), key=lambda pair: pair[0].datatype in _FLOATS)
    if label[0].datatype not in ("int64", "int32", "string", "bool") or scores[0].datatype not in _FLOATS or label[1].ndim > 2:
        return None
    table = scores[1].astype(np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not _are_probabilities(table):
        return None
    classes = _class_labels(data, table.shape[1])
    if classes is None and label[0].datatype in ("int64", "int32"):
        classes = tuple(range(table.shape[1]))
    return None if classes is None else (classes, scores[0].name)


def _are_probabilities(table: NDArray[np.float64]) -> bool:
    return bool((table >= -1e-6).all() and (table <= 1 + 1e-6).all() and np.allclose(table.sum(axis=1), 1.0, atol=1e-3))


def _class_labels(data: bytes, count: int) -> tuple[Any, ...] | None:
    """Return the labels that a classifier's operator, or one that looks labels up, holds."""
    import onnx

    graph = onnx.ModelProto.FromString(data).graph
    for node in reversed(graph.node):
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_") or attribute.name.startswith("cats_"):
                found = [text.decode() for text in attribute.strings] or list(attribute.ints)
                if len(found) == count:
                    return tuple(found)
    for held in graph.initializer:
        if "class" in held.name.lower() and list(held.dims) == [count]:
            values = onnx.numpy_helper.to_array(held)
            return tuple(value.decode() if isinstance(value, bytes) else value for value in values.tolist())
    return None


def without_maps(data: bytes) -> bytes:
    """Return a model that answers probabilities as a tensor where it answered a list of maps."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    maps = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "ZipMap"}
    for output in graph.output:
        if output.name in maps:
            output.CopyFrom(onnx.helper.make_tensor_value_info(maps[output.name], onnx.TensorProto.FLOAT, None))
    kept = [node for node in graph.node if node.op_type != "ZipMap"]
    del graph.node[:]
    graph.node.extend(kept)
    return bytes(model.SerializeToString(deterministic=True))
