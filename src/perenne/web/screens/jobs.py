"""The screen of jobs and events: the queue, what runs and how far it is, what failed, and what could not be delivered."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed
from perenne.core.errors import Invalid
from perenne.storage import jobs, outbox, steering
from perenne.storage.backlog import Waiting, event_backlog, job_backlog
from perenne.storage.jobs import Job
from perenne.storage.outbox import StoredEvent
from perenne.storage.owners import shown_owner
from perenne.storage.transaction import Transaction

WINDOW = 200
EVENTS_SHOWN = 50


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job. `share` is how far it has come, from 0 to 1; None if it does not say. `cancelling` once somebody asked for it."""

    id: str
    kind: str
    state: str
    cancelling: bool
    priority: int
    attempt: int
    attempts_allowed: int
    created: int
    due: int
    started: int | None
    ended: int | None
    worker: str
    share: float | None
    message: str
    error: str


class JobShown(msgspec.Struct, frozen=True):
    """One job with what it gets."""

    row: JobRow
    payload: str
    key: str | None
    time_limit: int | None


class EventRow(msgspec.Struct, frozen=True):
    """An event that could not be delivered."""

    id: int
    name: str
    attempts: int
    created: int
    error: str


class JobsView(msgspec.Struct, frozen=True, kw_only=True):
    """The screen.

    Attributes
    ----------
    waiting, events : tuple of Waiting
        How many jobs and events are not done, by kind and state.
    kinds : tuple of str
        Kinds of job to choose from.
    rows : tuple of JobRow
        Newest first; `more` is the id after which to go on, None at the end.
    shown : JobShown or None
        The job that was asked for by its id.
    aside : tuple of EventRow
        Events that were set aside, newest first, the first 50.
    may_change : bool
        Whether whoever looks may cancel, retry and prioritise.
    """

    waiting: tuple[Waiting, ...]
    events: tuple[Waiting, ...]
    kinds: tuple[str, ...]
    rows: tuple[JobRow, ...]
    more: str | None
    shown: JobShown | None
    aside: tuple[EventRow, ...]
    may_change: bool


def jobs_view(
    tx: Transaction,
    actor: Principal,
    *,
    state: str | None = None,
    kind: str | None = None,
    before: str | None = None,
    job: str | None = None,
) -> JobsView:
    """Put the screen together. Raises NotFound for a job that is not there."""
    found = jobs.jobs(tx, state=state, kind=kind, before=before, limit=WINDOW + 1)
    waiting = tuple(job_backlog(tx))
    known = {item.kind for item in waiting} | {item.kind for item in found} | ({kind} if kind else set())
    return JobsView(
        waiting=waiting,
        events=tuple(event_backlog(tx)),
        kinds=tuple(sorted(known)),
        rows=tuple(_row(item) for item in found[:WINDOW]),
        more=found[WINDOW - 1].id if len(found) > WINDOW else None,
        shown=None if job is None else _shown(steering.need_job(tx, job)),
        aside=tuple(_event(item) for item in outbox.events(tx, state="set_aside", limit=EVENTS_SHOWN)),
        may_change=allowed(actor, Action.DEPLOY),
    )


def _row(item: Job) -> JobRow:
    return JobRow(
        id=item.id,
        kind=item.kind,
        state=item.state,
        cancelling=item.state == "running" and item.cancel is not None,
        priority=item.priority,
        attempt=item.attempt,
        attempts_allowed=item.attempts_allowed,
        created=item.created,
        due=item.due,
        started=item.started,
        ended=item.ended,
        worker=shown_owner(item.owner) if item.owner else "",
        share=item.share,
        message=item.message or "",
        error=item.error or "",
    )


def _shown(item: Job) -> JobShown:
    return JobShown(_row(item), item.payload, item.key, item.time_limit)


def _event(item: StoredEvent) -> EventRow:
    return EventRow(item.id, item.name, item.attempts, item.created, item.error or "")


@needs(Action.READ, returns=JobsView)
async def get_jobs(request: Request) -> Response:
    """Give the screen: of jobs in one `state` or of one `kind`, after the id `before`, and one `job` in full."""
    chosen = {name: _text(request, name) for name in ("state", "kind", "before", "job")}
    return await answers.view(request, lambda tx, actor: jobs_view(tx, actor, **chosen))


def _text(request: Request, name: str) -> str | None:
    text = request.query_params.get(name) or None
    if text is not None and not (text.isprintable() and len(text) <= 200):
        raise Invalid(f"{name} cannot be read", code="request.query", hint="printable characters, at most 200")
    return text


routes = [Route("/api/view/job", get_jobs, methods=["GET"])]
