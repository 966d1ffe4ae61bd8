"""Calendars as rows: each says when it is due next. Firing one moves the row, so that of several who see it due one wins.

What a firing does belongs in the transaction that fires it. Times that were missed fire once, together.
"""

import msgspec
import sqlalchemy as sa

from perenne.core.calendar import next_time
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

table = sa.Table(
    "schedule",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("expression", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("due", sa.BigInteger),
    sa.Column("fired", sa.BigInteger),
    sa.Index(None, "due"),
)


class Schedule(msgspec.Struct, frozen=True):
    """A calendar; `due` is None if its time never comes, `fired` is the time it stood for when it fired last."""

    name: str
    expression: str
    zone: str
    due: int | None
    fired: int | None


_columns = [table.c[name] for name in Schedule.__struct_fields__]


def schedules(tx: Transaction, prefix: str = "") -> list[Schedule]:
    """List the schedules whose name begins with a text, by name."""
    query = sa.select(*_columns).where(table.c.name.startswith(prefix, autoescape=True)).order_by(table.c.name)
    return [read_struct(Schedule, row) for row in tx.execute(query)]


def due_schedules(tx: Transaction, now: int, prefix: str = "") -> list[Schedule]:
    """List the schedules that are due, the longest due first."""
    query = sa.select(*_columns).where(table.c.due <= now, table.c.name.startswith(prefix, autoescape=True))
    return [read_struct(Schedule, row) for row in tx.execute(query.order_by(table.c.due, table.c.name))]


def keep_schedule(tx: Transaction, name: str, expression: str, zone: str, *, after: int) -> None:
    """Make a schedule that first fires after an instant; one that is there with the same calendar stays as it is."""
    known = tx.execute(sa.select(table.c.expression, table.c.zone).where(table.c.name == name)).one_or_none()
    if known is not None and (known.expression, known.zone) == (expression, zone):
        return
    values = {"expression": expression, "zone": zone, "due": next_time(expression, after, zone), "fired": None}
    if known is not None:
        tx.execute(table.update().where(table.c.name == name).values(**values))
    else:
        tx.execute(_INSERT, {"name": name, **values})


_INSERT = sa.text(
    "insert into schedule (name, expression, zone, due, fired) values (:name, :expression, :zone, :due, :fired) "
    "on conflict (name) do nothing"
)


def drop_schedule(tx: Transaction, name: str) -> None:
    """Remove a schedule."""
    tx.execute(table.delete().where(table.c.name == name))


def fire(tx: Transaction, schedule: Schedule, now: int) -> bool:
    """Move a due schedule on to its first time after now; False if another was quicker, who then does what is to be done."""
    unmoved = (table.c.name == schedule.name, table.c.due == schedule.due, table.c.expression == schedule.expression)
    values = {"due": next_time(schedule.expression, now, schedule.zone), "fired": schedule.due}
    return tx.execute(table.update().where(*unmoved).values(**values)).rowcount == 1
