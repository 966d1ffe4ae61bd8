"""The table of projects: what each one said last, and the digest of the file that said it."""

from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from perenne.projects.gates import Gate
from perenne.projects.model import Guardrail, Milestone, Objective, Person
from perenne.projects.retraining import RetrainPolicy
from perenne.projects.watching import Monitoring
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen


class ProjectRecord(msgspec.Struct, frozen=True):
    """A project as the database knows it; `folder` is where its `project.py` was last run, `bundle` what lay there."""

    name: str
    problem: str
    owner: str
    scope: str
    objectives: tuple[Objective, ...]
    guardrails: tuple[Guardrail, ...]
    plan: tuple[Milestone, ...]
    policy: RetrainPolicy | None
    window: int
    folder: str
    source: str
    bundle: str | None
    created: int
    updated: int
    people: tuple[Person, ...] = ()
    gates: tuple[Gate, ...] = ()
    monitoring: Monitoring = Monitoring()


table = sa.Table(
    "project",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("objectives", JsonColumn(tuple[Objective, ...]), nullable=False),
    sa.Column("guardrails", JsonColumn(tuple[Guardrail, ...]), nullable=False),
    sa.Column("plan", JsonColumn(tuple[Milestone, ...]), nullable=False),
    sa.Column("policy", JsonColumn(RetrainPolicy | None)),
    sa.Column("window", sa.BigInteger, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("bundle", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("people", JsonColumn(tuple[Person, ...]), nullable=False, server_default="[]"),
    sa.Column("gates", JsonColumn(tuple[Gate, ...]), nullable=False, server_default="[]"),
    sa.Column("monitoring", JsonColumn(Monitoring), nullable=False, server_default="{}"),
)
_columns = [table.c[name] for name in ProjectRecord.__struct_fields__]


def find(tx: Transaction, name: str) -> ProjectRecord | None:
    """Read a project, if it is known."""
    row = tx.execute(sa.select(*_columns).where(table.c.name == name)).one_or_none()
    return None if row is None else read_struct(ProjectRecord, row)


def every(tx: Transaction) -> list[ProjectRecord]:
    """Read all projects by name."""
    return [read_struct(ProjectRecord, row) for row in tx.execute(sa.select(*_columns).order_by(table.c.name))]


def some(tx: Transaction, names: Iterable[str]) -> list[ProjectRecord]:
    """Read the named projects by name."""
    query = sa.select(*_columns).where(table.c.name.in_(chosen(names))).order_by(table.c.name)
    return [read_struct(ProjectRecord, row) for row in tx.execute(query)]


def names(tx: Transaction, after: str, limit: int | None, with_policy: bool) -> dict[str, int]:
    """Read the names that follow one, in order, and when each project last changed what it says."""
    query = sa.select(table.c.name, table.c.updated).where(table.c.name > after).order_by(table.c.name).limit(limit)
    if with_policy:
        query = query.where(table.c.policy.is_not(None))
    return {row.name: row.updated for row in tx.execute(query)}


def find_named(tx: Transaction, text: str, limit: int, among: Collection[str]) -> list[str]:
    """Return the names that begin with a text or hold it, among some if given."""
    return find_names(tx, table.c.name, text, limit, [table.c.name.in_(chosen(among))] if among else [])


def save(tx: Transaction, record: ProjectRecord) -> None:
    """Insert a project, or replace what it said before."""
    values = {name: getattr(record, name) for name in ProjectRecord.__struct_fields__}
    if tx.execute(table.update().where(table.c.name == record.name).values(**values)).rowcount == 0:
        tx.execute(table.insert(), values)
