"""Labels of rows that were erased go with them; the others follow their rows to the snapshot that is left."""

import bisect

import sqlalchemy as sa

from perenne import data
from perenne.labels.store import item, label, label_set, turn
from perenne.storage.database import Transaction
from perenne.storage.names import chosen


def on_erased(tx: Transaction, event: "data.privacy.RowsErased") -> None:
    """Remove items, labels and turns of the rows that are gone, and let the other items of the snapshot follow."""
    gone, kept = set(event.rows), event.replacement
    query = sa.select(item.c.label_set, item.c.item, item.c.row).where(item.c.snapshot == event.snapshot)
    held = [tuple(row) for row in tx.execute(query)]
    for name in sorted({found for found, _, _ in held}):
        rows = {identity: row for found, identity, row in held if found == name}
        lost = [identity for identity, row in rows.items() if row in gone or not kept]
        for table in (label, turn, item):
            tx.execute(table.delete().where(table.c.label_set == name, table.c.item.in_(chosen(lost))))
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
