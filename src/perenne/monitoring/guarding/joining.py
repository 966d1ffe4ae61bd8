"""Joining outcomes to the predictions they belong to, and adding them up by window; as labels are joined.

An outcome finds its prediction in the row log by the id. One whose prediction is not there yet is looked for again, after 1, 2,
4, … seconds up to an hour, and given up after seven days. Of several of one name for one prediction the latest counts.
Attributes that came with labels (`attributes`) are looked for in the same way.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import serving
from perenne.core.clock import HOUR, SECOND
from perenne.core.ids import is_id
from perenne.monitoring import store
from perenne.monitoring.discarding import discard_later
from perenne.monitoring.guarding.attributes import counted_attributes
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import OVERRIDES, OutcomeSums, sums_of
from perenne.monitoring.guards.store import Counted, OutcomeBatch
from perenne.monitoring.judge import settle
from perenne.monitoring.labels import read_labels, write_labels
from perenne.monitoring.model import ORPHAN_AGE, Watch, WindowKey
from perenne.projects import DECISION
from perenne.stats.levels import level_text
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("perenne.monitoring")

BATCHES = 1_000
_ROW = re.compile(r"-\d{1,9}")
_KEPT = ("prediction", "reason", "propensity")


def join_outcomes(workspace: Workspace, now: int) -> int:
    """Look for the predictions of outcomes that wait; return how many found theirs."""
    import pyarrow as pa

    with workspace.database.read() as tx:
        batches = guard_store.due_batches(tx, now, BATCHES)
        if not batches:
            return 0
        watches = {(watch.deployment, watch.version): watch for watch in store.list_watches(tx)}
    try:
        return sum(_join(workspace, batch, watches, now) for batch in batches)
    except (OSError, pa.ArrowException) as error:
        _log.error("the row log cannot be read, %d batches of outcomes wait: %s", len(batches), error)
        return 0


def _join(workspace: Workspace, batch: OutcomeBatch, watches: Mapping[tuple[str, str], Watch], now: int) -> int:
    """Join one batch: what it adds to each window, and what is left of it, in one transaction."""
    table = read_labels(workspace.objects.get(str(batch.waiting)))
    ids = table["prediction_id"].to_pylist()
    logged = _logged(workspace, ids, batch.deployment)
    known = set(logged["prediction_id"].to_pylist())
    after = _after(workspace, batch, table, [identity not in known for identity in ids], now)
    if not batch.deployment:
        return _count(workspace, batch, after, counted_attributes(workspace, table, logged, watches), watches, now)
    parts = _by_window(_with_predictions(table, batch, logged, watches), watches)
    windows = [(key, *_added(workspace, key, rows, watches[key.stream.deployment, key.stream.version])) for key, rows in parts]

    def keep(tx: Transaction) -> bool:
        if guard_store.find_batch(tx, batch.digest) != batch:
            return False
        if any(guard_store.outcome_rows(tx, key) != before for key, before, _, _ in windows):
            return False
        guard_store.save_batch(tx, after)
        if after.waiting != batch.waiting and batch.waiting is not None:
            discard_later(tx, batch.waiting)
        for key, before, rows_at, sums in windows:
            guard_store.save_outcomes(tx, key, rows_at, 1 + (before[1] if before else 0), sums)
            if before is not None and before[0] != rows_at:
                discard_later(tx, before[0])
            verdict = store.find_verdict(tx, key)
            if verdict is not None:
                settle(tx, watches[key.stream.deployment, key.stream.version], verdict, now)
        return True

    return after.joined - batch.joined if workspace.database.write(keep) else 0


def _count(
    workspace: Workspace,
    batch: OutcomeBatch,
    after: OutcomeBatch,
    counted: Sequence[tuple[WindowKey, str, Counted | None, Counted]],
    watches: Mapping[tuple[str, str], Watch],
    now: int,
) -> int:
    """Keep what attributes add to the groups of windows, and let go of them."""

    def keep(tx: Transaction) -> bool:
        if guard_store.find_batch(tx, batch.digest) != batch:
            return False
        if any(guard_store.find_counted(tx, key, by) != before for key, by, before, _ in counted):
            return False
        guard_store.save_batch(tx, after)
        if after.waiting != batch.waiting and batch.waiting is not None:
            discard_later(tx, batch.waiting)
        for key, by, _, found in counted:
            guard_store.save_counted(tx, key, by, found)
        for key in {key for key, *_ in counted}:
            verdict = store.find_verdict(tx, key)
            if verdict is not None:
                settle(tx, watches[key.stream.deployment, key.stream.version], verdict, now)
        return True

    return after.joined - batch.joined if workspace.database.write(keep) else 0


def _logged(workspace: Workspace, ids: Sequence[str | None], deployment: str) -> "pa.Table":
    """Read the predictions of a deployment that are in the log by now; what is no prediction id is not there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    possible = {identity for identity in ids if identity and is_id(identity[:26]) and _ROW.fullmatch(identity[26:])}
    found = serving.read_predictions(workspace.settings.logs, sorted(possible))
    if not deployment or not found.num_rows:
        return found
    return found.filter(pc.equal(found["deployment"], pa.scalar(deployment)))


