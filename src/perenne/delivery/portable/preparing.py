"""What every portable package begins with: one graph in the precision that is near enough, what it takes, and example rows."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import perenne
from perenne.core.errors import Invalid
from perenne.delivery.portable.model import SHOWN_LEVELS, Limits, PortableExample, PortableInput, PortableModel, Tried, Value
from perenne.delivery.portable.running import Graph, GraphAnswer, compare
from perenne.delivery.portable.smaller import smaller_graphs
from perenne.inference import Predictor, WholeGraph, load, whole_graph
from perenne.stats.columns import Column, Columns, Field, FieldKind, row_count, take

_COMPARED_ROWS = 5_000
_EXACT = Limits(differing=0.0, difference=1e-6)


class Source(NamedTuple):
    """What is packaged: a folder with a package, and how its version is called."""

    folder: Path
    model: str
    number: str
    tree: str

    @property
    def version(self) -> str:
        """`name@number`."""
        return f"{self.model}@{self.number}"


class Prepared(NamedTuple):
    """A graph ready to be written: what it says of itself, its bytes, example rows, the precisions tried, and the rows."""

    about: PortableModel
    data: bytes
    example: PortableExample
    tried: tuple[Tried, ...]
    rows: dict[str, Column]
    missing: dict[str, str]


def prepare(source: Source, rows: Columns | None, limits: Limits | None, *, with_rows: bool = True) -> Prepared:
    """Make the graph.

    Parameters
    ----------
    rows : Columns, optional
        Real rows on which smaller graphs are held against the version; without them, its stored example.
    limits : Limits or None
        How far a smaller graph may be off; None takes only what answers the same.
    with_rows : bool
        Whether the stored example travels with it; otherwise one row of typical values.

    Raises
    ------
    Invalid
        If the package is damaged, its form is no graph, or the graph itself does not answer like the version.
    """
    predictor = load(source.folder)
    whole = whole_graph(source.folder)
    stored = _example_columns(predictor)
    compared = take(stored if rows is None else rows, slice(0, _COMPARED_ROWS))
    expected = _answer(predictor, compared)
    chosen, data, tried = _chosen(whole, compared, expected, _EXACT if limits is None else limits)
    shown = stored if with_rows else _typical(stored)
    return Prepared(
        about=_about(source, predictor, whole, chosen, data),
        data=data,
        example=_example(predictor, shown),
        tried=tried,
        rows=shown if rows is None else dict(compared),
        missing=whole.missing,
    )


def _chosen(whole: WholeGraph, rows: Columns, expected: GraphAnswer, limits: Limits) -> tuple[str, bytes, tuple[Tried, ...]]:
    """Try every precision; the smallest that is near enough is taken."""
    tried: list[tuple[Tried, bytes]] = []
    for small in smaller_graphs(whole.data):
        if small.problem:
            tried.append((Tried(precision=small.precision, problem=small.problem), b""))
            continue
        graph = Graph(small.data, whole.missing)
        last = small.data is whole.data
        tried.append(
            (compare(small.precision, small.data, expected, graph.ask(graph.feed(rows)), _EXACT if last else limits), small.data)
        )
    good = [(item, data) for item, data in tried if item.accepted]
    if not tried[-1][0].accepted or not good:
        raise Invalid(
            "the graph does not answer like the version it was made from",
            code="package.parity",
            hint="report it: `perenne debug` puts together what is needed",
        )
    best, data = min(good, key=lambda pair: pair[0].bytes)
    return best.precision, data, tuple(item for item, _ in tried)


def _about(source: Source, predictor: Predictor, whole: WholeGraph, precision: str, data: bytes) -> PortableModel:
    signature = predictor.signature
    encodings = predictor.encoder.state.columns if predictor.manifest.feed == "encoder" else ()
    levels = {encoding.name: tuple(getattr(encoding, "levels", ())) for encoding in encodings}
    return PortableModel(
        name=source.model,
        version=source.number,
        tree=source.tree,
        task=signature.task.value,
        target=signature.target,
        classes=signature.classes,
        threshold=signature.threshold,
        inputs=tuple(
            PortableInput(
                name=field.name,
                kind=field.kind.value,
                datatype=field.datatype,
                protocol=_protocol(field),
                missing=whole.missing.get(field.name, ""),
                levels=levels.get(field.name, ())[:SHOWN_LEVELS],
            )
            for field in signature.fields
        ),
        precision=precision,
        digest=hashlib.sha256(data).hexdigest(),
        perenne=perenne.__version__,
    )


def _protocol(field: Field) -> str:
    """Return the datatype in the Open Inference Protocol, as our own server declares it."""
    if field.kind is FieldKind.TIME:
        return "INT64"
    plain = {"int64": "INT64", "bool": "BOOL"}
    return plain.get(field.datatype, "FP64" if field.kind is FieldKind.NUMBER else "BYTES")


def _answer(predictor: Predictor, columns: Columns) -> GraphAnswer:
    found = predictor.predict(columns)
    labels = np.array(predictor.labels(found), None if found.scores is None else object)
    return GraphAnswer(labels, found.scores)


def _example(predictor: Predictor, columns: Columns) -> PortableExample:
    answer = _answer(predictor, columns)
    return PortableExample(
        inputs={name: [_value(value) for value in column.tolist()] for name, column in columns.items()},
        predictions=answer.predictions.tolist(),
        probabilities=None if answer.probabilities is None else answer.probabilities.tolist(),
    )


def _value(value: Any) -> Value:
    return None if isinstance(value, float) and math.isnan(value) else value


def _example_columns(predictor: Predictor) -> dict[str, Column]:
    return {field.name: _column(field, predictor.example.inputs[field.name]) for field in predictor.signature.fields}


def _column(field: Field, values: Sequence[Value]) -> Column:
    return np.array(values, object if field.kind is FieldKind.CATEGORY else np.float64)


def _typical(columns: Columns) -> dict[str, Column]:
    """Return one row that is nobody's: medians, and the most frequent categories."""
    return {name: _middle(column) for name, column in columns.items()} if row_count(columns) else dict(columns)


def _middle(column: Column) -> Column:
    if column.dtype != object:
        return np.array([np.nanmedian(column) if np.isfinite(column).any() else np.nan])
    levels = Counter(value for value in column.tolist() if value is not None)
    return np.array([min(levels, key=lambda level: (-levels[level], level)) if levels else None], object)
