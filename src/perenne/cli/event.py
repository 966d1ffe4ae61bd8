"""`perenne event list|retry|drop`."""

import click

from perenne.app import operations
from perenne.app.operations import EventLine
from perenne.auth.principals import local_principal
from perenne.storage.workspace import Workspace

STATES = ("waiting", "delivered", "set_aside", "dropped")

reason_option = click.option("--reason", default="", help="Why; kept in the audit trail.")


@click.group()
def event() -> None:
    """What parts of the loop tell each other; what could not be delivered is set aside."""


@event.command("list")
@click.option("--state", type=click.Choice(STATES), default="set_aside", show_default=True, help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, state: str, limit: int) -> list[EventLine]:
    """List events, newest first.

    \b
    Examples:
      perenne event list
      perenne event list --state waiting
    """
    with workspace.database.read() as tx:
        found = operations.list_events(tx, local_principal(), state=state, before=None, limit=limit)
    return [operations.event_line(item) for item in found]


@event.command()
@click.argument("number", type=int, metavar="EVENT")
@reason_option
@click.pass_obj
def retry(workspace: Workspace, number: int, reason: str) -> EventLine:
    """Deliver a set-aside event again.

    \b
    Examples:
      perenne event retry 41
    """
    actor = local_principal()
    return operations.event_line(workspace.database.write(lambda tx: operations.retry_event(tx, actor, number, reason)))


@event.command()
@click.argument("number", type=int, metavar="EVENT")
@reason_option
@click.pass_obj
def drop(workspace: Workspace, number: int, reason: str) -> EventLine:
    """Give a set-aside event up: nobody gets it.

    \b
    Examples:
      perenne event drop 41 --reason "its project is gone"
    """
    actor = local_principal()
    return operations.event_line(workspace.database.write(lambda tx: operations.drop_event(tx, actor, number, reason)))