def _after(workspace: Workspace, batch: OutcomeBatch, table: "pa.Table", lost: list[bool], now: int) -> OutcomeBatch:
    """Return what becomes of a batch: rows that found their prediction leave it, old ones are given up, the rest wait on."""
    joined = batch.joined + len(lost) - sum(lost)
    if not any(lost):
        return msgspec.structs.replace(batch, waiting=None, joined=joined)
    if now - batch.received >= ORPHAN_AGE:
        return msgspec.structs.replace(batch, waiting=None, joined=joined, orphans=sum(lost))
    waiting = batch.waiting if all(lost) else workspace.objects.put(write_labels(table.filter(lost)))
    due = now + min(HOUR, SECOND << min(batch.attempts, 12))
    return msgspec.structs.replace(batch, waiting=waiting, joined=joined, attempts=batch.attempts + 1, due=due)


def _with_predictions(
    table: "pa.Table", batch: OutcomeBatch, logged: "pa.Table", watches: Mapping[tuple[str, str], Watch]
) -> list[dict[str, Any]]:
    """Return outcomes beside what was answered, and the groups by which guardrails on them are held, as text."""
    import pyarrow as pa

    if not logged.num_rows:
        return []
    groups = {bound.by for watch in watches.values() if watch.deployment == batch.deployment for bound in watch.guardrails}
    names = [f"f_{name}" for name in groups if name and f"f_{name}" in logged.column_names]
    wanted = [name for name in _KEPT if name in logged.column_names]
    instants = logged["event_time"].cast(pa.int64()).to_pylist()
    columns = {name: logged[name].to_pylist() for name in ("prediction_id", "variant", "version", *wanted, *names)}
    known = {
        columns["prediction_id"][place]: {name: values[place] for name, values in columns.items()} | {"event_time": instant}
        for place, instant in enumerate(instants)
    }
    found = []
    for place, row in enumerate(table.to_pylist()):
        prediction = known.get(row["prediction_id"])
        if prediction is not None:
            texts = {name: level_text(prediction[name]) for name in ("prediction", *names)}
            time = batch.received if row["time"] is None else row["time"]
            order = {"time": time, "sequence": batch.sequence, "position": place}
            found.append(row | prediction | texts | order | {"deployment": batch.deployment})
    return found


def _by_window(
    rows: Sequence[dict[str, Any]], watches: Mapping[tuple[str, str], Watch]
) -> list[tuple[WindowKey, list[dict[str, Any]]]]:
    """Return the rows of watched versions, by window."""
    members: dict[WindowKey, list[dict[str, Any]]] = {}
    for row in rows:
        watch = watches.get((row["deployment"], row["version"]))
        if watch is not None:
            key = watch.window(row["variant"], row["event_time"])
            left = ("deployment", "variant", "version", "event_time")
            members.setdefault(key, []).append({name: value for name, value in row.items() if name not in left})
    return sorted(members.items(), key=lambda item: item[0])


def _added(
    workspace: Workspace, key: WindowKey, fresh: list[dict[str, Any]], watch: Watch
) -> tuple[tuple[str, int] | None, str, list[OutcomeSums]]:
    """Return what was known of a window's outcomes, where they are with others added, and what they add up to."""
    import pyarrow as pa

    with workspace.database.read() as tx:
        before = guard_store.outcome_rows(tx, key)
    known = [] if before is None else read_labels(workspace.objects.get(before[0])).to_pylist()
    order = sorted([*known, *fresh], key=lambda row: (row["time"], row["sequence"], row["position"]))
    latest = {(row["prediction_id"], row["outcome"]): row for row in order}
    rows = [latest[identity] for identity in sorted(latest)]
    rows_at = workspace.objects.put(write_labels(pa.Table.from_pylist(rows)))
    return before, rows_at, add_up(rows, watch)


def add_up(rows: Sequence[Mapping[str, Any]], watch: Watch) -> list[OutcomeSums]:
    """Add up outcomes by name, over all rows and by each group that a guardrail on that name asks for."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        name, value = measured(row)
        groups = [bound.by for bound in watch.guardrails if bound.metric == name and bound.by and not bound.against]
        values.setdefault((name, "", ""), []).append(value)
        for by in dict.fromkeys(groups):
            values.setdefault((name, by, row.get(f"f_{by}") or ""), []).append(value)
    return [sums_of(name, found, by, group) for (name, by, group), found in sorted(values.items())]


def measured(row: Mapping[str, Any]) -> tuple[str, float]:
    """Return an outcome's name and value; of a decision, whether it is another one than the answer.

    >>> measured({"outcome": "decision", "decision": "yes", "prediction": "no"})
    ('override_rate', 1.0)
    """
    if row["outcome"] == DECISION:
        return OVERRIDES, float(row["decision"] != row["prediction"])
    return row["outcome"], float(row["value"])
