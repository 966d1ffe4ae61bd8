"""Reading a source: what came is compared with what was written down of it, kept as a snapshot, and told."""

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from perenne import __version__
from perenne.auth.principals import Principal, policy_principal
from perenne.auth.roles import Action, require
from perenne.auth.sealing import seal_of
from perenne.core.errors import Conflict, Invalid, PerenneError
from perenne.core.ids import new_id
from perenne.data.ingest import store
from perenne.data.ingest.declared import ToRefresh, declare, get_source, put_back
from perenne.data.ingest.events import RowsArrived, RowsLate, SourceFailed, SourceRecovered
from perenne.data.ingest.expected import as_before, changes
from perenne.data.ingest.fetching import Fetched, fetch
from perenne.data.ingest.model import Mode, Outcome, Refresh, Refreshed, Source
from perenne.data.model import Anomaly, ColumnType
from perenne.data.origins import pins
from perenne.data.origins.places import absolute, without_secrets
from perenne.data.snapshots import read_snapshot, record_snapshot, write_snapshot
from perenne.data.tables import datatype_of
from perenne.storage import jobs
from perenne.storage.jobs import Job
from perenne.storage.outbox import emit
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

FAILURES_TOLD = 2
"""People hear of a source that failed so often in a row: once may be chance."""

STATES_KEPT = 20
"""Of a folder of many files, a refresh keeps no list: the source does."""


def ingest(workspace: Workspace, actor: Principal, source: Source, *, replace: bool = False, accept: bool = False) -> Refreshed:
    """Declare a source and read it: the first time as it is, later by what its columns were then.

    Parameters
    ----------
    source : Source
        `uri` with its secret, if it has one: it is sealed, and shown nowhere.
    replace : bool
        Whether another source of this dataset may be replaced.
    accept : bool
        Take other columns, or other types, as the new schema.

    Raises
    ------
    PerenneError
        If it cannot be read; a source that never could is not kept, and one that it was to replace stays.
    """
    uri = absolute(source.uri)
    shown = without_secrets(uri)
    sealed = seal_of(workspace.settings.home).seal(uri) if shown != uri else ""
    draft = msgspec.structs.replace(source, uri=shown, sealed=sealed)
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        known = store.find(tx, source.dataset)
    declared = workspace.database.write(lambda tx: declare(tx, actor, draft, now=now, replace=replace))
    try:
        return refresh(workspace, actor, declared.dataset, accept=accept)
    except BaseException:
        if known is None or replace:
            workspace.database.write(lambda tx: put_back(tx, actor, declared, known, now=now))
        raise


def refresh(
    workspace: Workspace,
    actor: Principal,
    dataset: str,
    *,
    accept: bool = False,
    fence: Callable[[Transaction], None] | None = None,
) -> Refreshed:
    """Read a source again. What did not change costs a question; other columns are refused and named, not cast.

    Parameters
    ----------
    fence : callable, optional
        Called in the transaction that keeps the result; raises if it no longer counts.

    Raises
    ------
    NotFound
        If the dataset has no source.
    Conflict
        If another reading of it was quicker.
    PerenneError
        If it cannot be read; that is kept with the source.
    """
    with workspace.database.read() as tx:
        source = get_source(tx, actor, dataset)
    require(actor, Action.LOG, source.project)
    started = workspace.clock.now()
    reading = _Reading(workspace, actor, source, started, fence)
    try:
        if source.mode is Mode.PIN:
            return _point(reading, source, accept=accept)
        fetched = fetch(source, _uri(workspace, source), _before(workspace, source), accept=accept)
    except PerenneError as error:
        reading.fail(error.message)
        raise
    if fetched is not None and fetched.anomalies:
        return reading.refuse(fetched.anomalies)
    if fetched is None or (fetched.added == 0 and source.snapshot):
        return reading.keep_unchanged(fetched)
    if fetched.table.num_rows == 0:
        reading.fail("it has no rows")
        raise Invalid(f"{source.uri} has no rows", code="data.no_rows", hint="is the query right, or the folder empty?")
    return reading.keep(fetched)


def _point(reading: "_Reading", source: Source, *, accept: bool) -> Refreshed:
    """Keep what points to the table as it is now, unless its columns are not what they were."""
    pointer = pins.pin(source.uri, source.query)
    now = {column.name: column.type for column in pointer.columns}
    anomalies = () if accept else tuple(changes(source.columns, now, pointer.rows))
    return reading.refuse(anomalies) if anomalies else reading.keep_pointer(pointer)


def refresh_job(workspace: Workspace, job: Job) -> None:
    """Do a refresh that was due; its result and the end of the job are one transaction."""
    dataset = msgspec.json.decode(job.payload, type=ToRefresh).dataset
    with workspace.database.read() as tx:
        source = store.find(tx, dataset)
    if source is None or source.paused:
        workspace.database.write(lambda tx: jobs.finish(tx, job))
        return
    actor = policy_principal(source.project or source.dataset, source.created_by)
    refresh(workspace, actor, dataset, fence=lambda tx: jobs.finish(tx, job))


def _uri(workspace: Workspace, source: Source) -> str:
    return seal_of(workspace.settings.home).open(source.sealed) if source.sealed else source.uri


def _before(workspace: Workspace, source: Source) -> pa.Table | None:
    return read_snapshot(workspace.objects, source.snapshot) if source.snapshot and source.mode == "append" else None


