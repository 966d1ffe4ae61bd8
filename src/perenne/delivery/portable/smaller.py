"""A graph in fewer bytes: trees in float32 without a decision changed, matrix products in whole numbers of eight bits.

A row is float32 when it meets a threshold, so a threshold may be rounded down to float32: no row lies between the two. Leaves
are rounded to the nearest. Matrix products are quantised by ONNX Runtime, dynamically [1]_.

.. [1] ONNX Runtime, "Quantize ONNX models": https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TREES = ("TreeEnsembleRegressor", "TreeEnsembleClassifier")
PRODUCTS = ("MatMul", "Gemm")


class Smaller(NamedTuple):
    """A graph in another precision; empty bytes and the problem if it could not be made."""

    precision: str
    data: bytes
    problem: str = ""


def smaller_graphs(data: bytes) -> Iterator[Smaller]:
    """Make the graphs that a model may be shipped as, the most economical first and the graph itself last."""
    import onnx

    model = onnx.load_model_from_string(data)
    if _has_float32_products(model.graph):
        yield _quantised(data)
    if _narrow_trees(model.graph):
        yield Smaller("float32", bytes(model.SerializeToString(deterministic=True)))
    yield Smaller("float64", data)


def _quantised(data: bytes) -> Smaller:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "small.onnx")
        source.write_bytes(data)
        try:
            with _quiet():
                quantize_dynamic(source, target, weight_type=QuantType.QInt8, op_types_to_quantize=list(PRODUCTS))
        except Exception as error:  # (what it raises depends on the graph)
            return Smaller("int8", b"", f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:300])
        return Smaller("int8", target.read_bytes())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the quantiser says to the root logger about graphs that were not made for it."""

    def drop(_: logging.LogRecord) -> bool:
        return False

    root = logging.getLogger()
    root.addFilter(drop)
    try:
        yield
    finally:
        root.removeFilter(drop)


def _has_float32_products(graph: Any) -> bool:
    """Tell whether there is a product by a float32 matrix: float64 ones, as of linear models, are few and stay."""
    from onnx import TensorProto

    narrow = {constant.name for constant in graph.initializer if constant.data_type == TensorProto.FLOAT}
    return any(narrow & set(node.input) for node in graph.node if node.op_type in PRODUCTS)


def _narrow_trees(graph: Any) -> bool:
    """Rewrite float64 trees to float32 in place; tell whether there were any."""
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    narrowed = False
    for node in graph.node:
        wide = [attribute for attribute in node.attribute if attribute.name.endswith("_as_tensor")]
        if node.op_type not in TREES or not wide:
            continue
        for attribute in wide:
            _narrow(node, attribute)
        node.input[0] = casts[node.input[0]]
        narrowed = True
    return narrowed


def _narrow(node: Any, attribute: Any) -> None:
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(attribute.t).astype(np.float64)
    name = attribute.name.removesuffix("_as_tensor")
    narrow = rounded_down(values) if name == "nodes_values" else values.astype(np.float32)
    node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, narrow.tolist()))


def rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to the largest float32 that is not above.

    >>> rounded_down(np.array([0.1, 0.5, -0.1])).astype(float).tolist() <= [0.1, 0.5, -0.1]
    True
    """
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    above = narrow.astype(np.float64) > values
    narrow[above] = np.nextafter(narrow[above], np.float32(-np.inf))
    return narrow
