"""Sources that are declared: made, looked at, paused, removed, and read again when their time has come."""

from collections.abc import Sequence

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.calendar import parse_cron
from perenne.core.clock import DAY, HOUR, MINUTE, parse_duration
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.ingest import store
from perenne.data.ingest.model import Mode, Refresh, Source
from perenne.data.origins.places import DATABASES, Kind, place_of
from perenne.storage import jobs, schedules
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

REFRESH_JOB = "data.refresh"
PREFIX = "ingest/"
ATTEMPTS = 4
FIRST_REST = 5 * MINUTE
LIMIT = 3_600_000_000


class ToRefresh(msgspec.Struct, frozen=True):
    """The payload of a refresh that is due."""

    dataset: str


def declare(tx: Transaction, actor: Principal, new: Source, *, now: int, replace: bool = False) -> Source:
    """Keep a source; one that is there already under the same address stays as it is, but for its calendar.

    Raises
    ------
    Invalid
        If what is asked for does not go together.
    Conflict
        If the dataset has another source, and it is not to be replaced.
    """
    require(actor, Action.LOG, new.project)
    check(new)
    known = store.find(tx, new.dataset)
    told = {"uri": new.uri, "mode": new.mode.value, "every": new.every}
    if known is not None and not replace:
        if (known.uri, known.query, known.mode, known.watermark) != (new.uri, new.query, new.mode, new.watermark):
            raise Conflict(
                f"{new.dataset!r} is read from {known.uri} ({known.mode.value})",
                code="ingest.other_source",
                hint="give the rows another name with --dataset, or --replace the source",
            )
        if new.every and new.every != known.every:
            store.update(tx, new.dataset, every=new.every)
            audit.record(tx, actor, "source.change", "source", new.dataset, after=told)
    else:
        store.delete(tx, new.dataset)
        store.insert(tx, msgspec.structs.replace(new, created=now, created_by=actor.name))
        audit.record(tx, actor, "source.declare", "source", new.dataset, after=told)
    _keep_schedule(tx, get_source(tx, actor, new.dataset), now)
    return get_source(tx, actor, new.dataset)


def check(source: Source) -> None:
    """Make sure that what is asked of a source goes together. Raises Invalid."""
    kind = place_of(source.uri, source.query).kind
    if source.watermark and source.mode is not Mode.APPEND:
        raise Invalid("a watermark is for --mode append", code="ingest.watermark", hint="leave it out, or append")
    grows = kind in {Kind.FILES, Kind.BUCKET} or source.watermark
    if source.mode is Mode.APPEND and not grows:
        what = "a database" if kind in DATABASES else "this source"
        raise Invalid(f"{what} grows by a column that only grows", code="ingest.watermark", hint="name it with --watermark")
    if source.mode is Mode.PIN and source.sealed:
        raise Invalid(
            "a pointer keeps its address, and this one holds a secret",
            code="ingest.pin",
            hint="let the credentials come from the environment",
        )
    if source.every:
        parse_cron(source.every)


def calendar_of(every: str) -> str:
    """Return the calendar of a span: minutes that divide an hour, hours that divide a day, a day or a week.

    >>> calendar_of("15m"), calendar_of("6h"), calendar_of("1d")
    ('*/15 * * * *', '0 */6 * * *', '0 0 * * *')
    """
    span = parse_duration(every)
    if span and HOUR % span == 0 and span % MINUTE == 0:
        return f"*/{span // MINUTE} * * * *" if span < HOUR else "0 * * * *"
    if span and DAY % span == 0 and span % HOUR == 0:
        return f"0 */{span // HOUR} * * *" if span < DAY else "0 0 * * *"
    if span == 7 * DAY:
        return "0 0 * * 1"
    raise Invalid(
        f"every {every!r} is no even part of a day", code="ingest.every", hint="such as 15m, 6h, 1d, or a calendar with --cron"
    )


def get_source(tx: Transaction, actor: Principal, dataset: str) -> Source:
    """Read the source of a dataset. Raises NotFound, also for one of a project that may not be seen."""
    found = store.find(tx, dataset)
    if found is None or not sees(actor, found.project):
        raise NotFound(f"{dataset[:100]!r} has no source", code="ingest.no_source", hint="`perenne data sources` shows them")
    return found