class _Reading:
    """Keeps what became of one reading."""

    def __init__(
        self,
        workspace: Workspace,
        actor: Principal,
        source: Source,
        started: int,
        fence: Callable[[Transaction], None] | None,
    ) -> None:
        self._workspace = workspace
        self._actor = actor
        self._source = source
        self._started = started
        self._fence = fence

    def keep(self, fetched: Fetched) -> Refreshed:
        """Keep new rows as a snapshot."""
        table = as_before(fetched.table, self._source.columns)
        digest = write_snapshot(self._workspace.objects, table)
        columns = tuple(ColumnType(field.name, datatype_of(field.type)) for field in table.schema)
        return self._keep(digest, columns, table.num_rows, fetched)

    def keep_pointer(self, pointer: pins.Pin) -> Refreshed:
        """Keep a pointer as a snapshot."""
        digest = self._workspace.objects.put(pointer.to_bytes())
        seen = Fetched(pa.table({}), pointer.rows, {"version": pointer.version})
        return self._keep(digest, pointer.columns, pointer.rows, seen)

    def _keep(self, digest: str, columns: tuple[ColumnType, ...], rows: int, fetched: Fetched) -> Refreshed:
        outcome = Outcome.UNCHANGED if digest == self._source.snapshot else Outcome.NEW
        told = self._told(outcome, digest, rows, fetched)

        def keep(tx: Transaction) -> Refresh:
            record_snapshot(
                tx, self._actor, dataset=self._source.dataset, digest=digest, objects=self._workspace.objects,
                source=self._source.uri, project=self._source.project,
            )  # fmt: skip
            return self._follow(tx, told, state=fetched.state, snapshot=digest, columns=columns)

        return Refreshed(self._workspace.database.write(keep))

    def keep_unchanged(self, fetched: Fetched | None) -> Refreshed:
        """Note that nothing new was there."""
        told = self._told(Outcome.UNCHANGED, self._source.snapshot, 0 if fetched is None else fetched.table.num_rows, fetched)
        state = self._source.state if fetched is None else fetched.state
        return Refreshed(self._workspace.database.write(lambda tx: self._follow(tx, told, state=state)))

    def refuse(self, anomalies: tuple[Anomaly, ...]) -> Refreshed:
        """Note that the rows are not what they were; none is kept."""
        problem = "; ".join(anomaly.sentence for anomaly in anomalies[:5])
        told = msgspec.structs.replace(self._told(Outcome.REFUSED, "", 0, None), problem=problem)
        return Refreshed(self._workspace.database.write(lambda tx: self._follow(tx, told, failing=True)), anomalies)

    def fail(self, problem: str) -> None:
        """Note that it could not be read; the job, if there is one, is tried again by the queue."""
        told = msgspec.structs.replace(self._told(Outcome.FAILED, "", 0, None), problem=problem)
        self._fence = None
        self._workspace.database.write(lambda tx: self._follow(tx, told, failing=True))

    def _told(self, outcome: Outcome, snapshot: str, rows: int, fetched: Fetched | None) -> Refresh:
        few = fetched is not None and len(fetched.state) <= STATES_KEPT
        return Refresh(
            id=new_id(), dataset=self._source.dataset, uri=self._source.uri, query=self._source.query, started=self._started,
            ended=self._workspace.clock.now(), outcome=outcome, snapshot=snapshot, rows=rows,
            added=fetched.added if fetched is not None and outcome is Outcome.NEW else 0,
            state=fetched.state if fetched is not None and few else {}, notes=() if fetched is None else fetched.notes,
            tool=f"perenne {__version__}",
        )  # fmt: skip

    def _follow(self, tx: Transaction, told: Refresh, *, failing: bool = False, **values: Any) -> Refresh:
        """Write a reading down and move its source on, unless another reading did so meanwhile."""
        if self._fence is not None:
            self._fence(tx)
        values |= {"checked": told.ended, "outcome": told.outcome.value, "problem": told.problem}
        values["failures"] = self._source.failures + 1 if failing else 0
        if not store.follow(tx, self._source, **values):
            raise Conflict(
                f"{self._source.dataset!r} was read by another meanwhile",
                code="ingest.raced",
                hint="look at it: `perenne data sources`",
            )
        store.add_refresh(tx, told)
        self._announce(tx, told, values["failures"])
        looked = told.outcome is Outcome.NEW or told.rows > 0
        if self._source.mode is Mode.APPEND and not failing and (told.notes or looked):
            self._announce_late(tx, told)
        return told

    def _announce(self, tx: Transaction, told: Refresh, failures: int) -> None:
        """Tell the others of new rows, and of a source that nobody watches when it fails."""
        source = self._source
        if told.outcome is Outcome.NEW:
            emit(
                tx,
                RowsArrived(
                    dataset=source.dataset, snapshot=told.snapshot, project=source.project, rows=told.rows, added=told.added
                ),
            )
        if failures == 0 and source.failures:
            emit(tx, SourceRecovered(dataset=source.dataset, at=told.ended))
        by_itself = source.every and source.snapshot
        if by_itself and (failures >= FAILURES_TOLD or told.outcome is Outcome.REFUSED):
            emit(
                tx,
                SourceFailed(dataset=source.dataset, uri=source.uri, problem=told.problem, at=told.ended, project=source.project),
            )

    def _announce_late(self, tx: Transaction, told: Refresh) -> None:
        """Tell the others of rows that were not taken because they came too late, and once they come in time again."""
        source, note = self._source, "; ".join(told.notes)
        emit(tx, RowsLate(dataset=source.dataset, uri=source.uri, note=note, at=told.ended, project=source.project))
