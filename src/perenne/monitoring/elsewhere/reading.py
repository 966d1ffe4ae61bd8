"""Reading the rows that others write: by schedule, incrementally, each counted once."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from perenne import data
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError
from perenne.monitoring.elsewhere import store
from perenne.monitoring.elsewhere.keeping import Kept, keep
from perenne.monitoring.elsewhere.model import Foreign
from perenne.monitoring.elsewhere.rows import Rows, plain_rows
from perenne.monitoring.elsewhere.service import PREFIX, get, uri_of
from perenne.monitoring.elsewhere.traces import OwnTraces, is_traces, read_traces
from perenne.storage import jobs, schedules
from perenne.storage.jobs import Job
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

READ_JOB = "monitor.read"
DATASET = "dataset:"
LIMIT = 3_600_000_000


class ToRead(msgspec.Struct, frozen=True):
    """The payload of a reading that is due: whose rows."""

    names: tuple[str, ...]


def queue_due(workspace: Workspace) -> int:
    """Queue the readings whose time has come, all in one job, each once whoever notices first; return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        if not schedules.due_schedules(tx, now, PREFIX):
            return 0

    def fire(tx: Transaction) -> int:
        due = schedules.due_schedules(tx, now, PREFIX)
        names = tuple(item.name.removeprefix(PREFIX) for item in due if schedules.fire(tx, item, now))
        if names:
            jobs.enqueue(tx, READ_JOB, ToRead(names), time_limit=LIMIT)
        return len(names)

    return workspace.database.write(fire)


def read_job(workspace: Workspace, job: Job, own: OwnTraces | None = None) -> None:
    """Do the readings that were due; one that fails keeps no other back."""
    for name in msgspec.json.decode(job.payload, type=ToRead).names:
        with workspace.database.read() as tx:
            known = store.find(tx, name)
        if known is not None and known.reads and not known.paused and not known.removed:
            read_known(workspace, known, own)
    workspace.database.write(lambda tx: jobs.finish(tx, job))


def read_known(workspace: Workspace, known: Foreign, own: OwnTraces | None = None) -> Kept | None:
    """Read one; what goes wrong is written down with it, and tried again at its next time."""
    try:
        return _read(workspace, known, own)
    except PerenneError as error:
        now, problem = workspace.clock.now(), error.message
        failed = msgspec.structs.replace(known, checked=now, problem=problem)
        workspace.database.write(lambda tx: store.change(tx, known, failed))
        return None


def read_now(workspace: Workspace, actor: Principal, name: str, own: OwnTraces | None = None) -> Kept:
    """Read one at once.

    Raises
    ------
    PerenneError
        If it cannot be read, or is sent and not read; Conflict if another reading was quicker.
    """
    with workspace.database.read() as tx:
        known = get(tx, actor, name)
    if not known.reads:
        raise Invalid(f"the rows of {name!r} are sent, not read", code="monitor.sent", hint="nothing is to be done")
    kept = _read(workspace, known, own)
    if kept is None:
        raise Conflict(f"{name!r} was read by another meanwhile", code="monitor.raced", hint="look at it, or try again")
    return kept


def _read(workspace: Workspace, known: Foreign, own: OwnTraces | None) -> Kept | None:
    now = workspace.clock.now()
    found = _look(workspace, known, own)
    if found is None:
        checked = msgspec.structs.replace(known, checked=now, problem="")
        return Kept() if workspace.database.write(lambda tx: store.change(tx, known, checked)) else None
    rows, state = found
    return keep(workspace, known, rows, now=now, state=state)


def _look(workspace: Workspace, known: Foreign, own: OwnTraces | None) -> tuple[Rows, dict[str, str]] | None:
    """Return rows that may be new, and the state after them; None if there are none."""
    since = max(0, known.newest - known.late)
    if is_traces(known.uri):
        rows = read_traces(uri_of(workspace, known), known.query, since, own)
        return None if rows is None else (rows, {})
    if known.uri.startswith(DATASET):
        return _of_dataset(workspace, known)
    types = {field.name: field.datatype for field in known.signature.fields}
    follow: Callable[..., Any] = data.ingest.following.follow
    found = follow(uri_of(workspace, known), known.query, known.state, watermark=known.roles.time, since=since, columns=types)
    if found is None or not found.table.num_rows:
        return None
    rows = plain_rows(found.table, known.roles)
    times = np.asarray(rows["time"].drop_null())
    newest = max(known.newest, int(times.max())) if len(times) else known.newest
    return rows, data.ingest.following.passed(found.state, newest, newest - known.late)


def _of_dataset(workspace: Workspace, known: Foreign) -> tuple[Rows, dict[str, str]] | None:
    name = known.uri.removeprefix(DATASET)
    with workspace.database.read() as tx:
        newest = data.snapshots.list_snapshots(tx, name, 1)
    if not newest:
        raise NotFound(f"there is no data set {name[:100]!r}", code="data.snapshot_not_found", hint="`perenne data list`")
    if known.state.get("snapshot") == newest[0].id:
        return None
    table = data.snapshots.read_snapshot(workspace.objects, newest[0].id)
    return plain_rows(table, known.roles), {"snapshot": newest[0].id}
