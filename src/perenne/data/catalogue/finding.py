"""Finding data sets: by words in all that is known of them, and by the filter language."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.data import store as data_store
from perenne.data.catalogue import store
from perenne.data.catalogue.describing import described
from perenne.data.catalogue.model import Described
from perenne.storage.attributes import Number, Text
from perenne.storage.families import Attached
from perenne.storage.filtering import KeyTable
from perenne.storage.searching import search
from perenne.storage.transaction import Transaction

MOST_WORDS = 10


class CatalogueLine(msgspec.Struct, frozen=True):
    """A data set that was found: what is said of it, and its newest snapshot."""

    entry: Described
    snapshot: str
    rows: int
    columns: int
    taken: int
    source: str
    projects: tuple[str, ...]


class Catalogue(msgspec.Struct, frozen=True):
    """A page of data sets, and the token of the next; an empty one after the last."""

    rows: tuple[CatalogueLine, ...]
    token: str


def find(
    tx: Transaction,
    actor: Principal,
    words: str = "",
    text: str = "",
    order: Sequence[str] = (),
    *,
    now: int,
    limit: int = 100,
    token: str = "",
) -> Catalogue:
    """Find data sets that the actor may see.

    Parameters
    ----------
    words : str
        Each must be in the name, a column's name, or anything that is said of it, whatever its case.
    text, order : str, sequence of str
        In the filter language: `name`, `owner`, `classification`, `description`, `licence`, `rows`, `taken`, `updated`, `late`
        (1 or 0), `column` and `tags.…`.

    Raises
    ------
    Invalid
        If filter, order or token is wrong, or there are more than ten words.
    """
    asked = words.split()
    if len(asked) > MOST_WORDS:
        raise Invalid(f"{len(asked)} words", code="catalogue.words", hint=f"at most {MOST_WORDS}")
    table, root = _key_table(actor, now)
    where = [_known_of(root, word) for word in asked]
    found = search(tx, table, text, order, where=where, limit=limit, token=token, bound=(words,))
    newest = {item.snapshot.dataset: item for item in data_store.newest_of(tx, found.keys, actor.projects or None)}
    told = described(tx, newest.values(), now)
    projects = data_store.projects_of(tx, [item.snapshot.id for item in newest.values()])
    rows = tuple(_line(newest[name], told[name], projects) for name in found.keys if name in newest)
    return Catalogue(rows, found.token)


def _line(item: data_store.Newest, told: Described, projects: dict[str, list[str]]) -> CatalogueLine:
    snapshot = item.snapshot
    return CatalogueLine(
        told, snapshot.id, snapshot.rows, len(snapshot.columns), snapshot.created, snapshot.source,
        tuple(projects.get(snapshot.id, ())),
    )  # fmt: skip


def _key_table(actor: Principal, now: int) -> tuple[KeyTable, Any]:
    """Return what may be asked of data sets: each by its newest snapshot, with what is said of it."""
    root = _root(actor, now)
    names = {
        "name": Text(root.c.dataset),
        "owner": Text(root.c.owner),
        "classification": Text(root.c.classification),
        "description": Text(root.c.text),
        "licence": Text(root.c.licence),
        "column": Text(root.c.columns),
        "rows": Number(root.c.rows),
        "taken": Number(root.c.created, times=True),
        "updated": Number(root.c.updated, times=True),
        "late": Number(root.c.late),
    }
    tags = Attached(store.tag.c.dataset, store.tag.c.key, store.tag.c.value)
    return KeyTable(
        root.c.dataset, attributes=names, families={"tag": tags}, aliases={"tags": "tag"}, ties=((root.c.dataset, True),)
    ), root


def _root(actor: Principal, now: int) -> Any:
    newest, entry, seen = data_store.newest_rows(actor.projects or None), store.entry, data_store.examination
    last = sa.func.coalesce(seen.c.last, newest.c.created)
    late = sa.case((entry.c.freshness.is_(None), 0), (sa.literal(now, sa.BigInteger) - last > entry.c.freshness, 1), else_=0)
    joined = newest.outerjoin(entry, entry.c.dataset == newest.c.dataset).outerjoin(
        seen, (seen.c.snapshot == newest.c.id) & (seen.c.dataset == newest.c.dataset)
    )
    said = (sa.func.coalesce(entry.c[name], "").label(name) for name in ("owner", "classification", "text", "licence"))
    columns = sa.cast(newest.c.columns, sa.Text).label("columns")
    kept = (newest.c.dataset, newest.c.rows, newest.c.created, columns, entry.c.updated, late.label("late"))
    return sa.select(*kept, *said).select_from(joined).subquery("known")


def _known_of(root: Any, word: str) -> "sa.ColumnElement[bool]":
    own = (root.c.dataset, root.c.columns)
    return sa.or_(*(column.icontains(word, autoescape=True) for column in own), store.says(root.c.dataset, word))
