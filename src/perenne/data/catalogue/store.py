"""The tables of the catalogue."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from perenne.data.catalogue.model import Entry
from perenne.storage.names import chosen
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

entry = sa.Table(
    "catalogue_entry",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("classification", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("licence", sa.Text, nullable=False),
    sa.Column("columns", JsonColumn(dict[str, str]), nullable=False),
    sa.Column("freshness", sa.BigInteger),
    sa.Column("updated", sa.BigInteger),
    sa.Column("updated_by", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
)

tag = sa.Table(
    "catalogue_tag",
    metadata,
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index(None, "key", "value"),
)

_entry = [entry.c[name] for name in Entry.__struct_fields__]


def entries(tx: Transaction, datasets: Iterable[str]) -> dict[str, Entry]:
    """Read the entries of some data sets; those of which nobody has said anything are left out."""
    query = sa.select(*_entry).where(entry.c.dataset.in_(chosen(datasets)))
    return {row.dataset: read_struct(Entry, row) for row in tx.execute(query)}


def tags(tx: Transaction, datasets: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read the tags of some data sets."""
    found: dict[str, dict[str, str]] = {}
    query = sa.select(tag.c.dataset, tag.c.key, tag.c.value).where(tag.c.dataset.in_(chosen(datasets))).order_by(tag.c.key)
    for row in tx.execute(query):
        found.setdefault(row.dataset, {})[row.key] = row.value
    return found


def save(tx: Transaction, known: Entry, new: Entry) -> bool:
    """Write an entry over the one that is known; False if it was changed meanwhile."""
    values = {name: getattr(new, name) for name in Entry.__struct_fields__}
    if known.revision:
        where = (entry.c.dataset == known.dataset, entry.c.revision == known.revision)
        return tx.execute(entry.update().where(*where).values(**values)).rowcount == 1
    if entries(tx, [known.dataset]):
        return False
    tx.execute(entry.insert(), values)
    return True


def set_tags(tx: Transaction, dataset: str, changed: dict[str, str]) -> None:
    """Set tags; an empty text removes one."""
    if changed:
        tx.execute(tag.delete().where(tag.c.dataset == dataset, tag.c.key.in_(list(changed))))
    rows = [{"dataset": dataset, "key": key, "value": value} for key, value in changed.items() if value]
    if rows:
        tx.execute(tag.insert(), rows)


def says(dataset: Any, word: str) -> "sa.ColumnElement[bool]":
    """Return the condition that a word is in what people say of a data set: owner, class, text, licence, columns, tags."""
    texts = (entry.c.owner, entry.c.classification, entry.c.text, entry.c.licence, sa.cast(entry.c.columns, sa.Text))
    said = sa.or_(*(column.icontains(word, autoescape=True) for column in texts))
    tagged = sa.or_(tag.c.key.icontains(word, autoescape=True), tag.c.value.icontains(word, autoescape=True))
    return sa.or_(
        dataset.in_(sa.select(entry.c.dataset).where(said)),
        dataset.in_(sa.select(tag.c.dataset).where(tagged)),
    )
