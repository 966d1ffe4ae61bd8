"""A package as one ONNX graph: columns in, answer and probabilities out. Encoder, compiled form and decision in one file.

So it answers wherever an ONNX runtime does, without perenne: at the edge, in a browser, on a telephone. It is the predictor's
arithmetic step by step, in the same precision: float64 columns, the float32 matrix, float64 outputs.

Inputs are one tensor [n] a column: float64 for numbers and times (NaN where missing), strings for categories (a text of its own
where missing, since ONNX has no null). Outputs are `prediction` [n] and, for classes, `probabilities` [n, classes].
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.inference.encodings import LARGEST, LATEST, CategoryEncoding, Encoding, NumberEncoding, TimeEncoding
from perenne.inference.forms import LinearForm
from perenne.inference.graphs import GRAPH, GraphInput, GraphMap
from perenne.inference.model import TIE, PackedForm, Signature
from perenne.inference.predictor import FORM_FILES, Predictor, load
from perenne.inference.trees import IR_VERSION, OPSETS
from perenne.stats.columns import FieldKind, Task

PREDICTION, PROBABILITIES = "prediction", "probabilities"
_DAY = 86_400.0
_SUBSTITUTE = "\x1a"


class WholeGraph(NamedTuple):
    """A graph's bytes, and for each category the text that stands for a missing value."""

    data: bytes
    missing: dict[str, str]


def whole_graph(folder: Path) -> WholeGraph:
    """Make one graph of the package in a folder; equal packages give equal bytes.

    Raises
    ------
    Invalid
        If the package is damaged, or answers by a form that is no graph.
    """
    predictor, place = load(folder), Path(folder)
    _check(predictor)
    graph = _Graph()
    if predictor.manifest.feed == "columns":
        missing = {field.name: "" for field in predictor.signature.fields if field.kind is FieldKind.CATEGORY}
        scores = _mapped(graph, predictor, place)
    else:
        missing = _missing_texts(predictor)
        packed = _packed(predictor)
        scores = _scores(
            graph, predictor, packed.form, (place / packed.file).read_bytes(), _matrix(graph, predictor, packed, missing)
        )
    return WholeGraph(graph.model(_inputs(predictor), _answers(graph, predictor.signature, scores)), missing)


def _check(predictor: Predictor) -> None:
    """Refuse what is answered with tensors, or asked with them. Raises Invalid."""
    tensors = [field.name for field in predictor.signature.fields if field.kind is FieldKind.TENSOR]
    if tensors or predictor.signature.task is Task.OUTPUTS:
        raise Invalid(
            "a model of tensors is not made portable: it is a graph by itself",
            code="inference.no_graph",
            hint="take model.onnx from its package as it is",
        )


def _packed(predictor: Predictor) -> PackedForm:
    """Return the form that becomes the graph: a linear one before an ONNX one. Raises Invalid if there is neither."""
    manifest = predictor.manifest
    forms = manifest.forms or (PackedForm(manifest.form, FORM_FILES[manifest.form], manifest.fill),)
    for wanted in ("linear", "onnx"):
        found = next((item for item in forms if item.form == wanted), None)
        if found is not None:
            return found
    raise Invalid(
        f"a model in the form {manifest.form} is no graph",
        code="inference.no_graph",
        hint="package it in a form that ONNX knows",
    )


def _missing_texts(predictor: Predictor) -> dict[str, str]:
    columns = predictor.encoder.state.columns if predictor.manifest.feed == "encoder" else ()
    return {encoding.name: _missing_text(encoding) for encoding in columns if isinstance(encoding, CategoryEncoding)}


def _no_graph(message: str) -> Invalid:
    return Invalid(message, code="inference.no_graph", hint=f"export it with ONNX's own operators, opset {OPSETS['']} or newer")


