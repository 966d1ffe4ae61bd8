"""A person's queue: requests to a stopped model that wait for somebody who decides, and what was decided."""

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.serving import store, ticket_store
from perenne.serving.model import Constant
from perenne.serving.ticket_store import QueuedTicket
from perenne.serving.tickets import forget_ticket, read_tickets
from perenne.stats.levels import level_text
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

AT_ONCE = 500
waiting = ticket_store.waiting
untold = ticket_store.untold
mark_told = ticket_store.mark_told


def take_in(workspace: Workspace) -> int:
    """Put the requests that model servers left into the queue; return how many were new.

    A file goes only after the transaction that wrote its row: killed between the two, it is found again, and known.
    """
    files = [found for _, found in zip(range(AT_ONCE), read_tickets(workspace.settings.spool), strict=False)]
    if not files:
        return 0
    rows = [
        QueuedTicket(
            id=ticket.id,
            deployment=ticket.deployment,
            version=ticket.version,
            opened=ticket.opened,
            rows=tuple(ticket.rows),
            classes=tuple(ticket.classes),
            suggested=None if ticket.suggested is None else tuple(ticket.suggested),
        )
        for _, ticket in files
    ]
    added = workspace.database.write(lambda tx: sum(ticket_store.add(tx, row) for row in rows))
    for path, _ in files:
        forget_ticket(path)
    return added


def list_tickets(
    tx: Transaction, deployment: str, *, waiting: bool = True, after: str = "", limit: int = 100
) -> list[QueuedTicket]:
    """List the requests of a deployment, oldest first: those that wait, or all. What the model says is shown once decided."""
    if store.find(tx, deployment) is None:
        raise _no_deployment(deployment)
    return [_shown(ticket) for ticket in ticket_store.listed(tx, deployment, waiting=waiting, after=after, limit=limit)]


def get_ticket(tx: Transaction, identity: str) -> QueuedTicket:
    """Read a request in the queue. Raises NotFound."""
    return _shown(_find(tx, identity))


def decide(
    tx: Transaction, actor: Principal, identity: str, answer: Constant | list[Constant], *, reason: str, now: int
) -> QueuedTicket:
    """Answer a request in the place of the model.

    Parameters
    ----------
    answer : constant or list
        What is answered: for each row, or one for all of them.
    reason : str
        Why; it stays with the decision.

    Raises
    ------
    PerenneError
        If there is no such ticket, it is decided already, no reason is given, or the answer is none that could be given.
    """
    ticket = _find(tx, identity)
    deployment = store.find(tx, ticket.deployment)
    if deployment is None:
        raise _no_deployment(ticket.deployment)
    require(actor, Action.ADJUDICATE, deployment.project)
    if not reason.strip():
        raise Invalid("a decision needs a reason", code="ticket.reason", hint="say why: --reason '…'")
    given = _checked(ticket, tuple(answer) if isinstance(answer, list) else (answer,) * len(ticket.rows))
    decided = msgspec.structs.replace(ticket, answer=given, decided=now, decided_by=actor.name, reason=reason)
    if not ticket_store.decide(tx, decided):
        raise Conflict(
            f"ticket {identity} is decided already",
            code="ticket.decided",
            hint=f"`perenne deploy answer {identity}` tells how",
        )
    after = {"answer": given, "suggested": ticket.suggested}
    audit.record(tx, actor, "ticket.decided", "deployment", ticket.deployment, after={"ticket": identity} | after, reason=reason)
    return decided


def _checked(ticket: QueuedTicket, given: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """Return the answers as the model would have written them: a class however it is written, else a number."""
    if len(given) != len(ticket.rows):
        raise Invalid(
            f"there are {len(given)} answers to {len(ticket.rows)} rows", code="ticket.rows", hint="one for each, or one for all"
        )
    classes = {level_text(known): known for known in ticket.classes}
    for value in given:
        if (level_text(value) not in classes) if classes else isinstance(value, str | bool):
            what = f"one of: {', '.join(map(str, ticket.classes))}" if classes else "a number"
            raise Invalid(f"{value!r} is no answer of this model", code="ticket.answer", hint=what)
    return tuple(classes[level_text(value)] for value in given) if classes else given


def _find(tx: Transaction, identity: str) -> QueuedTicket:
    found = ticket_store.find(tx, identity)
    if found is None:
        raise NotFound(
            f"there is no ticket {identity[:60]!r}",
            code="ticket.not_found",
            hint="`perenne deploy queue NAME` lists those that wait",
        )
    return found


def _no_deployment(name: str) -> NotFound:
    return NotFound(
        f"there is no deployment {name[:100]!r}", code="deployment.not_found", hint="`perenne deploy list` shows them"
    )


def _shown(ticket: QueuedTicket) -> QueuedTicket:
    """Hide what the model says from whoever is to decide: they are asked for their own judgement."""
    return ticket if ticket.decided is not None else msgspec.structs.replace(ticket, suggested=None)
