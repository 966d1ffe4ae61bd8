"""Removing items for good: the one way out of a table to which rows are only added.

Labels of rows that were erased go with them; the others follow their rows to the snapshot that is left.
"""

import bisect
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid
from perenne.labels import label_store, queues, sets
from perenne.labels.store import item, label_set
from perenne.storage.transaction import Transaction


class Erased(msgspec.Struct, frozen=True):
    """How many items were removed, and how many labels with them."""

    label_set: str
    items: int
    labels: int


def erase(tx: Transaction, actor: Principal, name: str, items: Sequence[str], *, reason: str) -> Erased:
    """Remove items, named by their ids or by what stands in their key column, with everything that was said of them.

    Raises
    ------
    NotFound
        If one is not there; nothing is removed.
    Invalid
        If no reason is given.
    Denied
        If the actor may not change the project.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.EDIT_PROJECT, found.project)
    if not reason.strip():
        raise Invalid("reason: it is empty", code="label.reason", hint="say why: it is kept in the audit trail")
    ids = {queues.find_item(tx, actor, name, each) for each in items}
    done = Erased(name, len(ids), label_store.erase(tx, name, ids))
    audit.record(
        tx, actor, "label_set.erase", "label set", name, after={"items": done.items, "labels": done.labels}, reason=reason
    )
    return done


def on_erased(tx: Transaction, event: "data.privacy.RowsErased") -> None:
    """Remove items, labels and turns of the rows that are gone, and let the other items of the snapshot follow."""
    gone, kept = set(event.rows), event.replacement
    query = sa.select(item.c.label_set, item.c.item, item.c.row).where(item.c.snapshot == event.snapshot)
    held = [tuple(row) for row in tx.execute(query)]
    for name in sorted({found for found, _, _ in held}):
        rows = {identity: row for found, identity, row in held if found == name}
        lost = [identity for identity, row in rows.items() if row in gone or not kept]
        label_store.erase(tx, name, lost)
        moved = [
            {"b_set": name, "b_item": identity, "b_row": row - bisect.bisect_left(event.rows, row)}
            for identity, row in rows.items()
            if kept and row not in gone
        ]
        if moved:
            where = (item.c.label_set == sa.bindparam("b_set"), item.c.item == sa.bindparam("b_item"))
            tx.execute(item.update().where(*where).values(snapshot=kept, row=sa.bindparam("b_row")), moved)
    if kept:
        tx.execute(label_set.update().where(label_set.c.snapshot == event.snapshot).values(snapshot=kept))
