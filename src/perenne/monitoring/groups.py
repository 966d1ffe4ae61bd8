"""How the answers fall on groups, counted from the row log: for guardrails that need no labels.

The parts of the log are whole and never change, so each is read once; its counts are added in the transaction that remembers its
name.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from perenne import serving
from perenne.core.clock import HOUR, SystemClock
from perenne.monitoring import row_store, store
from perenne.monitoring.disparity import is_disparity, needs_labels
from perenne.monitoring.guards.effects import ROLES
from perenne.monitoring.judge import settle
from perenne.monitoring.model import CHAMPION, Watch, WindowKey
from perenne.monitoring.references import load_reference
from perenne.stats.columns import Task
from perenne.stats.fairness import GroupCounts, count_groups
from perenne.stats.layout import Layout
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("perenne.monitoring")

Counted = dict[tuple[WindowKey, str], list[GroupCounts]]

_FEATURE = "f_"
_NEEDED = ("deployment", "variant", "event_time", "prediction")


def count_logged_groups(workspace: Workspace, now: int) -> int:
    """Count the parts of the row log that are new; return how many there were.

    Windows that were judged already are held against their guardrails again.
    """
    logged = _logged_versions(workspace)
    if not logged:
        return 0
    with workspace.database.read() as tx:
        watches = [watch for watch in store.watches_of(tx, logged) if _columns_of(watch) or _asks_for_roles(watch)]
        since = row_store.newest_part(tx) - HOUR
    counted = 0
    for version in sorted({watch.version for watch in watches}):
        mine = {watch.deployment: watch for watch in watches if watch.version == version}
        layout = load_reference(workspace.objects, next(iter(mine.values())).reference).layout
        if layout.task is Task.BINARY or any(map(_asks_for_roles, mine.values())):
            for part in _new_parts(workspace, version, since):
                with contextlib.suppress(FileNotFoundError):  # its hour is compacted now: next time
                    found = _read_part(part, mine, layout)
                    counted += workspace.database.write(partial(_add, name=part.name, counted=found, now=now))
    return counted


def _columns_of(watch: Watch) -> set[str]:
    """Return the columns by whose groups the answers are compared."""
    return {bound.by for bound in watch.bounds if bound.by and is_disparity(bound.metric) and not needs_labels(bound.metric)}


def _asks_for_roles(watch: Watch) -> bool:
    """Tell whether it is asked how much of the traffic the model decided."""
    return any(bound.metric == "decided_share" for bound in watch.guardrails)


def _logged_versions(workspace: Workspace) -> list[str]:
    """Name the versions whose answers are in the log on this machine: only they can have new parts."""
    folders = (workspace.settings.logs / "inference").glob("model=*/version=*")
    pairs = ((folder.parent.name.removeprefix("model="), folder.name.removeprefix("version=")) for folder in folders)
    return [unquote(number) if model == "_" else f"{unquote(model)}@{unquote(number)}" for model, number in pairs]


def _new_parts(workspace: Workspace, version: str, since: int) -> "Iterator[serving.LogPart]":
    """Go through the parts of a version's log that have not been counted; hours left alone since then are passed over."""
    for parts in serving.log_parts(workspace.settings.logs, version, since):
        with workspace.database.read() as tx:
            fresh = row_store.new_parts(tx, [part.name for part in parts])
        yield from (part for part in parts if part.name in fresh)


def _read_part(part: "serving.LogPart", watches: Mapping[str, Watch], layout: Layout) -> Counted:
    """Count one part; one that is damaged is passed over, or it would be in the way for ever."""
    import pyarrow as pa

    try:
        return _count_part(part, watches, layout)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        _log.error("%s cannot be read and is left out of the groups: %s", part.name, error)
        return {}


def _count_part(part: "serving.LogPart", watches: Mapping[str, Watch], layout: Layout) -> Counted:
    """Count the rows of one part by window and group."""
    import pyarrow as pa

    wanted = [_FEATURE + name for name in sorted(set().union(*(_columns_of(watch) for watch in watches.values())))]
    table = part.read([*_NEEDED, *wanted])
    present = set(table.column_names)
    table = table.filter(table["prediction"].is_valid())
    counted: Counted = {}
    for watch, variant, rows in _by_variant(table, watches):
        grain = watch.plan.grain or watch.window_length
        grains, places = np.unique(rows["event_time"].cast(pa.int64()).to_numpy() // grain * grain, return_inverse=True)
        starts = np.array([watch.window(variant, instant).start for instant in grains.tolist()], np.int64)[places]
        if _asks_for_roles(watch):
            for start, count in zip(*np.unique(starts, return_counts=True), strict=True):
                key = watch.window(CHAMPION, int(start))
                counted.setdefault((key, ROLES), []).append(GroupCounts(variant, count=int(count)))
        if layout.task is not Task.BINARY:
            continue
        positive = np.array([label == layout.classes[-1] for label in rows["prediction"].to_pylist()], np.int64)
        for name in _columns_of(watch):
            if _FEATURE + name in present:
                levels = np.array(rows[_FEATURE + name].to_pylist(), object)
                for start in np.unique(starts).tolist():
                    inside = starts == start
                    key = watch.window(variant, start)
                    counted.setdefault((key, name), []).extend(count_groups(levels[inside], positive[inside]))
    return counted


def _by_variant(table: "pa.Table", watches: Mapping[str, Watch]) -> "Iterator[tuple[Watch, str, pa.Table]]":
    import pyarrow.compute as pc

    pairs = table.group_by(["deployment", "variant"]).aggregate([]).to_pylist()
    for pair in pairs:
        watch = watches.get(pair["deployment"])
        if watch is not None:
            mine = pc.and_(pc.equal(table["deployment"], pair["deployment"]), pc.equal(table["variant"], pair["variant"]))
            yield watch, pair["variant"], table.filter(mine)


def _add(tx: Transaction, name: str, counted: Counted, now: int) -> bool:
    """Add the counts of one part, unless another process was first; hold judged windows against their guardrails again."""
    if not row_store.new_parts(tx, [name]):
        return False
    row_store.remember_part(tx, name, SystemClock().now())
    for (key, by), counts in counted.items():
        known = row_store.list_groups(tx, key).get(by, ())
        row_store.save_groups(tx, key, by, merge_counts([*known, *counts]))
    for key in {key for key, _ in counted}:
        verdict = store.find_verdict(tx, key)
        watch = store.find_watch(tx, key.stream.deployment, key.stream.version)
        if verdict is not None and watch is not None:
            settle(tx, watch, verdict, now)
    return True


def merge_counts(counts: Iterable[GroupCounts]) -> tuple[GroupCounts, ...]:
    """Add the counts of equal groups; groups by name, the one without a name last."""
    merged: dict[Any, GroupCounts] = {}
    for one in counts:
        merged[one.group] = merged[one.group] + one if one.group in merged else one
    return tuple(sorted(merged.values(), key=lambda group: (group.group is None, group.group or "")))