class _Graph:
    """Nodes and constants as they are put together; every step returns the name of its value."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self._opsets = dict(OPSETS)

    def step(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        from onnx import helper

        name = f"/{len(self.nodes)}/{operator}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """Add a constant, each different one once."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes() if array.dtype != object else tuple(array.tolist()))
        if key not in self._known:
            self._known[key] = f"/constant/{len(self._known)}"
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def agree(self, inner: Any) -> Any:
        """Bring the operators of another graph and of this one to the same versions: the newer of both.

        Raises
        ------
        Invalid
            If the other graph cannot be brought forward, or has operators that are not ONNX's.
        """
        from onnx import version_converter

        found = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in inner.opset_import}
        if inner.functions or found.keys() - OPSETS.keys():
            raise _no_graph("the model's graph has operators of its own")
        if found.get("", OPSETS[""]) < OPSETS[""]:
            try:
                inner = version_converter.convert_version(inner, OPSETS[""])
            except Exception as error:  # (what it raises depends on the operator)
                raise _no_graph(f"the model's graph cannot be brought to opset {OPSETS['']}") from error
        self._opsets = {domain: max(version, found.get(domain, 0)) for domain, version in self._opsets.items()}
        return inner

    def model(self, inputs: list[Any], outputs: list[Any]) -> bytes:
        """Write the graph."""
        from onnx import helper

        graph = helper.make_graph(self.nodes, "model", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="perenne")
        return bytes(model.SerializeToString(deterministic=True))


def _inputs(predictor: Predictor) -> list[Any]:
    from onnx import TensorProto, helper

    texts = {field.name: field.kind is FieldKind.CATEGORY for field in predictor.signature.fields}
    return [
        helper.make_tensor_value_info(name, TensorProto.STRING if text else TensorProto.DOUBLE, ["rows"])
        for name, text in texts.items()
    ]


def _missing_text(encoding: CategoryEncoding) -> str:
    """Return a text that is no level, and that nobody types: ASCII's substitute character, more than once if need be."""
    return _SUBSTITUTE * (1 + max((len(level) for level in encoding.levels if not level.strip(_SUBSTITUTE)), default=0))


def _matrix(graph: _Graph, predictor: Predictor, packed: PackedForm, missing: dict[str, str]) -> str:
    """Encode the columns, or put them side by side; what is missing is filled where the form needs it."""
    if predictor.manifest.feed == "matrix":
        matrix, kind = _side_by_side(graph, [field.name for field in predictor.signature.fields]), "float64"
    else:
        blocks = [_encoded(graph, encoding, missing) for encoding in predictor.encoder.state.columns]
        matrix, kind = graph.step("Concat", *blocks, axis=1), "float32"
    if packed.fill is None:
        return matrix
    return graph.step("Where", graph.step("IsNaN", matrix), graph.constant([packed.fill], kind), matrix)


def _side_by_side(graph: _Graph, values: list[str]) -> str:
    axis = graph.constant([1], np.int64)
    wide = [graph.step("Unsqueeze", value, axis) for value in values]
    return wide[0] if len(wide) == 1 else graph.step("Concat", *wide, axis=1)


def _mapped(graph: _Graph, predictor: Predictor, folder: Path) -> str:
    """Ask a graph that has inputs of its own, as its map says: [n, m] float64."""
    packed = _packed(predictor)
    plan = json.decode((folder / GRAPH).read_bytes(), GraphMap, what=GRAPH)
    if plan.rows != "together":
        raise Invalid(
            "the graph of this model takes one row at a time", code="inference.no_graph", hint="export it with rows that vary"
        )
    kinds = {field.name: field.kind for field in predictor.signature.fields}
    feeds = {given.name: _filled(graph, given, kinds) for given in plan.inputs}
    return _inlined(graph, (folder / packed.file).read_bytes(), feeds, plan.scores or plan.value)


def _filled(graph: _Graph, given: GraphInput, kinds: dict[str, FieldKind]) -> str:
    """Fill an input of a graph from columns, as `graphs.GraphForm` does."""
    from onnx import TensorProto, helper

    if given.layout == "matrix":
        return graph.step(
            "Cast", _side_by_side(graph, list(given.fields)), to=helper.np_dtype_to_tensor_dtype(np.dtype(given.dtype))
        )
    value = given.fields[0]
    if given.dtype != "object":
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(given.dtype))
        if kinds[value] is FieldKind.CATEGORY:
            value = graph.step(
                "LabelEncoder", value, domain="ai.onnx.ml", keys_strings=["true"], values_int64s=[1], default_int64=0
            )
        elif kind not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16):
            value = graph.step("Where", graph.step("IsNaN", value), graph.constant(0.0), value)
        value = graph.step("Cast", value, to=kind)
    return value if given.layout == "flat" else graph.step("Unsqueeze", value, graph.constant([1], np.int64))


