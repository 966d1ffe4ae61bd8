"""The tables of the registry: versions, aliases, evidence, decisions."""

import sqlalchemy as sa

from perenne.registry.model import Decision, Evidence, GatePolicy, Version, VersionState
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct

version = sa.Table(
    "version",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(VersionState), nullable=False),
    sa.Column("policy", JsonColumn(GatePolicy), nullable=False),
    sa.Column("fallback", JsonColumn(str | int | float | bool | None)),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "number"),
    sa.UniqueConstraint("model", "tree"),
)

alias = sa.Table(
    "alias",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, sa.ForeignKey("version.id"), nullable=False),
    sa.Column("moved", sa.BigInteger, nullable=False),
)

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("version", sa.Text, sa.ForeignKey("version.id"), nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("body", JsonColumn(Evidence), nullable=False),
    sa.Column("produced_by", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Index(None, "version"),
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("version", sa.Text, sa.ForeignKey("version.id"), nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("approved", sa.Boolean, nullable=False),
    sa.Column("approver", sa.Text, nullable=False),
    sa.Column("solo", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Index(None, "version"),
)

_version_columns = [version.c[name] for name in Version.__struct_fields__]
_decision_columns = [decision.c[name] for name in Decision.__struct_fields__]


def insert_version(tx: Transaction, row: Version) -> None:
    """Add a version."""
    tx.execute(version.insert(), {name: getattr(row, name) for name in Version.__struct_fields__})


def find_version(tx: Transaction, identity: str) -> Version | None:
    """Read a version by its id."""
    row = tx.execute(sa.select(*_version_columns).where(version.c.id == identity)).one_or_none()
    return None if row is None else read_struct(Version, row)


def find_tree(tx: Transaction, model: str, tree: str) -> Version | None:
    """Read the version of a model that has these very files."""
    row = tx.execute(sa.select(*_version_columns).where(version.c.model == model, version.c.tree == tree)).one_or_none()
    return None if row is None else read_struct(Version, row)


def next_number(tx: Transaction, model: str) -> int:
    """Return the number after the greatest one in use."""
    return 1 + int(tx.scalar(sa.select(sa.func.max(version.c.number)).where(version.c.model == model)) or 0)


def list_versions(tx: Transaction, model: str | None, limit: int) -> list[Version]:
    """Read versions, newest first."""
    query = sa.select(*_version_columns).order_by(version.c.created.desc(), version.c.number.desc()).limit(limit)
    if model is not None:
        query = query.where(version.c.model == model)
    return [read_struct(Version, row) for row in tx.execute(query)]


def set_state(tx: Transaction, identity: str, state: VersionState) -> None:
    """Change where a version stands."""
    tx.execute(version.update().where(version.c.id == identity).values(state=state))


def insert_evidence(tx: Transaction, subject: Version, items: list[Evidence], produced_by: str, time: int) -> None:
    """Add facts about a version."""
    if items:
        rows = [
            {"version": subject.id, "tree": subject.tree, "body": item, "produced_by": produced_by, "time": time}
            for item in items
        ]
        tx.execute(evidence.insert(), rows)


def list_evidence(tx: Transaction, subject: Version) -> list[Evidence]:
    """Read the facts about a version's tree, oldest first."""
    query = (
        sa.select(evidence.c.body)
        .where(evidence.c.version == subject.id, evidence.c.tree == subject.tree)
        .order_by(evidence.c.id)
    )
    return [row.body for row in tx.execute(query)]


def insert_decision(tx: Transaction, row: Decision) -> None:
    """Add a decision."""
    tx.execute(decision.insert(), {name: getattr(row, name) for name in Decision.__struct_fields__})


def list_decisions(tx: Transaction, identity: str) -> list[Decision]:
    """Read the decisions on a version, oldest first."""
    query = sa.select(*_decision_columns).where(decision.c.version == identity).order_by(decision.c.id)
    return [read_struct(Decision, row) for row in tx.execute(query)]


def move_alias(tx: Transaction, model: str, name: str, identity: str, time: int) -> None:
    """Point an alias to a version."""
    where = (alias.c.model == model, alias.c.name == name)
    if tx.execute(alias.update().where(*where).values(version=identity, moved=time)).rowcount == 0:
        tx.execute(alias.insert(), {"model": model, "name": name, "version": identity, "moved": time})


def find_alias(tx: Transaction, model: str, name: str) -> str | None:
    """Return the id of the version an alias points to."""
    found: str | None = tx.scalar(sa.select(alias.c.version).where(alias.c.model == model, alias.c.name == name))
    return found


def aliases_of(tx: Transaction, identity: str) -> tuple[str, ...]:
    """Return the names that point to a version."""
    return tuple(
        row.name for row in tx.execute(sa.select(alias.c.name).where(alias.c.version == identity).order_by(alias.c.name))
    )
