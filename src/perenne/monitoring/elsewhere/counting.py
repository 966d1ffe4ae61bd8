"""Counting what was sent: journals are read on from where they were counted, and rows known again by their ids.

Whoever is killed between counting and noting how far counts them again, and finds them counted.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import PerenneError
from perenne.monitoring.elsewhere import events, service, store
from perenne.monitoring.elsewhere.keeping import WATCHER, keep
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.elsewhere.sending import EVENTS, ROWS, Frame, SentRows, table_of
from perenne.storage.database import Transaction
from perenne.storage.journal import is_over, journals, records
from perenne.storage.workspace import Workspace

_log = logging.getLogger("perenne.monitoring")
REST = 10 * SECOND
"""What was sent is counted after this long, so that it makes few parts, not many."""

ENOUGH = 1 << 20
_ATTEMPTS = 10


def count_sent(workspace: Workspace, *, at_once: bool = False) -> int:
    """Count what lies in this machine's journals; return how many rows were new.

    Parameters
    ----------
    at_once : bool
        Whether to count what only just came, too.
    """
    folder, now = workspace.settings.spool / "elsewhere", SystemClock().now()
    if not folder.is_dir():
        return 0
    counted = sum(_count_rows(workspace, path, now, at_once=at_once) for path in journals(folder, ROWS))
    return counted + sum(_count_events(workspace, path, now, at_once=at_once) for path in journals(folder, EVENTS))


def _count_rows(workspace: Workspace, path: Path, now: int, *, at_once: bool) -> int:
    position = _position(workspace, path)
    sent: dict[str, list[SentRows]] = {}
    end, first = position, now
    for body, following in records(path, position):
        frame = msgspec.msgpack.decode(body, type=Frame)
        sent.setdefault(frame.deployment, []).extend(frame.rows)
        end, first = following, min(first, frame.received)
    if end == position:
        _forget(workspace, path)
        return 0
    if not at_once and end - position < ENOUGH and now - first < REST:
        return 0
    counted = _keep_all(workspace, sent)
    workspace.database.write(lambda tx: store.move(tx, path.name, position, end))
    return counted


def _count_events(workspace: Workspace, path: Path, now: int, *, at_once: bool) -> int:
    position = _position(workspace, path)
    patience = 0 if at_once else events.PATIENCE
    found = events.pair(records(path, position), position, now - patience)
    if found.end == position:
        if not found.waiting:
            _forget(workspace, path)
        return 0
    if found.unpaired:
        _log.warning("%d events in %s had no other half within a minute", found.unpaired, path.name)
    counted = _keep_all(workspace, found.rows)
    workspace.database.write(lambda tx: store.move(tx, path.name, position, found.end))
    return counted


def _position(workspace: Workspace, path: Path) -> int:
    with workspace.database.read() as tx:
        return store.position(tx, path.name)


def _forget(workspace: Workspace, path: Path) -> None:
    """Let go of a journal that was counted to its end and that nobody writes any more."""
    if is_over(path) and path.exists():
        path.unlink(missing_ok=True)
        workspace.database.write(lambda tx: store.forget_journal(tx, path.name))


def _keep_all(workspace: Workspace, sent: Mapping[str, list[SentRows]]) -> int:
    """Count rows of several deployments; what one of them cannot take is said there, and keeps no other back."""
    counted = 0
    for name, rows in sent.items():
        try:
            counted += _keep(workspace, name, rows)
        except PerenneError as error:
            _log.error("rows sent for %s are left out: %s", name, error)
            problem = error.message
            workspace.database.write(lambda tx, name=name, problem=problem: _note(tx, name, problem))  # type: ignore[misc]
    return counted


def _keep(workspace: Workspace, name: str, rows: list[SentRows]) -> int:
    for _ in range(_ATTEMPTS):
        with workspace.database.read() as tx:
            known = store.find(tx, name)
        if known is None:  # written by a program on this machine
            known = service.add(workspace, WATCHER, Foreign(name=name, project=name, version=f"{name}@1"))
        if known.removed:
            return 0
        kept = keep(workspace, known, table_of(known, rows), now=_now(workspace, known))
        if kept is not None:
            return kept.rows
    _log.error("%d batches sent for %s cannot be kept now; they wait", len(rows), name)
    raise RuntimeError(f"{name} is changed all the time")


def _now(workspace: Workspace, known: Foreign) -> int:
    """Return the time that rows must not be from after: what is sent is of this machine's time, whatever the loop's is."""
    return max(workspace.clock.now(), SystemClock().now())


def _note(tx: Transaction, name: str, problem: str) -> None:
    known = store.find(tx, name)
    if known is not None:
        store.change(tx, known, msgspec.structs.replace(known, problem=problem))