def list_sources(tx: Transaction, actor: Principal) -> list[Source]:
    """Read the sources that may be seen, by name."""
    return [source for source in store.sources(tx) if sees(actor, source.project)]


def history(tx: Transaction, actor: Principal, dataset: str = "", limit: int = 20) -> list[Refresh]:
    """Read what became of the newest readings, of one source or of all that may be seen."""
    names = [get_source(tx, actor, dataset).dataset] if dataset else [source.dataset for source in list_sources(tx, actor)]
    return store.refreshes(tx, names, limit)


def pause(tx: Transaction, actor: Principal, dataset: str, *, paused: bool, now: int) -> Source:
    """Hold a source's calendar, or let it go on."""
    source = get_source(tx, actor, dataset)
    require(actor, Action.LOG, source.project)
    if source.paused != paused:
        store.update(tx, dataset, paused=paused)
        audit.record(tx, actor, "source.pause" if paused else "source.resume", "source", dataset)
        _keep_schedule(tx, msgspec.structs.replace(source, paused=paused), now)
    return get_source(tx, actor, dataset)


def remove(tx: Transaction, actor: Principal, dataset: str) -> None:
    """Forget a source and its calendar; its snapshots, and what is known of its readings, stay."""
    source = get_source(tx, actor, dataset)
    require(actor, Action.LOG, source.project)
    store.delete(tx, dataset)
    schedules.drop_schedule(tx, PREFIX + dataset)
    audit.record(tx, actor, "source.remove", "source", dataset, before={"uri": source.uri})


def put_back(tx: Transaction, actor: Principal, declared: Source, known: Source | None, *, now: int) -> None:
    """Take back a source that could not be read: what it replaced, and the calendar of that, are as they were."""
    store.delete(tx, declared.dataset)
    schedules.drop_schedule(tx, PREFIX + declared.dataset)
    audit.record(tx, actor, "source.remove", "source", declared.dataset, before={"uri": declared.uri})
    if known is not None:
        store.insert(tx, known)
        _keep_schedule(tx, known, now)
        audit.record(tx, actor, "source.declare", "source", known.dataset, after={"uri": known.uri})


def _keep_schedule(tx: Transaction, source: Source, now: int) -> None:
    if source.every and not source.paused:
        schedules.keep_schedule(tx, PREFIX + source.dataset, source.every, "UTC", after=now)
    else:
        schedules.drop_schedule(tx, PREFIX + source.dataset)


def queue_now(tx: Transaction, actor: Principal, dataset: str) -> str:
    """Queue a reading of a source that is not paused, and return the job's id. Raises NotFound, Conflict."""
    source = get_source(tx, actor, dataset)
    require(actor, Action.LOG, source.project)
    if source.paused:
        raise Conflict(f"the source of {dataset!r} is paused", code="ingest.paused", hint="let it go on first")
    return jobs.enqueue(tx, REFRESH_JOB, ToRefresh(dataset), attempts_allowed=ATTEMPTS, time_limit=LIMIT)


def queue_due(workspace: Workspace) -> int:
    """Queue the readings whose time has come, each once whoever notices first; return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        due: Sequence[schedules.Schedule] = schedules.due_schedules(tx, now, PREFIX)
    return sum(workspace.database.write(lambda tx, each=each: _queue(tx, each, now)) for each in due)  # type: ignore[misc]


def _rests(source: Source, now: int) -> bool:
    """Tell whether a source that failed again and again is left alone for now: twice as long each time, up to a day."""
    beyond = source.failures - ATTEMPTS
    return beyond > 0 and source.checked is not None and now < source.checked + min(FIRST_REST << min(beyond, 20), DAY)


def _queue(tx: Transaction, due: schedules.Schedule, now: int) -> int:
    if not schedules.fire(tx, due, now):
        return 0
    dataset = due.name.removeprefix(PREFIX)
    source = store.find(tx, dataset)
    if source is None or _rests(source, now):
        return 0
    key = f"{REFRESH_JOB}:{dataset}:{due.due}"
    jobs.enqueue(tx, REFRESH_JOB, ToRefresh(dataset), key=key, attempts_allowed=ATTEMPTS, time_limit=LIMIT)
    return 1
