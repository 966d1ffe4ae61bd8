"""Letting windows go when their time is over: first the sums of short ones, then those themselves, added to their day before.

Each window moves in one transaction, so that a process killed between two of them has lost nothing and counted nothing twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.clock import DAY
from perenne.core.days import span_of
from perenne.monitoring import store
from perenne.monitoring.baselines.merging import folded
from perenne.monitoring.baselines.store import NEVER, drawn, mark_part, part
from perenne.monitoring.model import Watch, Window, WindowKey
from perenne.monitoring.references import load_reference
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

WATCHES = 50
AT_ONCE = 100
SHORT = DAY // 2


class Retired(msgspec.Struct, frozen=True):
    """How many windows were changed or let go, and after which watch to go on next time; empty from the beginning."""

    windows: int
    after: tuple[str, str] = ("", "")


def retire(workspace: Workspace, now: int, after: tuple[str, str] = ("", "")) -> Retired:
    """Go through some watches, at most a hundred windows of each kind of each."""
    with workspace.database.read() as tx:
        query = sa.select(store.watch.c.deployment, store.watch.c.version)
        following = sa.tuple_(store.watch.c.deployment, store.watch.c.version) > sa.tuple_(*map(sa.literal, after))
        named = tx.execute(query.where(following).order_by(store.watch.c.deployment, store.watch.c.version).limit(WATCHES)).all()
        watches = [found for row in named if (found := store.find_watch(tx, row.deployment, row.version))]
    windows = sum(_retire(workspace, watch, now) for watch in watches)
    return Retired(windows, tuple(named[-1]) if len(named) == WATCHES else ("", ""))


def _retire(workspace: Workspace, watch: Watch, now: int) -> int:
    keep = watch.plan.keep
    with workspace.database.read() as tx:
        bare = [(table, key) for table in _TABLES for key in _old(tx, table, watch, now - keep.sums, short=True, summed=True)]
        short = [(table, key) for table in _TABLES for key in _old(tx, table, watch, now - keep.hours, short=True)]
        long = [(table, key) for table in _TABLES for key in _old(tx, table, watch, now - keep.days, short=False)]
    if not (bare or short or long):
        return 0
    reference = load_reference(workspace.objects, watch.reference)
    steps: list[Callable[[Transaction], int]] = []
    steps += [partial(_strip, table=table, key=key, reference=reference) for table, key in bare if (table, key) not in short]
    steps += [partial(_fold, table=table, key=key, watch=watch, reference=reference) for table, key in short]
    steps += [partial(_delete, table=table, key=key) for table, key in long]
    return sum(workspace.database.write(step) for step in steps)


_TABLES = (store.window, part)


def _old(tx: Transaction, table: sa.Table, watch: Watch, before: int, *, short: bool, summed: bool = False) -> list[WindowKey]:
    """Return some windows of a version that ended before an instant: short ones or the others; with sums only, if asked."""
    columns = table.c
    where: list[Any] = [columns.deployment == watch.deployment, columns.version == watch.version, columns.window_start < before]
    where += [columns.window_start + columns.window_length <= before]
    where.append(columns.window_length < SHORT if short else columns.window_length >= SHORT)
    if summed:
        where.append(columns.bare == 0)
    query = sa.select(columns.deployment, columns.variant, columns.version, columns.window_start, columns.window_length)
    return [store.key_of(row) for row in tx.execute(query.where(*where).order_by(columns.window_start).limit(AT_ONCE))]


def _strip(tx: Transaction, table: sa.Table, key: WindowKey, reference: Reference) -> int:
    """Drop the sums of a window; of one that has changed meanwhile those of what came since are dropped too."""
    window = store.find_window(tx, key, table)
    if window is None:
        return 0
    profile = Profile.from_bytes(window.profile, reference)
    profile.drop_sums()
    values = {"profile": profile.to_bytes(), "bare": 1}
    return int(tx.execute(table.update().where(*store.is_window(table, key)).values(**values)).rowcount)


def _fold(tx: Transaction, table: sa.Table, key: WindowKey, watch: Watch, reference: Reference) -> int:
    """Add a short window to its day, unless it was part of a longer one from the beginning, and let it go."""
    window = store.find_window(tx, key, table)
    if window is None:
        return 0
    if table is store.window:
        _add_to_day(tx, window, watch, reference)
    return _delete(tx, table, key)


def _add_to_day(tx: Transaction, window: Window, watch: Watch, reference: Reference) -> None:
    day = WindowKey(window.key.stream, *span_of(window.window_start, "day", watch.plan.zone))
    store.save_window(tx, folded(store.find_window(tx, day, part), day, window, reference), part)
    mark_part(tx, day, NEVER)


def _delete(tx: Transaction, table: sa.Table, key: WindowKey) -> int:
    if table is part:
        tx.execute(drawn.delete().where(*store.is_window(drawn, key)))
    return int(tx.execute(table.delete().where(*store.is_window(table, key))).rowcount)
