"""Views of the list of runs that people keep: what is filtered, ordered and shown, under a name, for oneself or for others."""

from urllib.parse import parse_qs

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.storage.database import Transaction
from perenne.storage.schema import metadata, read_struct
from perenne.tracking.tables import experiment

LONGEST_NAME = 100
LONGEST_QUERY = 8_000
MOST_DIGITS = 10
MOST_VIEWS = 200
"""So many may one person keep; and so many that others share are listed."""

table = sa.Table(
    "saved_view",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("owner", "name"),
    sa.Index(None, "shared", "name"),
)


class SavedView(msgspec.Struct, frozen=True):
    """A kept view.

    Attributes
    ----------
    project : str
        The project it looks at, an empty text if at more than one: who may not see that does not see the view either.
    query : str
        What stands in the address of the page, such as ``filter=metrics.auc+%3E+0.9&order=metrics.auc+DESC``.
    shared : bool
        Whether others see it as well.
    """

    id: str
    name: str
    owner: str
    project: str
    query: str
    shared: bool
    created: int
    updated: int


_columns = [table.c[name] for name in SavedView.__struct_fields__]


def views(tx: Transaction, actor: Principal) -> tuple[SavedView, ...]:
    """Read the views of somebody, and those that others share with them, by name."""
    mine = table.c.owner == actor.name
    found = []
    for where in (mine, sa.and_(table.c.shared, ~mine)):
        query = sa.select(*_columns).where(where).order_by(table.c.name, table.c.id).limit(MOST_VIEWS)
        found += [read_struct(SavedView, row) for row in tx.execute(query)]
    return tuple(view for view in found if _visible(actor, view))


def keep(tx: Transaction, actor: Principal, *, name: str, query: str, shared: bool) -> SavedView:
    """Keep a view under a name of one's own.

    Raises
    ------
    Invalid
        If name or query are empty or too long, or there are too many.
    Denied
        If it is to be shared, and looks at more than its owner may see.
    Conflict
        If there is one of this name.
    """
    require(actor, Action.READ, next(iter(sorted(actor.projects)), None))
    now = SystemClock().now()
    view = SavedView(new_id(), name.strip(), actor.name, _project(tx, query), query, shared, now, now)
    _check(actor, view)
    names = {row.name for row in tx.execute(sa.select(table.c.name).where(table.c.owner == actor.name))}
    if view.name in names:
        raise Conflict(f"you have a view {view.name!r} already", code="view.exists", hint="choose another name")
    if len(names) >= MOST_VIEWS:
        raise Invalid(f"you keep {len(names)} views", code="view.many", hint=f"at most {MOST_VIEWS}; remove one first")
    tx.execute(table.insert(), msgspec.structs.asdict(view))
    audit.record(tx, actor, "view.keep", "view", view.id, after={"name": view.name, "shared": shared})
    return view


def change(tx: Transaction, actor: Principal, identity: str, *, name: str, query: str, shared: bool) -> SavedView:
    """Change a view of one's own. Raises as `keep`, and NotFound if there is no such view."""
    before = _own(tx, actor, identity)
    values = {"name": name.strip(), "query": query, "shared": shared, "project": _project(tx, query)}
    view = msgspec.structs.replace(before, updated=SystemClock().now(), **values)
    _check(actor, view)
    taken = sa.select(table.c.id).where(table.c.owner == actor.name, table.c.name == view.name, table.c.id != identity)
    if tx.scalar(taken) is not None:
        raise Conflict(f"you have a view {view.name!r} already", code="view.exists", hint="choose another name")
    tx.execute(table.update().where(table.c.id == identity).values(**msgspec.structs.asdict(view)))
    audit.record(tx, actor, "view.change", "view", view.id, after={"name": view.name, "shared": shared})
    return view


def remove(tx: Transaction, actor: Principal, identity: str) -> None:
    """Remove a view of one's own. Raises NotFound if there is none."""
    view = _own(tx, actor, identity)
    tx.execute(table.delete().where(table.c.id == identity))
    audit.record(tx, actor, "view.remove", "view", identity, before={"name": view.name})


def _visible(actor: Principal, view: SavedView) -> bool:
    return sees(actor, view.project) or (view.owner == actor.name and not view.project)


def _own(tx: Transaction, actor: Principal, identity: str) -> SavedView:
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity, table.c.owner == actor.name)).one_or_none()
    if row is None:
        raise NotFound("you have no such view", code="view.not_found", hint="the menu of saved views shows yours")
    return read_struct(SavedView, row)


def _project(tx: Transaction, query: str) -> str:
    """Return the project that a view looks at, an empty text if it looks at all."""
    asked = parse_qs(query)
    number = asked.get("experiment", [""])[0]
    if number.isascii() and number.isdecimal() and len(number) < MOST_DIGITS:
        return tx.scalar(sa.select(experiment.c.project).where(experiment.c.id == int(number))) or ""
    return asked.get("project", [""])[0]


def _check(actor: Principal, view: SavedView) -> None:
    for field, text, most in (("name", view.name, LONGEST_NAME), ("query", view.query, LONGEST_QUERY)):
        if len(text) > most or not text.isprintable() or (field == "name" and not text):
            raise Invalid(f"{field} cannot be kept", code=f"view.{field}", hint=f"printable characters, at most {most:,}")
    if not _visible(actor, view) or (view.shared and not sees(actor, view.project)):
        raise Denied("this view looks at more than you may see", code="view.scope", hint="choose an experiment of yours first")
