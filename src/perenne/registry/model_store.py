"""The tables of registered models, and of the tags of models and versions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.registry.model import RegisteredModel
from perenne.registry.store import LIVE, alias, decision, evidence, version
from perenne.storage.names import chosen
from perenne.storage.schema import metadata, only_where, read_struct
from perenne.storage.transaction import Transaction

registered_model = sa.Table(
    "registered_model",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("prompt", sa.Boolean, nullable=False),
    sa.Index(None, "updated", "name"),
    sa.Index(None, "project", "name"),
    sa.Index("ix_registered_model_prompt", "name", **only_where("prompt")),
)

model_tag = sa.Table(
    "model_tag",
    metadata,
    sa.Column("model", sa.Text, sa.ForeignKey("registered_model.name"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index(None, "key", "model"),
    sqlite_with_rowid=False,
)

version_tag = sa.Table(
    "version_tag",
    metadata,
    sa.Column("version", sa.Text, sa.ForeignKey("version.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index(None, "key", "version"),
    sqlite_with_rowid=False,
)

_columns = [registered_model.c[name] for name in RegisteredModel.__struct_fields__]


def insert(tx: Transaction, row: RegisteredModel) -> None:
    """Add a model."""
    tx.execute(registered_model.insert(), {name: getattr(row, name) for name in RegisteredModel.__struct_fields__})


def find(tx: Transaction, name: str) -> RegisteredModel | None:
    """Read a model by its name."""
    row = tx.execute(sa.select(*_columns).where(registered_model.c.name == name)).one_or_none()
    return None if row is None else read_struct(RegisteredModel, row)


def some(tx: Transaction, names: Iterable[str]) -> dict[str, RegisteredModel]:
    """Read models by their names; one that does not exist is left out."""
    query = sa.select(*_columns).where(registered_model.c.name.in_(chosen(names)))
    return {row.name: read_struct(RegisteredModel, row) for row in tx.execute(query)}


def change(tx: Transaction, name: str, **values: Any) -> None:
    """Change columns of a model."""
    tx.execute(registered_model.update().where(registered_model.c.name == name).values(**values))


NO_PROMPT = ~registered_model.c.prompt
"""What is true of a model whose versions are no texts of prompts."""

ORDERS: dict[str, tuple["sa.ColumnElement[Any]", ...]] = {
    "name": (registered_model.c.name,),
    "-name": (registered_model.c.name.desc(),),
    "updated": (registered_model.c.updated, registered_model.c.name),
    "-updated": (registered_model.c.updated.desc(), registered_model.c.name),
    "created": (registered_model.c.created, registered_model.c.name),
    "-created": (registered_model.c.created.desc(), registered_model.c.name),
    "project": (registered_model.c.project, registered_model.c.name),
    "-project": (registered_model.c.project.desc(), registered_model.c.name),
}
"""By what a list of models may be ordered."""


def window(
    tx: Transaction,
    *,
    text: str,
    order: str,
    offset: int,
    limit: int,
    projects: Collection[str],
    where: "Sequence[sa.ColumnElement[bool]]" = (),
) -> tuple[list[RegisteredModel], int]:
    """Read some models and count those that fit: by a piece of the name, of some projects, with whatever else is true."""
    table = registered_model
    conditions = [*where, table.c.project.in_(chosen(projects))] if projects else [*where]
    if text:
        conditions.append(table.c.name.icontains(text, autoescape=True))
    total = int(tx.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0)
    query = sa.select(*_columns).where(*conditions).order_by(*ORDERS[order]).offset(offset).limit(limit)
    return [read_struct(RegisteredModel, row) for row in tx.execute(query)], total


def names(tx: Transaction, projects: Collection[str]) -> list[str]:
    """Return the names of all models, of some projects if any are named."""
    query = sa.select(registered_model.c.name).order_by(registered_model.c.name)
    return list(tx.execute(query.where(registered_model.c.project.in_(chosen(projects))) if projects else query).scalars())


def set_tag(tx: Transaction, table: sa.Table, owner: str, key: str, value: str) -> str | None:
    """Give a model or a version a tag; return what it was before."""
    before: str | None = tx.scalar(sa.select(table.c.value).where(*_of(table, owner), table.c.key == key))
    if before is None:
        tx.execute(table.insert(), {_owner(table): owner, "key": key, "value": value})
    elif before != value:
        tx.execute(table.update().where(*_of(table, owner), table.c.key == key).values(value=value))
    return before


def drop_tag(tx: Transaction, table: sa.Table, owner: str, key: str) -> bool:
    """Take a tag away; tell whether there was one."""
    return bool(tx.execute(table.delete().where(*_of(table, owner), table.c.key == key)).rowcount)


def tags_of(tx: Transaction, table: sa.Table, owners: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read the tags of models or versions, by key."""
    found: dict[str, dict[str, str]] = {owner: {} for owner in owners}
    column = table.c[_owner(table)]
    query = sa.select(column.label("owner"), table.c.key, table.c.value).where(column.in_(chosen(found)))
    for row in tx.execute(query.order_by(table.c.key)):
        found[row.owner][row.key] = row.value
    return found