def _encoded(graph: _Graph, encoding: Encoding, missing: dict[str, str]) -> str:
    """Encode a column as [n, outputs] float32."""
    match encoding:
        case NumberEncoding():
            return _as_columns(graph, [_bounded(graph, encoding.name, encoding.name, LARGEST)])
        case TimeEncoding():
            return _time(graph, encoding)
        case CategoryEncoding():
            return _category(graph, encoding, missing[encoding.name])


def _category(graph: _Graph, encoding: CategoryEncoding, missing: str) -> str:
    keys = [*encoding.levels, missing]
    row = graph.step(
        "LabelEncoder",
        encoding.name,
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_int64s=list(range(len(keys))),
        default_int64=len(keys),
    )
    table = np.array([*encoding.levels.values(), encoding.absent, encoding.unseen], np.float32)
    return graph.step("Gather", graph.constant(table, np.float32), row, axis=0)


def _time(graph: _Graph, encoding: TimeEncoding) -> str:
    """Month, weekday, hour and days since the start, as the encoding's own arithmetic has them."""
    known = graph.step("LessOrEqual", graph.step("Abs", encoding.name), graph.constant(LATEST))
    seconds = graph.step("Where", known, encoding.name, graph.constant(0.0))
    days = _quotient(graph, seconds, _DAY)
    parts = [
        _month(graph, days),
        _remainder(graph, _plus(graph, days, 3.0), 7.0),
        _over(graph, graph.step("Sub", seconds, _times(graph, days, _DAY)), 3600.0),
        _over(graph, _plus(graph, seconds, -encoding.start), _DAY),
    ]
    return _as_columns(graph, [graph.step("Where", known, part, graph.constant(np.nan)) for part in parts])


def _month(graph: _Graph, days: str) -> str:
    """Return the month of days since 1970, by the arithmetic of `encodings`, whose whole numbers float64 holds exactly."""
    day = _remainder(graph, _plus(graph, days, 719_468.0), 146_097.0)
    year = day
    for divisor, sign in ((1_460.0, "Sub"), (36_524.0, "Add"), (146_096.0, "Sub")):
        year = graph.step(sign, year, _quotient(graph, day, divisor))
    year = _quotient(graph, year, 365.0)
    of_year = graph.step("Sub", day, _times(graph, year, 365.0))
    of_year = graph.step("Sub", of_year, _quotient(graph, year, 4.0))
    of_year = graph.step("Add", of_year, _quotient(graph, year, 100.0))
    shifted = _quotient(graph, _plus(graph, _times(graph, of_year, 5.0), 2.0), 153.0)
    return _plus(graph, _remainder(graph, _plus(graph, shifted, 2.0), 12.0), 1.0)


def _bounded(graph: _Graph, bounds: str, value: str, most: float) -> str:
    """Leave what lies within bounds; the rest counts as missing."""
    within = graph.step("LessOrEqual", graph.step("Abs", bounds), graph.constant(most))
    return graph.step("Where", within, value, graph.constant(np.nan))


def _as_columns(graph: _Graph, values: list[str]) -> str:
    """Put float64 [n] values beside each other as [n, m] float32."""
    return _cast(graph, _side_by_side(graph, values), "FLOAT")


def _cast(graph: _Graph, value: str, kind: str) -> str:
    from onnx import TensorProto

    return graph.step("Cast", value, to=getattr(TensorProto, kind))


def _plus(graph: _Graph, value: str, constant: float) -> str:
    return graph.step("Add", value, graph.constant(constant))


def _times(graph: _Graph, value: str, constant: float) -> str:
    return graph.step("Mul", value, graph.constant(constant))


def _over(graph: _Graph, value: str, constant: float) -> str:
    return graph.step("Div", value, graph.constant(constant))


def _quotient(graph: _Graph, value: str, divisor: float) -> str:
    return graph.step("Floor", _over(graph, value, divisor))


def _remainder(graph: _Graph, value: str, divisor: float) -> str:
    return graph.step("Sub", value, _times(graph, _quotient(graph, value, divisor), divisor))


