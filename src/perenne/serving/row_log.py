"""The row log: every prediction with its inputs, as Parquet.

::

    logs/inference/model=M/version=V/date=2013-04-01/hour=07/part-<server>-<checkpoint>-<number>.parquet

The folders go by the time of arrival, which is in the prediction id, so that a row is found without an index. Model and version
are escaped as in URLs. A part is written under a hidden name and gets its own in a checkpoint: what can be seen is whole, on the
disk, and never changes.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from perenne.core.clock import HOUR, SECOND, format_time
from perenne.inference import Prediction, Signature
from perenne.serving.challengers import labels
from perenne.serving.checkpoints import Staged, make_folder, write_durably
from perenne.serving.messages import Served
from perenne.serving.model import Constant
from perenne.serving.windows import WindowKey
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task, dtype_of

Floats: TypeAlias = NDArray[np.float64]
Logged: TypeAlias = tuple[Sequence[Constant | None] | Floats | None, Floats | None, Floats | None]
_FEATURE, _OUTPUT = "f_", "o_"
_MAX_LATENCY = 2**31 - 1


class Batch(NamedTuple):
    """Rows to log that one version answered in one role: lists and arrays hold one value per row, `outputs` one tensor."""

    version: str
    tree: str
    request_ids: list[str]
    row_numbers: NDArray[np.int32]
    arrivals: NDArray[np.int64]
    event_times: NDArray[np.int64]
    deployment: str
    variant: str
    reasons: list[str]
    propensities: NDArray[np.float32]
    sticky_hashes: NDArray[np.uint64]
    statuses: NDArray[np.int16]
    latencies: NDArray[np.int32]
    batch_rows: NDArray[np.int32]
    columns: Columns
    predictions: Sequence[Constant | None] | NDArray[np.float64] | None
    score: NDArray[np.float64] | None
    scores: NDArray[np.float64] | None
    outputs: Mapping[str, NDArray[Any]]


def hour_folder(logs: Path, version: str, hour: int) -> Path:
    """Return the folder of a version's predictions that arrived in an hour (microseconds since 1970, rounded down)."""
    model, _, number = version.rpartition("@")
    day, clock = format_time(hour)[:13].split("T")
    names = (f"model={_escape(model)}", f"version={_escape(number)}", f"date={day}", f"hour={clock}")
    return logs.joinpath("inference", *names)


def _escape(name: str) -> str:
    return quote(name, safe="") or "_"


class RowLog:
    """Collects rows and writes them as Parquet.

    Parameters
    ----------
    logs : Path
        The folder of logs.
    server : str
        Whose log it is; part of every file's name.

    Attributes
    ----------
    rows, bytes : int
        How much waits.
    """

    def __init__(self, logs: Path, server: str) -> None:
        self._logs = logs
        self._server = server
        self._waiting: dict[tuple[str, int], list[pa.Table]] = {}
        self.rows = self.bytes = 0

    def add(self, version: str, table: pa.Table) -> None:
        """Take rows that a version answered."""
        hours = table.column("arrival").cast(pa.int64()).to_numpy() // HOUR * HOUR
        present = np.unique(hours).tolist()
        for hour in present:
            part = table if len(present) == 1 else table.filter(pa.array(hours == hour))
            self._waiting.setdefault((version, hour), []).append(part)
        self.rows += table.num_rows
        self.bytes += table.nbytes

    def stage(self, sequence: int) -> Iterator[Staged]:
        """Write all that waits for a checkpoint, one part per version and hour."""
        for number, ((version, hour), parts) in enumerate(self._waiting.items()):
            folder = hour_folder(self._logs, version, hour)
            make_folder(folder, self._logs)
            name = f"part-{self._server}-{sequence:08d}-{number:03d}.parquet"
            table = pa.concat_tables(parts, promote_options="default")
            write_durably(folder / f".{name}", functools.partial(pq.write_table, table, compression="zstd"))
            yield Staged(folder / f".{name}", folder / name)

    def clear(self) -> None:
        """Begin anew."""
        self._waiting.clear()
        self.rows = self.bytes = 0


def batch_of(
    signature: Signature, key: WindowKey, tree: str, group: list[Served], columns: Columns, prediction: Prediction | None
) -> Batch:
    """Return the rows of several requests as a batch to log; a constant's answer is the same for all its rows."""
    rows = np.array([served.rows for served in group])
    spread = functools.partial(np.repeat, repeats=rows)
    numbers = [np.arange(served.first_row, served.first_row + served.rows, dtype=np.int32) for served in group]
    logged: Logged = (None, None, None) if prediction is None else answers(signature, prediction)
    constants = [served.answer for served in group for _ in range(served.rows)] if prediction is None else []
    if prediction is None and any(answer is not None for answer in constants):
        numbers_only = signature.task is Task.REGRESSION
        logged = ([answer if answer is None or numbers_only else label_text(answer) for answer in constants], None, None)
    return Batch(
        version=key.version,
        tree=tree,
        request_ids=[served.request_id for served in group for _ in range(served.rows)],
        row_numbers=np.concatenate(numbers),
        arrivals=spread(np.array([served.arrival for served in group], np.int64)),
        event_times=spread(np.array([served.event_time for served in group], np.int64)),
        deployment=key.deployment,
        variant=key.variant,
        reasons=[served.reason for served in group for _ in range(served.rows)],
        propensities=spread(np.array([served.propensity for served in group], np.float32)),
        sticky_hashes=spread(np.array([served.sticky_hash for served in group], np.uint64)),
        statuses=spread(np.array([served.status for served in group], np.int16)),
        latencies=spread(np.minimum([served.latency_us for served in group], _MAX_LATENCY).astype(np.int32)),
        batch_rows=spread(np.array([served.batch_rows for served in group], np.int32)),
        columns=columns,
        predictions=logged[0],
        score=logged[1],
        scores=logged[2],
        outputs={} if prediction is None else prediction.outputs or {},
    )