def insert_tags(tx: Transaction, table: sa.Table, owner: str, tags: Mapping[str, str]) -> None:
    """Give a new model or version its tags."""
    rows = [{_owner(table): owner, "key": key, "value": value} for key, value in tags.items()]
    if rows:
        tx.execute(table.insert(), rows)


def _owner(table: sa.Table) -> str:
    return "model" if table is model_tag else "version"


def _of(table: sa.Table, owner: str) -> "tuple[sa.ColumnElement[bool], ...]":
    return (table.c[_owner(table)] == owner,)


class Renamed(NamedTuple):
    """A version and the id it has now."""

    before: str
    after: str


def rename(tx: Transaction, before: str, after: str) -> list[Renamed]:
    """Give a model another name, its versions and all that belongs to them along; return the ids that changed."""
    columns = [column for column in version.c if column.name not in ("id", "model")]
    numbers = tx.execute(sa.select(version.c.id, version.c.number).where(version.c.model == before)).all()
    moved = [Renamed(row.id, f"{after}@{row.number}") for row in numbers]
    names = [column for column in registered_model.c if column.name != "name"]
    source = sa.select(sa.literal(after), *names).where(registered_model.c.name == before)
    tx.execute(registered_model.insert().from_select(["name", *(column.name for column in names)], source))
    tx.execute(model_tag.update().where(model_tag.c.model == before).values(model=after))
    fresh = sa.literal(f"{after}@") + sa.cast(version.c.number, sa.Text)
    rows = sa.select(fresh, sa.literal(after), *columns).where(version.c.model == before)
    tx.execute(version.insert().from_select(["id", "model", *(column.name for column in columns)], rows))
    tx.execute(alias.update().where(alias.c.model == before).values(model=after))
    for table in (alias, evidence, decision, version_tag):
        for old, new in moved:
            tx.execute(table.update().where(table.c.version == old).values(version=new))
    tx.execute(version.delete().where(version.c.model == before))
    tx.execute(registered_model.delete().where(registered_model.c.name == before))
    return moved


def delete(tx: Transaction, name: str, ids: Iterable[str]) -> None:
    """Remove a model with its versions and all that belongs to them."""
    gone = list(ids)
    tx.execute(alias.delete().where(alias.c.model == name))
    for table in (evidence, decision, version_tag):
        tx.execute(table.delete().where(table.c.version.in_(chosen(gone))))
    tx.execute(version.delete().where(version.c.model == name))
    tx.execute(model_tag.delete().where(model_tag.c.model == name))
    tx.execute(registered_model.delete().where(registered_model.c.name == name))


def count_versions(tx: Transaction, models: Iterable[str]) -> dict[str, int]:
    """Count the versions of each of some models; one that has none is left out."""
    query = sa.select(version.c.model, sa.func.count().label("versions")).where(version.c.model.in_(chosen(models)), LIVE)
    return {row.model: row.versions for row in tx.execute(query.group_by(version.c.model))}
