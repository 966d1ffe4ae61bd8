"""Comments of people on things: runs, versions, reviews. Each is said, changed or taken back with a record in the audit trail.

A platform piece: whoever keeps a thing knows which project it belongs to, and says so.
"""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.storage.names import chosen
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

LONGEST = 10_000
ROWS = 200
"""At most so many comments come at once."""

table = sa.Table(
    "comment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("edited", sa.BigInteger),
    sa.Index(None, "entity", "entity_id", "id"),
)


class Comment(msgspec.Struct, frozen=True):
    """What somebody said about a thing.

    Attributes
    ----------
    entity, entity_id, project : str
        About what: its kind, its id, and the project it belongs to.
    author, time : str, int
        Who said it, and when.
    text : str
        As it was written: Markdown, to be shown as text.
    edited : int or None
        When it was changed last.
    """

    id: int
    entity: str
    entity_id: str
    project: str
    author: str
    time: int
    text: str
    edited: int | None = None


_columns = [table.c[name] for name in Comment.__struct_fields__]


def add(tx: Transaction, actor: Principal, entity: str, entity_id: str, text: str, *, project: str) -> Comment:
    """Say something about a thing. Raises Invalid if nothing is said, or too much."""
    require(actor, Action.COMMENT, project)
    words, now = _checked(text), SystemClock().now()
    row = {"entity": entity, "entity_id": entity_id, "project": project, "author": actor.name, "time": now, "text": words}
    identity = tx.scalar(table.insert().returning(table.c.id), row)
    audit.record(tx, actor, "comment.add", entity, entity_id, after={"comment": identity, "text": words})
    return Comment(identity, entity, entity_id, project, actor.name, now, words)


def edit(tx: Transaction, actor: Principal, identity: int, text: str) -> Comment:
    """Say it otherwise; what was said before stays in the audit trail.

    Raises
    ------
    NotFound
        If there is none of that number.
    Denied
        If it is another's.
    """
    before, words = get(tx, actor, identity), _checked(text)
    require(actor, Action.COMMENT, before.project)
    if before.author != actor.name:
        raise Denied(f"comment {identity} is by {before.author}", code="comment.author", hint="say something of your own")
    after = msgspec.structs.replace(before, text=words, edited=SystemClock().now())
    if words != before.text:
        tx.execute(table.update().where(table.c.id == identity).values(text=words, edited=after.edited))
        said = [{"comment": identity, "text": comment.text} for comment in (before, after)]
        audit.record(tx, actor, "comment.edit", before.entity, before.entity_id, before=said[0], after=said[1])
    return after


def remove(tx: Transaction, actor: Principal, identity: int) -> None:
    """Take a comment back: its author may, and who may change the project.

    Raises
    ------
    NotFound
        If there is none of that number.
    Denied
        If it is another's.
    """
    before = get(tx, actor, identity)
    if before.author == actor.name:
        require(actor, Action.COMMENT, before.project)
    elif not allowed(actor, Action.EDIT_PROJECT):
        raise Denied(f"comment {identity} is by {before.author}", code="comment.author", hint="its author or an owner may")
    tx.execute(table.delete().where(table.c.id == identity))
    said = {"comment": identity, "text": before.text}
    audit.record(tx, actor, "comment.remove", before.entity, before.entity_id, before=said)


def get(tx: Transaction, actor: Principal, identity: int) -> Comment:
    """Read a comment. Raises NotFound if there is none, or none that the actor may see."""
    row = tx.execute(sa.select(*_columns).where(table.c.id == identity)).one_or_none()
    if row is None or not sees(actor, row.project):
        raise NotFound(f"there is no comment {identity}", code="comment.not_found", hint="it may have been taken back")
    return read_struct(Comment, row)


def of(tx: Transaction, entity: str, entity_id: str, *, before: int | None = None, limit: int = ROWS) -> list[Comment]:
    """Read what was said about a thing, newest first; `before` is the comment after which to go on."""
    query = sa.select(*_columns).where(table.c.entity == entity, table.c.entity_id == entity_id)
    query = query.order_by(table.c.id.desc()).limit(max(1, min(limit, ROWS)))
    query = query if before is None else query.where(table.c.id < before)
    return [read_struct(Comment, row) for row in tx.execute(query)]


def counts(tx: Transaction, entity: str, ids: Iterable[str]) -> dict[str, int]:
    """Count what was said about each of many things; one of which nothing was said is left out."""
    where = (table.c.entity == entity, table.c.entity_id.in_(chosen(ids)))
    query = sa.select(table.c.entity_id, sa.func.count().label("number")).where(*where).group_by(table.c.entity_id)
    return {row.entity_id: row.number for row in tx.execute(query)}


def follow(tx: Transaction, entity: str, before: str, after: str) -> None:
    """Keep what was said about a thing with it when its id changes."""
    where = (table.c.entity == entity, table.c.entity_id == before)
    tx.execute(table.update().where(*where).values(entity_id=after))


def forget(tx: Transaction, entity: str, ids: Iterable[str]) -> None:
    """Remove what was said about things that are removed for good."""
    tx.execute(table.delete().where(table.c.entity == entity, table.c.entity_id.in_(chosen(ids))))


def _checked(text: str) -> str:
    words = text.strip()
    if not words or len(words) > LONGEST or "\0" in words:
        raise Invalid(
            f"text has {len(words):,} characters" if "\0" not in words else "text holds a zero byte",
            code="comment.text",
            hint=f"say something, in at most {LONGEST:,} characters",
        )
    return words
