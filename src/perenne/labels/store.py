"""The tables of label sets, their items, labels, turns, rules and versions; and the SQL of label sets.

A label is a row that is added and never changed. What may be worked out again from labels (how many opinions an item has, where
it stands) lies in the row of the item beside it, and is written in the same transaction.
"""

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from perenne.labels.model import Definition, LabelSet
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen

label_set = sa.Table(
    "label_set",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("definition", JsonColumn(Definition), nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Index(None, "project", "name"),
)

item = sa.Table(
    "label_item",
    metadata,
    sa.Column("label_set", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("row", sa.BigInteger, nullable=False),
    sa.Column("present", sa.Boolean, nullable=False),
    sa.Column("place", sa.Double, nullable=False),
    sa.Column("uncertainty", sa.Double, nullable=False),
    sa.Column("disagreement", sa.Double, nullable=False),
    sa.Column("suspicion", sa.Double, nullable=False),
    sa.Column("suggested", sa.Text),
    sa.Column("opinions", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("gold", sa.Boolean, nullable=False),
    sa.Index(None, "label_set", "state", "place"),
    sa.Index(None, "label_set", "state", "uncertainty"),
    sa.Index(None, "label_set", "suspicion"),
)

label = sa.Table(
    "label",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("label_set", sa.Text, nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("value", sa.Text),
    sa.Column("labeller", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("confidence", sa.Double),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("known", sa.BigInteger, nullable=False),
    sa.Column("request", sa.Text),
    sa.Column("original", sa.Text),
    sa.Index(None, "label_set", "item", "id"),
    sa.Index(None, "label_set", "labeller", "id"),
    sa.UniqueConstraint("label_set", "labeller", "request"),
)

turn = sa.Table(
    "label_turn",
    metadata,
    sa.Column("label_set", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("labeller", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Index(None, "label_set", "labeller", "state", "time"),
)

rule = sa.Table(
    "label_rule",
    metadata,
    sa.Column("label_set", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("report", sa.Text),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)

version = sa.Table(
    "label_version",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("label_set", sa.Text, primary_key=True),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("known", sa.BigInteger, nullable=False),
    sa.Column("labels", sa.BigInteger, nullable=False),
    sa.Column("classes", JsonColumn(dict[str, int]), nullable=False),
    sa.Column("sources", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("definition", JsonColumn(Definition), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Index(None, "label_set", "created"),
)

_sets = [label_set.c[name] for name in LabelSet.__struct_fields__]


def insert_set(tx: Transaction, made: LabelSet) -> None:
    """Add a label set."""
    tx.execute(label_set.insert(), {name: getattr(made, name) for name in LabelSet.__struct_fields__})


def replace_set(tx: Transaction, made: LabelSet) -> None:
    """Put a label set in place of the one of its name."""
    values = {name: getattr(made, name) for name in LabelSet.__struct_fields__ if name != "name"}
    tx.execute(label_set.update().where(label_set.c.name == made.name).values(**values))


def find_set(tx: Transaction, name: str) -> LabelSet | None:
    """Read a label set."""
    row = tx.execute(sa.select(*_sets).where(label_set.c.name == name)).one_or_none()
    return None if row is None else read_struct(LabelSet, row)


def named_sets(tx: Transaction, names: Iterable[str]) -> list[LabelSet]:
    """Read label sets by name."""
    rows = tx.execute(sa.select(*_sets).where(label_set.c.name.in_(chosen(names))))
    return [read_struct(LabelSet, row) for row in rows]


def sets_called(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[LabelSet]:
    """Read label sets whose name begins with a text or holds it."""
    limited = [label_set.c.project.in_(chosen(projects))] if projects else []
    names = find_names(tx, label_set.c.name, text, limit, limited)
    found = {each.name: each for each in named_sets(tx, names)}
    return [found[name] for name in names if name in found]


def all_sets(tx: Transaction, projects: Collection[str], *, after: str, limit: int) -> list[LabelSet]:
    """Read label sets by name, of some projects or of all."""
    query = sa.select(*_sets).where(label_set.c.name > after).order_by(label_set.c.name).limit(limit)
    if projects:
        query = query.where(label_set.c.project.in_(chosen(projects)))
    return [read_struct(LabelSet, row) for row in tx.execute(query)]