def to_table(batch: Batch, fields: tuple[Field, ...], task: Task) -> pa.Table:
    """Return rows as an Arrow table; the inputs are called `f_<name>`, outputs that are tensors `o_<name>`."""
    count = len(batch.request_ids)
    instants = pa.timestamp("us", tz="UTC")
    ids = [f"{request}-{row}" for request, row in zip(batch.request_ids, batch.row_numbers.tolist(), strict=True)]
    number = pa.float64() if task is Task.REGRESSION else pa.string()
    columns: dict[str, pa.Array[Any]] = {
        "prediction_id": pa.array(ids, pa.string()),
        "request_id": pa.array(batch.request_ids, pa.string()),
        "row": pa.array(batch.row_numbers, pa.int32()),
        "event_time": pa.array(batch.event_times, instants),
        "arrival": pa.array(batch.arrivals, instants),
        "deployment": pa.repeat(pa.scalar(batch.deployment), count),
        "variant": pa.repeat(pa.scalar(batch.variant), count),
        "version": pa.repeat(pa.scalar(batch.version), count),
        "digest": pa.repeat(pa.scalar(batch.tree), count),
        "reason": pa.array(batch.reasons, pa.string()),
        "propensity": pa.array(batch.propensities, pa.float32()),
        "sticky_hash": pa.array(batch.sticky_hashes, pa.uint64()),
        "prediction": pa.nulls(count, number) if batch.predictions is None else pa.array(batch.predictions, number),
        "score": pa.nulls(count, pa.float64()) if batch.score is None else pa.array(batch.score),
        "scores": _lists(batch.scores, count),
        "latency_us": pa.array(batch.latencies, pa.int32()),
        "batch_rows": pa.array(batch.batch_rows, pa.int32()),
        "status": pa.array(batch.statuses, pa.int16()),
    }
    for field in fields:
        columns[_FEATURE + field.name] = _feature(batch.columns.get(field.name), field, count)
    for name, values in batch.outputs.items():
        columns[_OUTPUT + name] = _flat(values)
    return pa.table(columns)


def answers(signature: Signature, prediction: Prediction) -> Logged:
    """Return a prediction as it is logged: labels as text (or numbers), the leading score, and all scores.

    The leading score is that of the positive class for a binary task and the highest one otherwise. Tensors have columns of
    their own.
    """
    if signature.task is Task.OUTPUTS:
        return None, None, None
    if signature.task is Task.REGRESSION:
        return prediction.predictions, None, None
    texts = [label_text(label) for label in labels(signature, prediction)]
    scores = prediction.scores
    if scores is None:
        return texts, None, None
    return texts, scores[:, 1] if signature.task is Task.BINARY else scores.max(axis=1), scores


def label_text(label: object) -> str:
    """Return a label as text: `true` and `false` for booleans."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _lists(scores: NDArray[np.float64] | None, count: int) -> "pa.Array[Any]":
    if scores is None:
        return pa.nulls(count, pa.list_(pa.float64()))
    offsets = np.arange(count + 1, dtype=np.int32) * scores.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(scores.ravel()))


def _flat(values: NDArray[Any]) -> "pa.Array[Any]":
    """Return a tensor as a list of its values per row; their shape is in the model's signature."""
    width = values.size // max(len(values), 1)
    offsets: Any = pa.array(np.arange(len(values) + 1, dtype=np.int32) * width)
    flat: Any = pa.array(values.ravel(), pa.string() if values.dtype == object else None)
    lists: pa.Array[Any] = pa.ListArray.from_arrays(offsets, flat)
    return lists


def _feature(column: Column | None, field: Field, rows: int) -> "pa.Array[Any]":
    if column is None:  # a tensor that was too large to be sent here
        kind = pa.string() if field.datatype == "string" else pa.from_numpy_dtype(dtype_of(field))
        return pa.nulls(rows, pa.list_(kind))
    match field.kind:
        case FieldKind.TENSOR:
            return _flat(column)
        case FieldKind.CATEGORY:
            return pa.array(column, pa.string())
        case FieldKind.TIME:
            known = np.isfinite(column)
            instants = np.where(known, column, 0.0) * SECOND
            return pa.array(np.rint(instants).astype(np.int64), pa.timestamp("us", tz="UTC"), mask=~known)
        case _:
            return pa.array(column, pa.float64(), from_pandas=True)
