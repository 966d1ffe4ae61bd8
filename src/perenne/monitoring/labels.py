"""Labels that come late: what is accepted, as a batch that is kept by its content and counts once."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import format_time, parse_time
from perenne.core.errors import Invalid
from perenne.monitoring import row_store, store
from perenne.monitoring.row_store import BatchRow
from perenne.stats.levels import level_text
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

Label: TypeAlias = str | int | float | bool
MAX_ID = 200


class LabelRow(msgspec.Struct, frozen=True):
    """The label of one prediction; `time` is when it became known, as microseconds or ISO 8601.

    `attributes` name the groups by which a project compares answers; see `guards.attributes` for what is kept of them.
    """

    prediction_id: str
    label: Label
    time: int | str | None = None
    attributes: dict[str, Label] = {}


class LabelBatch(msgspec.Struct, frozen=True):
    """A batch that lies in the object store, ready to be accepted."""

    digest: str
    rows: int


class Receipt(msgspec.Struct, frozen=True):
    """What became of a batch; `repeated` if the very same one had come before."""

    batch: str
    rows: int
    repeated: bool


def submit_labels(workspace: Workspace, actor: Principal, rows: "Sequence[LabelRow] | pa.Table") -> Receipt:
    """Keep labels: check them, store them as one object, and queue it to be joined to its predictions.

    Raises
    ------
    Invalid
        If a row is malformed or from the future; the message names it and nothing is kept.
    """
    require(actor, Action.COMMENT)
    table = label_table(rows, workspace.clock.now())
    batch = LabelBatch(workspace.objects.put(write_labels(table)), table.num_rows)
    return workspace.database.write(lambda tx: accept_labels(tx, actor, batch, now=workspace.clock.now()))


def accept_labels(tx: Transaction, actor: Principal, batch: LabelBatch, *, now: int) -> Receipt:
    """Take a stored batch in; the same batch again changes nothing."""
    require(actor, Action.COMMENT)
    if row_store.find_batch(tx, batch.digest) is not None:
        return Receipt(batch.digest, batch.rows, repeated=True)
    row = BatchRow(
        digest=batch.digest,
        sequence=row_store.next_sequence(tx),
        rows=batch.rows,
        received=now,
        received_by=actor.name,
        waiting=batch.digest,
    )
    row_store.save_batch(tx, row)
    audit.record(tx, actor, "labels.accept", "labels", batch.digest, after={"rows": batch.rows})
    return Receipt(batch.digest, batch.rows, repeated=False)


def label_table(rows: "Sequence[LabelRow] | pa.Table", now: int) -> "pa.Table":
    """Check labels and return them as a table of `prediction_id`, `label` (as text) and `time` (microseconds, or null).

    Raises
    ------
    Invalid
        If there are none, a column is missing, or a row has no id, no label or a time after `now`; rows count from 1.
    """
    import pyarrow as pa

    ids, labels, times = _from_rows(rows) if isinstance(rows, Sequence) else _from_table(rows)
    if not ids:
        raise Invalid("there are no labels", code="labels.empty", hint="the columns are prediction_id, label and, if known, time")
    checked = [_time(value, number, now) for number, value in enumerate(times, 1)]
    arrays = {
        "prediction_id": pa.array([_id(value, number) for number, value in enumerate(ids, 1)], pa.string()),
        "label": pa.array([_text(value, number) for number, value in enumerate(labels, 1)], pa.string()),
        "time": pa.array(checked, pa.int64()),
    }
    return pa.table(arrays)


def _from_rows(rows: Sequence[LabelRow]) -> tuple[list[Any], list[Any], list[Any]]:
    return [row.prediction_id for row in rows], [row.label for row in rows], [row.time for row in rows]


def _from_table(table: "pa.Table") -> tuple[list[Any], list[Any], list[Any]]:
    import pyarrow as pa

    for name in ("prediction_id", "label"):
        if name not in table.column_names:
            raise Invalid(
                f"labels have no column {name!r}",
                code="labels.column",
                hint="columns are prediction_id, label and, if known, time",
            )
    times: list[Any] = [None] * table.num_rows
    if "time" in table.column_names:
        column = table["time"]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
        times = column.to_pylist()
    return table["prediction_id"].to_pylist(), table["label"].to_pylist(), times


def _id(value: Any, number: int) -> str:
    text = "" if value is None else str(value)
    if not 0 < len(text) <= MAX_ID:
        raise _bad(number, "prediction_id is missing or too long", "labels.prediction_id")
    return text


def _text(value: Any, number: int) -> str:
    text = None if value is None else label_text(value)
    if text is None:
        raise _bad(number, "label is missing or not finite", "labels.label")
    return text


def label_text(value: Label) -> str | None:
    """Write a label as profiles write levels, equal values in one way; None if it is not finite.

    >>> label_text(1.0), label_text(1), label_text(True), label_text("AA"), label_text(0.25)
    ('1', '1', 'true', 'AA', '0.25')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return level_text(value)


def _time(value: Any, number: int, now: int) -> int | None:
    if value is None:
        return None
    try:
        time = parse_time(value) if isinstance(value, str) else int(value)
    except (Invalid, ValueError, TypeError, OverflowError):
        time = -1
    if time < 0:
        raise _bad(number, f"time {str(value)[:50]!r} is not an instant since 1970", "labels.time")
    if time > now:
        raise _bad(number, f"time {_shown(time)} is in the future; it is {format_time(now)}", "labels.future")
    return time


def _shown(time: int) -> str:
    try:
        return format_time(time)
    except (OverflowError, ValueError, OSError):
        return str(time)


def _bad(number: int, problem: str, code: str) -> Invalid:
    return Invalid(
        f"labels, row {number}: {problem}", code=code, hint="nothing of this batch was kept; mend the row and send it again"
    )


class KnownLabel(msgspec.Struct, frozen=True):
    """What became of a prediction, as text, and when that became known."""

    label: str
    time: int | None


def find_label(
    workspace: Workspace, deployment: str, variant: str, version: str, prediction_id: str, instant: int
) -> KnownLabel | None:
    """Return the label of a prediction of an instant; None if none has come, or the version was not watched."""
    with workspace.database.read() as tx:
        watched = store.find_watch(tx, deployment, version)
        kept = None if watched is None else row_store.find_labels(tx, watched.window(variant, instant))
    if kept is None:
        return None
    table = read_labels(workspace.objects.get(kept.labels)).select(["prediction_id", "label", "time"])
    rows = [row for row in table.to_pylist() if row["prediction_id"] == prediction_id]
    return KnownLabel(rows[-1]["label"], rows[-1]["time"]) if rows else None


def write_labels(table: "pa.Table") -> bytes:
    """Write a label table as Parquet; equal tables give equal bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_labels(data: bytes) -> "pa.Table":
    """Read a label table."""
    import pyarrow.parquet as pq

    return pq.read_table(io.BytesIO(data))
