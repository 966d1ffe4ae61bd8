"""Lineage: one table of links between things, each written in the transaction that makes it true."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from perenne.storage.names import chosen
from perenne.storage.prepared import Prepared
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction


class Kind(StrEnum):
    """The kinds of thing lineage speaks of."""

    PROJECT = "project"
    DATA_VERSION = "data version"
    SNAPSHOT = "snapshot"
    PROFILE = "profile"
    LABEL_SET = "label set"
    LABEL_VERSION = "label version"
    RUN = "run"
    LOGGED_MODEL = "logged model"
    REPORT = "report"
    VERSION = "version"
    DECISION = "decision"
    DEPLOYMENT = "deployment"
    CLUSTER_REVISION = "cluster revision"
    EPISODE = "episode"
    WINDOW = "window"
    ALERT = "alert"
    JOB = "job"
    IMAGE = "image"


READ_FROM = "read_from"
"""What a snapshot is to the version of a file that its rows were read from."""

TAKEN_FOR = "taken_for"
"""What a snapshot is to the project that it was taken for."""


class Link(msgspec.Struct, frozen=True):
    """`source` stands in `relation` to `target`: a run *used* a snapshot, a version *made_by* a run."""

    source_kind: str
    source: str
    relation: str
    target_kind: str
    target: str


table = sa.Table(
    "link",
    metadata,
    sa.Column("source_kind", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("relation", sa.Text, primary_key=True),
    sa.Column("target_kind", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Index(None, "target_kind", "target"),
    sqlite_with_rowid=False,
)


_COLUMNS = [str(column.name) for column in table.columns]
_ADD = Prepared(sa.text(f"insert into link ({', '.join(_COLUMNS)}) values (:{', :'.join(_COLUMNS)}) on conflict do nothing"))


def add_link(tx: Transaction, source: tuple[Kind, str], relation: str, target: tuple[Kind, str]) -> None:
    """Record that a source stands in a relation to a target; saying it twice changes nothing."""
    values = (source[0].value, source[1], relation, target[0].value, target[1])
    _ADD.run(tx, dict(zip(_COLUMNS, values, strict=True)))


def links_from(tx: Transaction, kind: Kind, identity: str) -> list[Link]:
    """Return what a thing points to."""
    where = sa.and_(table.c.source_kind == kind, table.c.source == identity)
    return _read(tx, where)


def links_to(tx: Transaction, kind: Kind, identity: str) -> list[Link]:
    """Return what points to a thing."""
    where = sa.and_(table.c.target_kind == kind, table.c.target == identity)
    return _read(tx, where)


def sources_of(tx: Transaction, source: Kind, target: Kind, identities: Iterable[str]) -> list[Link]:
    """Return the links from things of one kind to some of another, asked in one statement."""
    where = sa.and_(table.c.source_kind == source, table.c.target_kind == target, table.c.target.in_(chosen(identities)))
    return _read(tx, where)


def follow(tx: Transaction, kind: Kind, before: str, after: str) -> None:
    """Let the links of a thing follow it to another id."""
    for end in ("source", "target"):
        where = (table.c[f"{end}_kind"] == kind, table.c[end] == before)
        tx.execute(table.update().where(*where).values({end: after}))


def forget(tx: Transaction, kind: Kind, identities: Iterable[str]) -> None:
    """Remove the links of things that are removed for good."""
    gone = list(identities)
    for end in ("source", "target"):
        tx.execute(table.delete().where(table.c[f"{end}_kind"] == kind, table.c[end].in_(chosen(gone))))


class Near(NamedTuple):
    """A link of a thing, and how many things of a kind it stands in the same relation to."""

    link: Link
    of: int


def near(tx: Transaction, kind: Kind, identities: Iterable[str], *, forwards: bool, each: int) -> list[Near]:
    """Return what many things of a kind point to, or what points to them, in one statement.

    Parameters
    ----------
    forwards : bool
        Whether to what they point to.
    each : int
        At most so many links per thing, relation and kind at the other end, the newest of them: ids rise with time.
    """
    here, there = ("source", "target") if forwards else ("target", "source")
    other = table.c[there]
    same = (table.c[here], table.c.relation, table.c[f"{there}_kind"])
    place = sa.func.row_number().over(partition_by=same, order_by=(sa.func.length(other).desc(), other.desc()))
    ranked = (
        sa.select(table, place.label("place"), sa.func.count().over(partition_by=same).label("of"))
        .where(table.c[f"{here}_kind"] == kind, table.c[here].in_(list(identities)))
        .subquery()
    )
    query = sa.select(ranked).where(ranked.c.place <= each).order_by(ranked.c[here], ranked.c[f"{there}_kind"], ranked.c.place)
    return [
        Near(Link(row.source_kind, row.source, row.relation, row.target_kind, row.target), row.of) for row in tx.execute(query)
    ]


def sources(kind: Kind, relation: str, target_kind: Kind, targets: "sa.Select[tuple[str]]") -> "sa.Select[tuple[str]]":
    """Return, as a subquery, the ids of things of a kind that stand in a relation to any of some targets."""
    links = table.alias()
    where = (links.c.target_kind == target_kind, links.c.target.in_(targets), links.c.relation == relation)
    return sa.select(links.c.source).where(*where, links.c.source_kind == kind)


def walk(tx: Transaction, start: Iterable[tuple[Kind, str]], *, limit: int = 1_000) -> list[Link]:
    """Return every link that can be reached forwards from some things, nearest first, at most `limit`."""
    found: list[Link] = []
    seen = set(start)
    edge = list(seen)
    while edge and len(found) < limit:
        following: list[tuple[Kind, str]] = []
        for kind, identity in edge:
            for link in links_from(tx, kind, identity):
                found.append(link)
                node = (Kind(link.target_kind), link.target)
                if node not in seen:
                    seen.add(node)
                    following.append(node)
        edge = following
    return found[:limit]


def _read(tx: Transaction, where: "sa.ColumnElement[bool]") -> list[Link]:
    rows = tx.execute(sa.select(table).where(where).order_by(*table.primary_key.columns))
    return [read_struct(Link, row) for row in rows]
