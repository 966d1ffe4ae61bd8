"""The tables of the registry: versions, aliases, evidence, decisions.

`version.waiting` is kept beside a version so that those that wait for a person are found without reading the evidence of all:
since when the gate may have waited, or NULL. Whoever reads it asks the gate.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from perenne.registry.model import OWN_POLICY, STAGES, Decision, Evidence, GatePolicy, Version, VersionForm, VersionState
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.finding import find_names
from perenne.storage.names import chosen, table_of
from perenne.storage.schema import only_where

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
    sa.Column("waiting", sa.BigInteger),
    sa.Column("form", JsonColumn(VersionForm), nullable=False, server_default=f'"{VersionForm.PACKAGE.value}"'),
    sa.Column("source", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("storage", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("root", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("run_link", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("stage", sa.Text, nullable=False, server_default=STAGES[0]),
    sa.Column("updated", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("author", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("logged_model", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("deleted", sa.BigInteger),
    sa.UniqueConstraint("model", "number"),
    sa.Index("ix_version_tree", "model", "tree"),
    sa.Index("ix_version_stage", "model", "stage", "number"),
    sa.Index("ix_version_updated", "updated", "model", "number"),
    sa.Index("ix_version_run", "run"),
    sa.Index("ix_version_newest", "created", "number", "id"),
    sa.Index("ix_version_waiting", "waiting", "id", **only_where("waiting IS NOT NULL")),
)

alias = sa.Table(
    "alias",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, sa.ForeignKey("version.id"), nullable=False),
    sa.Column("moved", sa.BigInteger, nullable=False),
    sa.Index(None, "version"),
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
    sa.Column("policies", JsonColumn(tuple[str, ...]), nullable=False, server_default=f'["{OWN_POLICY}"]'),
    sa.Column("roles", JsonColumn(tuple[str, ...]), nullable=False, server_default="[]"),
    sa.Column("review", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Index(None, "version"),
)

LIVE = version.c.deleted.is_(None)
"""What is true of a version that was not deleted."""

_version_columns = [version.c[name] for name in Version.__struct_fields__]
_decision_columns = [decision.c[name] for name in Decision.__struct_fields__]


def insert_version(tx: Transaction, row: Version, *, waiting: int | None) -> None:
    """Add a version; `waiting` says since when it waits for a person, if it does."""
    tx.execute(version.insert(), {"waiting": waiting, **{name: getattr(row, name) for name in Version.__struct_fields__}})


def find_version(tx: Transaction, identity: str) -> Version | None:
    """Read a version by its id; one that was deleted is none."""
    row = tx.execute(sa.select(*_version_columns).where(version.c.id == identity, LIVE)).one_or_none()
    return None if row is None else read_struct(Version, row)


def find_tree(tx: Transaction, model: str, tree: str) -> Version | None:
    """Read the first version of a model that is a package of these very files."""
    where = (version.c.model == model, version.c.tree == tree, version.c.form == VersionForm.PACKAGE, LIVE)
    row = tx.execute(sa.select(*_version_columns).where(*where).order_by(version.c.number).limit(1)).one_or_none()
    return None if row is None else read_struct(Version, row)


def next_number(tx: Transaction, model: str) -> int:
    """Return the number after the greatest one that was ever in use."""
    return 1 + int(tx.scalar(sa.select(sa.func.max(version.c.number)).where(version.c.model == model)) or 0)


def has_number(tx: Transaction, model: str, number: int) -> bool:
    """Tell whether a number was ever given to a version of a model."""
    return tx.scalar(sa.select(sa.literal(1)).where(version.c.model == model, version.c.number == number)) is not None


def list_versions(tx: Transaction, model: str | None, limit: int, before: Version | None = None) -> list[Version]:
    """Read versions, newest first, after the one before if given; those of one model by number."""
    created, number = version.c.created, version.c.number
    query = sa.select(*_version_columns).where(LIVE).limit(limit)
    if model is not None:
        query = query.where(version.c.model == model).order_by(number.desc())
        query = query if before is None else query.where(number < before.number)
    else:
        query = query.order_by(created.desc(), number.desc(), version.c.id.desc())
        place = sa.tuple_(created, number, version.c.id)
        query = query if before is None else query.where(place < sa.tuple_(*(before.created, before.number, before.id)))
        query = query if before is None else query.where(created <= before.created)
    return [read_struct(Version, row) for row in tx.execute(query)]


def newest_versions(tx: Transaction, models: Iterable[str]) -> list[Version]:
    """Read the version with the greatest number of each model."""
    names = table_of(models)
    rows = version.alias()
    last = sa.select(rows.c.id).where(rows.c.model == names.c.value, rows.c.deleted.is_(None))
    newest = sa.select(last.order_by(rows.c.number.desc()).limit(1).scalar_subquery()).select_from(names)
    return [read_struct(Version, row) for row in tx.execute(sa.select(*_version_columns).where(version.c.id.in_(newest)))]


def some_versions(tx: Transaction, ids: Iterable[str]) -> list[Version]:
    """Read versions by their ids; those that were deleted are left out."""
    query = sa.select(*_version_columns).where(version.c.id.in_(chosen(ids)), LIVE)
    return [read_struct(Version, row) for row in tx.execute(query)]


def count_versions(tx: Transaction, projects: Collection[str]) -> dict[VersionState, int]:
    """Count the versions by where they stand, of all projects or of those named."""
    query = sa.select(version.c.state, sa.func.count().label("number")).where(*_of(projects)).group_by(version.c.state)
    return {row.state: row.number for row in tx.execute(query)}


def find_ids(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the ids that begin with a text or hold it."""
    return find_names(tx, version.c.id, text, limit, _of(projects))


