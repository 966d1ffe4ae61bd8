"""Requests that wait for a person, on the deployment's page and under "Needs you"."""

from collections.abc import Mapping
from typing import Any

import msgspec

from perenne import serving
from perenne.core.addresses import address_of
from perenne.storage.database import Transaction

SHOWN = 20


class TicketLine(msgspec.Struct, frozen=True):
    """A request that waits: its inputs, row by row, and what can be answered (a number, if nothing is listed)."""

    id: str
    opened: int
    rows: tuple[dict[str, Any], ...]
    classes: tuple[str | int | float | bool, ...]


class QueueView(msgspec.Struct, frozen=True):
    """The requests that have waited longest, and how many wait in all."""

    tickets: tuple[TicketLine, ...] = ()
    waiting: int = 0
    may_decide: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """That requests wait in a deployment: how many, and since when."""

    deployment: str
    project: str
    requests: int
    since: int

    @property
    def path(self) -> str:
        """Where they are answered."""
        return address_of("deployment", self.deployment)


def queue_view(tx: Transaction, deployment: str, may_decide: bool) -> QueueView:
    """Show the queue of a deployment; empty where nothing waits."""
    count, _ = serving.service.queue.waiting(tx).get(deployment, (0, 0))
    if not count:
        return QueueView()
    found = serving.service.queue.list_tickets(tx, deployment, limit=SHOWN)
    lines = tuple(TicketLine(ticket.id, ticket.opened, ticket.rows[:SHOWN], ticket.classes) for ticket in found)
    return QueueView(lines, count, may_decide)


def waiting(tx: Transaction, projects: Mapping[str, str]) -> list[Waiting]:
    """Name the deployments, of some with their projects, in which requests wait."""
    found = serving.service.queue.waiting(tx)
    return [Waiting(name, projects[name], *found[name]) for name in sorted(found) if name in projects]
