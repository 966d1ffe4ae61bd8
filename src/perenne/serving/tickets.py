"""Requests that a person is to answer, on their way to the queue: a file for each in the spool.

::

    spool/tickets/<ticket>.json     removed once the queue has it

The file is on the disk before the caller hears of it. The control plane may be down for as long as it likes: the files wait.
Taking one in twice changes nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.inference import Signature
from perenne.serving.model import Constant
from perenne.stats.columns import Columns, FieldKind
from perenne.storage.files import sweep, write_atomically

_FOLDER = "tickets"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waits for a person.

    Attributes
    ----------
    id : str
        The request's own id: with a row's number it is the prediction id.
    deployment, version : str
        Whose, and which version is stopped.
    opened : int
        When it arrived, microseconds since 1970.
    rows : list of dict
        The inputs, row by row.
    classes : list
        What can be answered; empty for a number.
    suggested : list or None
        What the stopped model says, for comparison afterwards; None if it failed.
    """

    id: str
    deployment: str
    version: str
    opened: int
    rows: list[dict[str, Any]]
    classes: list[Constant] = []
    suggested: list[Constant | None] | None = None


class PendingPerson(PerenneError):
    """The request is accepted, and a person will answer it."""

    status = 202

    def __init__(self, ticket: str) -> None:
        super().__init__(
            f"a person decides: ticket {ticket}",
            code="PENDING_PERSON",
            hint="the answer will be at the control plane: perenne deploy answer TICKET, or GET /api/deploy/NAME/queue/TICKET",
        )
        self.request_id = ticket


def rows_of(columns: Columns, signature: Signature, size: int) -> list[dict[str, Any]]:
    """Return the inputs row by row, as JSON holds them; tensors are left out, for nobody could read them."""
    fields = [field for field in signature.fields if field.kind is not FieldKind.TENSOR and field.name in columns]
    values = {field.name: np.asarray(columns[field.name]).tolist() for field in fields}
    return [{name: _plain(column[row]) for name, column in values.items()} for row in range(size)]


def leave_ticket(spool: Path, ticket: Ticket) -> None:
    """Leave a ticket; it is on the disk when this returns. Raises OSError if the disk refuses it."""
    write_atomically(spool / _FOLDER / f"{ticket.id}.json", json.encode(ticket))


def read_tickets(spool: Path) -> Iterator[tuple[Path, Ticket]]:
    """Go through the tickets that wait to be taken in, oldest first; what cannot be read is left where it is."""
    for path in sorted((spool / _FOLDER).glob("[!.]*.json")):
        try:
            yield path, json.decode(path.read_bytes(), Ticket, what=path.name)
        except (OSError, PerenneError):
            continue


def forget_ticket(path: Path) -> None:
    """Remove the file of a ticket that is in the queue."""
    path.unlink(missing_ok=True)
    sweep(path.parent)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
