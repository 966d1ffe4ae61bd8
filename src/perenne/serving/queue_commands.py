"""`perenne deploy queue|decide|answer`: a person's queue."""

from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_UNKNOWN, Result
from perenne.serving import queue
from perenne.serving.model import Constant
from perenne.serving.ticket_store import QueuedTicket
from perenne.storage.workspace import Workspace


@click.command("queue")
@click.argument("name")
@click.option("--all", "every", is_flag=True, help="Also those that were decided.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, oldest first.")
@click.option("--after", default="", metavar="TICKET", help="Go on after this one.")
@click.pass_obj
def queue_(workspace: Workspace, name: str, every: bool, limit: int, after: str) -> list[dict[str, Any]]:
    """List the requests that wait for a person, oldest first.

    \b
    Examples:
      perenne deploy queue churn
      perenne deploy queue churn --all
    """
    queue.take_in(workspace)
    with workspace.database.read() as tx:
        found = queue.list_tickets(tx, name, waiting=not every, after=after, limit=limit)
    return [_row(ticket) for ticket in found]


@click.command()
@click.argument("ticket")
@click.argument("answer")
@click.option("--reason", required=True, help="Why; kept with the decision and in the audit trail.")
@click.pass_obj
def decide(workspace: Workspace, ticket: str, answer: str, reason: str) -> QueuedTicket:
    """Answer a request in the place of a stopped model: a class or a number, or a JSON list with one for each row.

    \b
    Examples:
      perenne deploy decide 01M7Y3F63RVMJ4B0S800000002 yes --reason "called the customer"
      perenne deploy decide 01M7Y3F63RVMJ4B0S800000002 '["yes", "no"]' --reason "as the file says"
    """
    given, now = _answer(answer), workspace.clock.now()
    return workspace.database.write(lambda tx: queue.decide(tx, local_principal(), ticket, given, reason=reason, now=now))


@click.command("answer")
@click.argument("ticket")
@click.pass_obj
def answer_(workspace: Workspace, ticket: str) -> Result:
    """Show a ticket and its answer. Exits 7 while nobody has decided.

    \b
    Examples:
      perenne deploy answer 01M7Y3F63RVMJ4B0S800000002
    """
    queue.take_in(workspace)
    with workspace.database.read() as tx:
        found = queue.get_ticket(tx, ticket)
    return Result(found, EXIT_UNKNOWN if found.answer is None else 0)


def _answer(text: str) -> Constant | list[Constant]:
    """Read an answer: JSON where it is JSON, else the text itself, which is how classes are usually written."""
    import msgspec

    try:
        return msgspec.json.decode(text, type=Constant | list[Constant])  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        raise Invalid(f"{text[:60]!r} is no answer", code="ticket.answer", hint="a class, a number, or a JSON list") from None
    except msgspec.DecodeError:
        return text


def _row(ticket: QueuedTicket) -> dict[str, Any]:
    first = ticket.rows[0] if ticket.rows else {}
    return {
        "ticket": ticket.id,
        "opened": format_time(ticket.opened),
        "rows": len(ticket.rows),
        "inputs": ", ".join(f"{name}={value}" for name, value in list(first.items())[:4]),
        "answer": "" if ticket.answer is None else ", ".join(map(str, ticket.answer[:4])),
        "by": ticket.decided_by,
    }
