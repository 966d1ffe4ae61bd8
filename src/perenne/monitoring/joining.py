"""Joining labels to the predictions they belong to, and keeping the labelled rows of each window together.

A label finds its prediction in the row log by the id, or by a key and a time (`performance.keyed`). One whose prediction is not
there yet is looked for again, after 1, 2, 4, … seconds up to an hour, and given up after seven days. Of several labels for one
prediction the latest counts. The transaction that takes labels out of their batch also feeds them to the detectors, in order of
arrival (`performance.streams`): each counts once, whatever is killed when.
"""

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import serving
from perenne.core.clock import HOUR, SECOND
from perenne.core.errors import Conflict
from perenne.core.ids import is_id
from perenne.monitoring import row_store, store
from perenne.monitoring.discarding import discard_later
from perenne.monitoring.labels import DEPLOYMENT, KEY, read_labels, write_labels
from perenne.monitoring.model import ORPHAN_AGE, Watch, WindowKey
from perenne.monitoring.performance import streams
from perenne.monitoring.performance.arriving import Added, arrivals, with_cells
from perenne.monitoring.performance.keyed import Watches, resolve
from perenne.monitoring.references import load_reference
from perenne.monitoring.row_store import BatchRow, WindowLabels
from perenne.stats.levels import level_text
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("perenne.monitoring")

BATCHES = 1_000
_ROW = re.compile(r"-\d{1,9}")


def join_labels(workspace: Workspace, now: int) -> int:
    """Look for the predictions of labels that wait; return how many labels found theirs."""
    import pyarrow as pa

    with workspace.database.read() as tx:
        batches = row_store.due_batches(tx, now, BATCHES)
        if not batches:
            return 0
        watches = {(watch.deployment, watch.version): watch for watch in store.list_watches(tx)}
    try:
        return _join(workspace, batches, watches, now)
    except (OSError, pa.ArrowException) as error:
        _log.error("the row log cannot be read, %d batches of labels wait: %s", len(batches), error)
        return 0


class _Overtaken(Exception):
    """Another process joined the same labels first."""


def _join(workspace: Workspace, batches: Sequence[BatchRow], watches: Watches, now: int) -> int:
    waiting = [resolve(workspace, _waiting(workspace, batch), watches) for batch in batches]
    labels = _latest([table.filter(table["prediction_id"].is_valid()) for table in waiting])
    logged = _logged(workspace, labels["prediction_id"].to_pylist())
    known = set(logged["prediction_id"].to_pylist())
    after = [_after(workspace, batch, table, known, now) for batch, table in zip(batches, waiting, strict=True)]
    rows = _by_window(_labelled(logged, labels, watches), watches)
    windows = [_added(workspace, key, found, logged, watches[key.stream.deployment, key.stream.version]) for key, found in rows]
    arrived = arrivals(workspace, windows, watches)

    def keep(tx: Transaction) -> None:
        for before, moved in zip(batches, after, strict=True):
            if not row_store.advance_batch(tx, before, moved):
                raise _Overtaken
        if any(row_store.find_labels(tx, added.window.key) != added.before for added in windows):
            raise _Overtaken
        for added in windows:
            row_store.save_labels(tx, added.window)
            if added.before is not None and added.before.labels != added.window.labels:
                discard_later(tx, added.before.labels)
        for stream, rows, reference in arrived:
            streams.advance(tx, stream, rows, reference.outcomes, reference.layout.task, now)

    try:
        workspace.database.write(keep)
    except (_Overtaken, Conflict):
        return 0  # there is nothing left to do, or next time
    return sum(batch.joined - before.joined for before, batch in zip(batches, after, strict=True))


def _waiting(workspace: Workspace, batch: BatchRow) -> "pa.Table":
    """Read the rows of a batch that wait, with where they stand in the order of labels."""
    import pyarrow as pa

    assert batch.waiting is not None
    table = read_labels(workspace.objects.get(batch.waiting))
    times = [batch.received if time is None else time for time in table["time"].to_pylist()]
    columns = {
        "prediction_id": table["prediction_id"],
        "label": table["label"],
        "time": pa.array(times, pa.int64()),
        **{name: table[name] for name in (KEY, DEPLOYMENT) if name in table.column_names},
        "sequence": pa.array([batch.sequence] * len(table), pa.int64()),
        "position": pa.array(range(len(table)), pa.int64()),
    }
    return pa.table(columns)


def _latest(tables: "Sequence[pa.Table]") -> "pa.Table":
    """Return the row with the latest label of each prediction, by prediction id."""
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="permissive").sort_by(
        [("time", "ascending"), ("sequence", "ascending"), ("position", "ascending")]
    )
    last = {identity: place for place, identity in enumerate(table["prediction_id"].to_pylist())}
    return table.take(pa.array(list(last.values()), pa.int64())).sort_by("prediction_id")