def _scores(graph: _Graph, predictor: Predictor, form: str, data: bytes, matrix: str) -> str:
    """Answer the matrix with the form: [n, m] float64."""
    if form == "onnx":
        return _inlined(graph, data, {"x": matrix}, "")
    linear = LinearForm.read(data, predictor.signature.task)
    product = graph.step("MatMul", _cast(graph, matrix, "DOUBLE"), graph.constant(linear.coefficients))
    raw = graph.step("Add", product, graph.constant(linear.intercept))
    match predictor.signature.task:
        case Task.BINARY:
            return graph.step("Sigmoid", raw)
        case Task.MULTICLASS:
            return graph.step("Softmax", raw, axis=1)
        case _:
            return raw


def _inlined(graph: _Graph, data: bytes, feeds: dict[str, str], output: str) -> str:
    """Put a graph's nodes behind what its inputs are fed with; the output named, or its last one, as [n, m] float64."""
    import onnx
    from onnx import compose

    model = graph.agree(onnx.load_model_from_string(data))
    inner = compose.add_prefix_graph(model.graph, "/form/")
    kinds = {put.name: put.type.tensor_type.elem_type for put in inner.input}
    fed = {f"/form/{name}": graph.step("Cast", value, to=kinds[f"/form/{name}"]) for name, value in feeds.items()}
    for node in inner.node:
        node.input[:] = [fed.get(name, name) for name in node.input]
    graph.nodes.extend(inner.node)
    graph.constants.extend(inner.initializer)
    last = f"/form/{output}" if output else inner.output[-1].name
    return graph.step("Reshape", _cast(graph, last, "DOUBLE"), graph.constant([0, -1], np.int64))


def _answers(graph: _Graph, signature: Signature, scores: str) -> list[Any]:
    """Decide, and name the outputs."""
    from onnx import TensorProto, helper

    if signature.task is Task.REGRESSION:
        graph.nodes.append(_named(graph.step("Squeeze", scores, graph.constant([1], np.int64)), PREDICTION))
        return [helper.make_tensor_value_info(PREDICTION, TensorProto.DOUBLE, ["rows"])]
    classes = len(signature.classes)
    if signature.task is Task.BINARY:
        # A form gives the positive class's score alone, or both: the last two columns are right either way.
        last = _last_columns(graph, scores, 1)
        both = graph.step("Concat", graph.step("Sub", graph.constant(1.0), last), scores, axis=1)
        scores = _last_columns(graph, both, 2)
    graph.nodes.append(_named(scores, PROBABILITIES))
    labels = label_array(signature)
    index = _decided(graph, signature, scores)
    graph.nodes.append(_named(graph.step("Gather", graph.constant(labels, labels.dtype), index, axis=0), PREDICTION))
    kind = helper.np_dtype_to_tensor_dtype(labels.dtype)
    return [
        helper.make_tensor_value_info(PREDICTION, kind, ["rows"]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.DOUBLE, ["rows", classes]),
    ]


def _last_columns(graph: _Graph, value: str, count: int) -> str:
    return graph.step("Slice", value, *(graph.constant([at], np.int64) for at in (-count, 1 << 30, 1)))


def _named(value: str, name: str) -> Any:
    from onnx import helper

    return helper.make_node("Identity", [value], [name], name=f"/output/{name}")


def _decided(graph: _Graph, signature: Signature, scores: str) -> str:
    """Turn scores into class indices, as `decide` does: [n] int64."""
    if signature.task is Task.BINARY:
        positive = graph.step("Gather", scores, graph.constant(1, np.int64), axis=1)
        return _cast(graph, graph.step("GreaterOrEqual", positive, graph.constant(signature.threshold - TIE)), "INT64")
    best = graph.step("ReduceMax", scores, graph.constant([1], np.int64), keepdims=1)
    good = graph.step("GreaterOrEqual", scores, _plus(graph, best, -TIE))
    return graph.step("ArgMax", _cast(graph, good, "FLOAT"), axis=1, keepdims=0)


def label_array(signature: Signature) -> NDArray[Any]:
    """Return the classes in the type in which an answer travels: booleans, integers, numbers, or texts."""
    kinds = set(map(type, signature.classes))
    if kinds == {bool}:
        return np.array(signature.classes, np.bool_)
    if kinds == {int}:
        return np.array(signature.classes, np.int64)
    if kinds <= {int, float}:
        return np.array(signature.classes, np.float64)
    return np.array([str(label) for label in signature.classes], object)