def find_models(tx: Transaction, text: str, limit: int, projects: Collection[str]) -> list[str]:
    """Return the names of models that begin with a text or hold it."""
    return find_names(tx, version.c.model, text, limit, _of(projects))


def _of(projects: Collection[str]) -> "list[sa.ColumnElement[bool]]":
    return [LIVE, version.c.project.in_(chosen(projects))] if projects else [LIVE]


def waiting_versions(tx: Transaction, project: str | None) -> list[Version]:
    """Read the versions whose gate may wait for a person, newest first."""
    query = sa.select(*_version_columns).where(version.c.waiting.is_not(None), LIVE)
    query = query.order_by(version.c.waiting.desc(), version.c.id.desc())
    if project is not None:
        query = query.where(version.c.project == project)
    return [read_struct(Version, row) for row in tx.execute(query)]


def set_state(tx: Transaction, identity: str, state: VersionState) -> None:
    """Change where a version stands: it was decided, and waits no more."""
    tx.execute(version.update().where(version.c.id == identity).values(state=state, waiting=None))


def set_waiting(tx: Transaction, identity: str, waiting: int | None) -> None:
    """Keep since when a version waits for a person; None if it does not."""
    tx.execute(version.update().where(version.c.id == identity).values(waiting=waiting))


def insert_evidence(tx: Transaction, subject: Version, items: list[Evidence], produced_by: str, time: int) -> None:
    """Add facts about a version."""
    if items:
        rows = [
            {"version": subject.id, "tree": subject.tree, "body": item, "produced_by": produced_by, "time": time}
            for item in items
        ]
        tx.execute(evidence.insert(), rows)


def list_evidence(tx: Transaction, subjects: Sequence[Version]) -> dict[str, list[Evidence]]:
    """Read the facts about the trees of versions, oldest first, by version."""
    trees = {subject.id: subject.tree for subject in subjects}
    found: dict[str, list[Evidence]] = {identity: [] for identity in trees}
    columns = (evidence.c.version, evidence.c.tree, evidence.c.body)
    for row in tx.execute(sa.select(*columns).where(evidence.c.version.in_(chosen(trees))).order_by(evidence.c.id)):
        if row.tree == trees[row.version]:
            found[row.version].append(row.body)
    return found


class Deposit(NamedTuple):
    """A fact, who found it (a run, an episode or a person), and when."""

    fact: Evidence
    produced_by: str
    time: int


def list_deposits(tx: Transaction, subject: Version) -> list[Deposit]:
    """Read the facts about the tree of a version with who found them, oldest first."""
    columns = (evidence.c.body, evidence.c.produced_by, evidence.c.time)
    where = (evidence.c.version == subject.id, evidence.c.tree == subject.tree)
    return [
        Deposit(row.body, row.produced_by, row.time)
        for row in tx.execute(sa.select(*columns).where(*where).order_by(evidence.c.id))
    ]


def insert_decision(tx: Transaction, row: Decision) -> None:
    """Add a decision."""
    tx.execute(decision.insert(), {name: getattr(row, name) for name in Decision.__struct_fields__})


def list_decisions(tx: Transaction, versions: Sequence[str]) -> dict[str, list[Decision]]:
    """Read the decisions on versions, oldest first, by version."""
    found: dict[str, list[Decision]] = {identity: [] for identity in versions}
    query = sa.select(*_decision_columns).where(decision.c.version.in_(chosen(versions))).order_by(decision.c.id)
    for row in tx.execute(query):
        found[row.version].append(read_struct(Decision, row))
    return found