def _logged(workspace: Workspace, ids: Sequence[str | None]) -> "pa.Table":
    """Read the predictions that are in the log by now; what is no prediction id is not there."""
    possible = [identity for identity in ids if identity and is_id(identity[:26]) and _ROW.fullmatch(identity[26:])]
    return serving.read_predictions(workspace.settings.logs, sorted(possible))


def _labelled(logged: "pa.Table", labels: "pa.Table", watches: Watches) -> "pa.Table":
    """Return logged rows with their label, and with the columns by which bounds or segments group, as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, Any] = {"prediction_id": logged["prediction_id"], "logged": pa.array(range(len(logged)), pa.int64())}
    if not logged.num_rows:
        return pa.table(columns)
    named = {bound.by for watch in watches.values() for bound in watch.bounds if bound.by}
    slices = sorted(f"f_{name}" for name in named | {name for watch in watches.values() for name in watch.plan.segments})
    for name in ("deployment", "variant", "version", "scores", "reason", "propensity"):
        if name in logged.column_names:  # a log of before there were propensities has none
            columns[name] = logged[name]
    columns["event_time"] = logged["event_time"].cast(pa.int64())
    for name in ("prediction", *(name for name in slices if name in logged.column_names)):
        columns[name] = pa.chunked_array([pa.array([level_text(value) for value in logged[name].to_pylist()], pa.string())])
    place = pc.index_in(logged["prediction_id"], value_set=labels["prediction_id"].combine_chunks())
    found = labels.take(place)
    return pa.table(columns | {name: found[name] for name in ("label", "time", "sequence", "position")})


def _by_window(table: "pa.Table", watches: Watches) -> "list[tuple[WindowKey, pa.Table]]":
    """Return the rows of watched versions, by window."""
    if not table.num_rows:
        return []
    names = ("deployment", "variant", "version", "event_time")
    members: dict[WindowKey, list[int]] = {}
    for place, (deployment, variant, version, instant) in enumerate(
        zip(*(table[name].to_pylist() for name in names), strict=True)
    ):
        watch = watches.get((deployment, version))
        if watch is not None:
            members.setdefault(watch.window(variant, instant), []).append(place)
    rows = table.drop_columns(list(names))
    return [(key, rows.take(places)) for key, places in sorted(members.items())]


def _after(workspace: Workspace, batch: BatchRow, table: "pa.Table", known: set[str | None], now: int) -> BatchRow:
    """Return what becomes of a batch: rows that found their prediction leave it, old ones are given up, the rest wait on."""
    lost = [identity is None or identity not in known for identity in table["prediction_id"].to_pylist()]
    joined = batch.joined + len(lost) - sum(lost)
    if not any(lost):
        return msgspec.structs.replace(batch, waiting=None, joined=joined)
    if now - batch.received >= ORPHAN_AGE:
        return msgspec.structs.replace(batch, waiting=None, joined=joined, orphans=sum(lost))
    waiting = batch.waiting
    if not all(lost):
        rest = read_labels(workspace.objects.get(str(batch.waiting))).filter(lost)
        waiting = workspace.objects.put(write_labels(rest))
    due = now + min(HOUR, SECOND << min(batch.attempts, 12))
    return msgspec.structs.replace(batch, waiting=waiting, joined=joined, attempts=batch.attempts + 1, due=due)


def _added(workspace: Workspace, key: WindowKey, fresh: "pa.Table", logged: "pa.Table", watch: Watch) -> Added:
    """Return what was known of a window's labelled rows, the same with others added, and which of those are new."""
    with workspace.database.read() as tx:
        before = row_store.find_labels(tx, key)
    reference = load_reference(workspace.objects, watch.reference)
    fresh = with_cells(fresh.drop_columns(["logged"]), logged.take(fresh["logged"]), reference)
    known = [] if before is None else [read_labels(workspace.objects.get(before.labels))]
    newest = _latest([*known, fresh])
    met = set(known[0]["prediction_id"].to_pylist()) if known else set()
    first = fresh.filter([identity not in met for identity in fresh["prediction_id"].to_pylist()])
    labels = workspace.objects.put(write_labels(newest))
    if before is not None and before.labels == labels:
        return Added(before, before, first)
    window = WindowLabels(
        deployment=key.stream.deployment,
        variant=key.stream.variant,
        version=key.stream.version,
        window_start=key.start,
        window_length=key.length,
        labels=labels,
        rows=newest.num_rows,
        revision=1 if before is None else before.revision + 1,
    )
    return Added(before, window, first)
