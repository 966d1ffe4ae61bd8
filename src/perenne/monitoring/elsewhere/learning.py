"""Making the reference of a model served elsewhere: from rows that a person named, or from the first seven days there are."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perenne import data
from perenne.core.clock import DAY
from perenne.core.errors import Invalid, PerenneError
from perenne.monitoring.elsewhere.model import LEARNING_DAYS, Foreign, Signature
from perenne.monitoring.elsewhere.rows import FEATURE, Rows, columns_of, inputs_of, scores_of, sorted_by_time
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task

FEWEST_ROWS = 200
MOST_ROWS = 1_000_000
_CHUNKS = (8, 56)
_KINDS = {"string": FieldKind.CATEGORY, "bool": FieldKind.CATEGORY, "timestamp": FieldKind.TIME}


def first_days(rows: Rows) -> Rows | None:
    """Return the rows of the first seven days that have enough, once as many days are over; None before that."""
    days = np.asarray(rows["time"]) // DAY
    present, counts = np.unique(days, return_counts=True)
    full = present[(counts >= FEWEST_ROWS) & (present < present[-1])] if len(present) else present
    if len(full) < LEARNING_DAYS:
        return None
    return rows.filter(pa.array(np.isin(days, full[:LEARNING_DAYS])))


def learn(foreign: Foreign, rows: Rows) -> tuple[Reference, Signature]:
    """Fix the cells by rows, and say what the model takes and answers.

    Raises
    ------
    Invalid
        If there are too few rows, or it cannot be told what the model answers.
    """
    if rows.num_rows < FEWEST_ROWS:
        raise Invalid(
            f"{rows.num_rows:,} rows are too few to hold others against",
            code="monitor.reference",
            hint=f"give at least {FEWEST_ROWS}, of a time when all was well",
        )
    rows = sorted_by_time(rows)
    if rows.num_rows > MOST_ROWS:  # evenly over the time they span
        rows = rows.take(pa.array(np.linspace(0, rows.num_rows - 1, MOST_ROWS).astype(np.int64)))
    signature = _signature(foreign, rows)
    assert signature.task is not None
    numbers = signature.task is Task.REGRESSION
    labels = rows["label"]
    known = labels.null_count == 0
    reference = Reference.fit(
        columns_of(rows, signature.fields),
        signature.fields,
        chunks=_chunks(foreign, rows),
        scores=None if numbers else scores_of(rows),
        predictions=_numbers(rows["prediction"]) if numbers else _objects(rows["prediction"]),
        labels=None if not known or numbers else _objects(labels),
        task=signature.task,
        classes=signature.classes,
    )
    return reference, signature


def _chunks(foreign: Foreign, rows: Rows) -> int:
    span = rows["time"][-1].as_py() - rows["time"][0].as_py()
    return int(np.clip(round(span / foreign.window), *_CHUNKS))


def _signature(foreign: Foreign, rows: Rows) -> Signature:
    known = foreign.signature
    fields = known.fields or tuple(_field(rows, name) for name in inputs_of(rows))
    answers, labels = (rows[name].drop_null().unique().to_pylist() for name in ("prediction", "label"))
    task = known.task or _task(rows, sorted({*answers, *labels}))
    classes = known.classes
    if task is not Task.REGRESSION and not classes:
        classes = _classes(rows, {*answers, *labels})
    if task is Task.BINARY and len(classes) != 2:
        raise Invalid(
            f"the answers are {', '.join(classes[:5])}: that is not two classes",
            code="monitor.classes",
            hint="name them, the positive one last: --classes no,yes",
        )
    return msgspec.structs.replace(known, task=task, fields=fields, classes=classes)


def _field(rows: Rows, name: str) -> Field:
    (guess,) = data.fields.infer_fields(rows.select([FEATURE + name]))
    datatype = guess.datatype
    return Field(name, _KINDS.get(datatype, FieldKind.NUMBER), datatype)


def _task(rows: Rows, values: Sequence[str]) -> Task:
    """Tell what is answered: with scores, classes; else by the values themselves, as a target's would be read."""
    if (scores := scores_of(rows)) is not None:
        return Task.BINARY if scores.shape[1] <= 2 else Task.MULTICLASS
    read = data.read_source({"answer": rows["prediction"].drop_null()})["answer"]
    numbers = _as_numbers(read.to_pylist())  # type: ignore[arg-type]
    try:
        return data.fields.task_of(pa.chunked_array([numbers]) if numbers is not None else read)
    except PerenneError as error:
        raise Invalid(
            f"it cannot be told what is answered ({len(values):,} different values)",
            code="monitor.task",
            hint="say so: --task binary, multiclass or regression; and --classes",
        ) from error


def _as_numbers(texts: Sequence[str]) -> Any:
    try:
        return pa.array([float(text) for text in texts], pa.float64())
    except ValueError:
        return None


def _classes(rows: Rows, found: set[str]) -> tuple[str, ...]:
    """Return the classes in order: that of their numbers, if they are numbers; the positive one is the last."""
    if found <= {"0", "1"}:
        return ("0", "1")
    if found <= {"false", "true"}:
        return ("false", "true")
    numbers = _as_numbers(sorted(found))
    return tuple(sorted(found, key=float) if numbers is not None else sorted(found))


def _objects(column: Rows) -> NDArray[np.object_]:
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return values


def _numbers(column: Rows) -> NDArray[np.float64]:
    return np.array([_number(text) for text in column.to_pylist()], np.float64)


def _number(text: str | None) -> float:
    try:
        return float("nan") if text is None else float(text)
    except ValueError:
        return float("nan")


def answers_of(rows: Rows, signature: Signature) -> tuple[Column, NDArray[np.float64] | None]:
    """Return predictions and scores as profiles take them."""
    if signature.task is Task.REGRESSION:
        return _numbers(rows["prediction"]), None
    return _objects(rows["prediction"]), scores_of(rows)
