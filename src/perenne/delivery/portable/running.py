"""A graph asked here: columns to its tensors, its answers, how far two graphs are apart, and how long one row takes."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.delivery.portable.model import Limits, Tried
from perenne.stats.columns import Columns, row_count

_MOST_CALLS = 400


class GraphAnswer(NamedTuple):
    """Labels or values, and probabilities if there are classes."""

    predictions: NDArray[Any]
    probabilities: NDArray[np.float64] | None


class Graph:
    """A graph, open: one thread, one processor provider.

    Parameters
    ----------
    data : bytes
        The ONNX model.
    missing : mapping
        For each category, the text that stands for a missing value.
    """

    def __init__(self, data: bytes, missing: Mapping[str, str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._missing = missing

    def feed(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """Return columns as the graph takes them."""
        return {put.name: self._tensor(put.name, columns[put.name]) for put in self._session.get_inputs()}

    def ask(self, feed: Mapping[str, NDArray[Any]]) -> GraphAnswer:
        """Answer rows."""
        predictions, *probabilities = self._session.run(None, dict(feed))
        return GraphAnswer(predictions, probabilities[0] if probabilities else None)

    def _tensor(self, name: str, column: NDArray[Any]) -> NDArray[Any]:
        if name not in self._missing:
            return column.astype(np.float64)
        return np.array([self._missing[name] if value is None else value for value in column], object)


def compare(precision: str, data: bytes, expected: GraphAnswer, found: GraphAnswer, limits: Limits) -> Tried:
    """Hold a graph's answers against the version's own."""
    if expected.probabilities is None or found.probabilities is None:
        scale = float(np.abs(expected.predictions).max(initial=0.0)) or 1.0
        apart, differing = np.abs(found.predictions - expected.predictions) / scale, 0
    else:
        apart = np.abs(found.probabilities - expected.probabilities)
        differing = int((found.predictions != expected.predictions).sum())
    rows, largest = len(expected.predictions), float(apart.max(initial=0.0))
    near = bool(np.isfinite(apart).all()) and largest <= limits.difference and differing <= limits.differing * rows
    return Tried(precision=precision, bytes=len(data), rows=rows, differing=differing, largest_difference=largest, accepted=near)


def time_rows(graph: Graph, columns: Columns) -> tuple[float, float]:
    """Time one row after the other, each a different one while there are any: median and 99th percentile in microseconds."""
    rows = min(row_count(columns), _MOST_CALLS)
    feeds = [graph.feed({name: column[row : row + 1] for name, column in columns.items()}) for row in range(rows)]
    for feed in feeds[:10]:
        graph.ask(feed)
    taken = []
    for call in range(_MOST_CALLS):
        start = time.perf_counter_ns()
        graph.ask(feeds[call % rows])
        taken.append((time.perf_counter_ns() - start) / 1e3)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))