def move_alias(tx: Transaction, model: str, name: str, identity: str, time: int) -> None:
    """Point an alias to a version."""
    where = (alias.c.model == model, alias.c.name == name)
    if tx.execute(alias.update().where(*where).values(version=identity, moved=time)).rowcount == 0:
        tx.execute(alias.insert(), {"model": model, "name": name, "version": identity, "moved": time})


def find_alias(tx: Transaction, model: str, name: str) -> str | None:
    """Return the id of the version an alias points to."""
    found: str | None = tx.scalar(sa.select(alias.c.version).where(alias.c.model == model, alias.c.name == name))
    return found


def list_aliases(tx: Transaction, versions: Sequence[str]) -> dict[str, list[str]]:
    """Return the names that point to versions, by version."""
    found: dict[str, list[str]] = {identity: [] for identity in versions}
    query = sa.select(alias.c.version, alias.c.name).where(alias.c.version.in_(chosen(versions))).order_by(alias.c.name)
    for row in tx.execute(query):
        found[row.version].append(row.name)
    return found


def drop_alias(tx: Transaction, model: str, name: str) -> None:
    """Take an alias away."""
    tx.execute(alias.delete().where(alias.c.model == model, alias.c.name == name))


def aliases_of_models(tx: Transaction, models: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the aliases of each of some models: by name the id of the version."""
    found: dict[str, dict[str, str]] = {name: {} for name in models}
    query = sa.select(alias.c.model, alias.c.name, alias.c.version).where(alias.c.model.in_(chosen(found)))
    for row in tx.execute(query.order_by(alias.c.name)):
        found[row.model][row.name] = row.version
    return found


def change_version(tx: Transaction, identity: str, **values: Any) -> None:
    """Change columns of a version."""
    tx.execute(version.update().where(version.c.id == identity).values(**values))


def find_number(tx: Transaction, model: str, number: int) -> Version | None:
    """Read a version by its model and number."""
    row = tx.execute(sa.select(*_version_columns).where(version.c.model == model, version.c.number == number, LIVE)).one_or_none()
    return None if row is None else read_struct(Version, row)


def in_stage(tx: Transaction, model: str, stage: str) -> list[Version]:
    """Read the versions of a model in a stage, newest first."""
    where = (version.c.model == model, version.c.stage == stage, LIVE)
    query = sa.select(*_version_columns).where(*where).order_by(version.c.number.desc())
    return [read_struct(Version, row) for row in tx.execute(query)]


def latest_by_stage(tx: Transaction, models: Iterable[str]) -> dict[str, list[Version]]:
    """Read the newest version of each stage of each of some models, by stage."""
    found: dict[str, list[Version]] = {name: [] for name in models}
    rows = version.alias()
    later = sa.select(sa.literal(1)).where(
        rows.c.model == version.c.model,
        rows.c.stage == version.c.stage,
        rows.c.number > version.c.number,
        rows.c.deleted.is_(None),
    )
    query = sa.select(*_version_columns).where(version.c.model.in_(chosen(found)), LIVE, ~later.exists())
    for row in tx.execute(query.order_by(version.c.model, version.c.number)):
        found[row.model].append(read_struct(Version, row))
    return found


def all_ids(tx: Transaction, model: str) -> list[str]:
    """Name every version of a model, the deleted ones too."""
    return [row.id for row in tx.execute(sa.select(version.c.id).where(version.c.model == model).order_by(version.c.number))]


def has_package(tx: Transaction, model: str) -> bool:
    """Tell whether a round ever made a version of a model."""
    where = (version.c.model == model, version.c.form == VersionForm.PACKAGE)
    return tx.scalar(sa.select(sa.literal(1)).where(*where).limit(1)) is not None


def has_project(tx: Transaction, model: str, project: str) -> bool:
    """Tell whether a version of a model was ever made for a project."""
    where = (version.c.model == model, version.c.project == project)
    return tx.scalar(sa.select(sa.literal(1)).where(*where).limit(1)) is not None


def newest_package(tx: Transaction, model: str) -> Version | None:
    """Read the newest version of a model that a round made."""
    where = (version.c.model == model, version.c.form == VersionForm.PACKAGE, LIVE)
    row = tx.execute(sa.select(*_version_columns).where(*where).order_by(version.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else read_struct(Version, row)


def model_names(tx: Transaction) -> list[str]:
    """Name the models that have versions."""
    return [row.model for row in tx.execute(sa.select(version.c.model).where(LIVE).distinct().order_by(version.c.model))]


def find_condemned(tx: Transaction, model: str, tree: str) -> str | None:
    """Name a version of a model with these files that was rejected or barred, deleted ones included."""
    where = (version.c.model == model, version.c.tree == tree, version.c.state.in_([VersionState.REJECTED, VersionState.BARRED]))
    found: str | None = tx.scalar(sa.select(version.c.id).where(*where).limit(1))
    return found
