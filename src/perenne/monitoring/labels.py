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
KEY, DEPLOYMENT = "key", "deployment"
"""Columns of labels that know no prediction id."""


class LabelRow(msgspec.Struct, frozen=True):
    """The label of one prediction; `time` is when it became known, as microseconds or ISO 8601.

    In place of the prediction's id there may be the `key` of a row that a `deployment` was asked about; the time is needed then.
    `attributes` name the groups by which a project compares answers; see `guarding.attributes` for what is kept of them.
    """

    prediction_id: str = ""
    label: Label | None = None
    time: int | str | None = None
    key: str | int = ""
    deployment: str = ""
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

    If some have a key instead of a prediction id, there are also `key` and `deployment`.

    Raises
    ------
    Invalid
        If there are none, a column is missing, or a row has no id or key, no label or a time after `now`; rows count from 1.
    """
    import pyarrow as pa

    given = _from_rows(rows) if isinstance(rows, Sequence) else _from_table(rows)
    if not given["label"]:
        raise Invalid("there are no labels", code="labels.empty", hint=_COLUMNS)
    keyed = [not identity and key not in (None, "") for identity, key in zip(given["prediction_id"], given[KEY], strict=True)]
    ids = [None if keyed[row] else _id(value, row + 1) for row, value in enumerate(given["prediction_id"])]
    times = [_time(value, number, now) for number, value in enumerate(given["time"], 1)]
    arrays: dict[str, pa.Array[Any]] = {
        "prediction_id": pa.array(ids, pa.string()),
        "label": pa.array([_text(value, number) for number, value in enumerate(given["label"], 1)], pa.string()),
        "time": pa.array(times, pa.int64()),
    }
    if any(keyed):
        pairs = [_key(given, row, times[row]) if keyed[row] else (None, None) for row in range(len(keyed))]
        arrays |= {name: pa.array([pair[place] for pair in pairs], pa.string()) for place, name in enumerate((KEY, DEPLOYMENT))}
    return pa.table(arrays)


_COLUMNS = "the columns are prediction_id, label and, if known, time; or key, deployment, label and time"


def _from_rows(rows: Sequence[LabelRow]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in LabelRow.__struct_fields__}


def _from_table(table: "pa.Table") -> dict[str, list[Any]]:
    import pyarrow as pa

    needed = "prediction_id" if KEY not in table.column_names else DEPLOYMENT
    for name in (needed, "label"):
        if name not in table.column_names:
            raise Invalid(f"labels have no column {name!r}", code="labels.column", hint=_COLUMNS)
    found: dict[str, list[Any]] = {name: [None] * table.num_rows for name in LabelRow.__struct_fields__}
    for name in found:
        if name in table.column_names:
            column = table[name]
            if name == "time" and pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("us")).cast(pa.int64())
            found[name] = column.to_pylist()
    return found


def with_key(table: "pa.Table", deployment: str, key: str) -> "pa.Table":
    """Return labels with a column of theirs as the key of a deployment's rows; as they are if no key is named.

    Raises
    ------
    Invalid
        If there is no such column.
    """
    import pyarrow as pa

    if deployment and DEPLOYMENT not in table.column_names:
        table = table.append_column(DEPLOYMENT, pa.repeat(pa.scalar(deployment), table.num_rows))
    if not key or key == KEY:
        return table
    if key not in table.column_names:
        raise Invalid(f"labels have no column {key!r}", code="labels.column", hint=f"there are: {', '.join(table.column_names)}")
    kept = table.drop_columns([KEY]) if KEY in table.column_names else table
    return kept.rename_columns([KEY if name == key else name for name in kept.column_names])


MAX_PARQUET_ROWS = 5_000_000


def parquet_labels(body: bytes) -> "pa.Table":
    """Read labels from a Parquet file that somebody sent.

    Raises
    ------
    Invalid
        If it is none, or has too many rows: those are bounded before anything is unpacked.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(body))
        if file.metadata.num_rows > MAX_PARQUET_ROWS:
            said = f"{file.metadata.num_rows:,} labels at once are too many"
            raise Invalid(said, code="labels.too_many", hint=f"send at most {MAX_PARQUET_ROWS:,} in one file")
        return file.read([name for name in file.schema_arrow.names if name in LabelRow.__struct_fields__])
    except (pa.ArrowException, OSError) as error:
        said = f"these bytes are no Parquet: {str(error)[:120]}"
        raise Invalid(said, code="labels.parquet", hint="write them with pyarrow, pandas or DuckDB") from None


def _key(given: dict[str, list[Any]], row: int, time: int | None) -> tuple[str, str]:
    key, deployment = level_text(given[KEY][row]), given[DEPLOYMENT][row]
    if key is None or len(key) > MAX_ID:
        raise _bad(row + 1, "key is missing or too long", "labels.key")
    if not deployment:
        raise _bad(row + 1, "a key needs the deployment that was asked", "labels.deployment")
    if time is None:
        raise _bad(row + 1, "a key needs the time of the label: it belongs to the newest prediction before", "labels.time")
    return key, str(deployment)


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
