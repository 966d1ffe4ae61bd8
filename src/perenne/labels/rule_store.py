"""The SQL of rules and of versions."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.labels.model import Definition
from perenne.labels.store import rule, version
from perenne.storage.database import Transaction, read_struct


class RuleReport(msgspec.Struct, frozen=True):
    """What a rule said when the rules were run last.

    Attributes
    ----------
    items, covered : int
        Items there were, and those of which it said something.
    overlaps, conflicts : int
        Those of which another rule said something too, and something else.
    checked, right : int
        Those whose label is known from people, and where it said the same.
    estimated : float or None
        How often it is right where it says something, as Dawid and Skene's estimate has it.
    """

    items: int
    covered: int
    overlaps: int
    conflicts: int
    checked: int
    right: int
    estimated: float | None


class Rule(msgspec.Struct, frozen=True):
    """A weak label: a class for the rows that a condition is true of, or what a function returns.

    Attributes
    ----------
    kind : str
        ``sql`` or ``python``.
    value : str
        The class; empty for a function, which returns it.
    text : str
        The condition, or the source of the function.
    """

    name: str
    kind: str
    value: str
    text: str
    report: RuleReport | None
    changed: int
    changed_by: str


class LabelVersion(msgspec.Struct, frozen=True):
    """What counted at an instant: a table that is named by its digest.

    Attributes
    ----------
    id : str
        The digest of the table: the same labels are the same version.
    snapshot : str
        The version of the data that was labelled.
    known : int
        Only what was known by this instant counts.
    labels : int
        Items that have a label.
    classes : dict
        How many of each class.
    sources : tuple of str
        Which kinds of sayer count.
    """

    id: str
    label_set: str
    snapshot: str
    known: int
    labels: int
    classes: dict[str, int]
    sources: tuple[str, ...]
    definition: Definition
    created: int
    created_by: str


_versions = [version.c[name] for name in LabelVersion.__struct_fields__]


def rules(tx: Transaction, name: str) -> list[Rule]:
    """Read the rules of a label set, by name."""
    query = sa.select(rule).where(rule.c.label_set == name).order_by(rule.c.name)
    return [_rule(row) for row in tx.execute(query)]


def _rule(row: Any) -> Rule:
    report = None if row.report is None else msgspec.json.decode(row.report, type=RuleReport)
    return Rule(row.name, row.kind, row.value or "", row.text, report, row.changed, row.changed_by)


def keep_rule(tx: Transaction, name: str, kept: Rule) -> None:
    """Keep a rule in place of the one of its name."""
    drop_rule(tx, name, kept.name)
    values = {field: getattr(kept, field) for field in ("name", "kind", "value", "text", "changed", "changed_by")}
    report = None if kept.report is None else msgspec.json.encode(kept.report).decode()
    tx.execute(rule.insert(), values | {"label_set": name, "report": report})


def drop_rule(tx: Transaction, name: str, which: str) -> bool:
    """Remove a rule; tell whether there was one."""
    return tx.execute(rule.delete().where(rule.c.label_set == name, rule.c.name == which)).rowcount > 0


def report(tx: Transaction, name: str, reports: Iterable[tuple[str, RuleReport]]) -> None:
    """Keep what rules said."""
    for which, found in reports:
        where = (rule.c.label_set == name, rule.c.name == which)
        tx.execute(rule.update().where(*where).values(report=msgspec.json.encode(found).decode()))


def insert_version(tx: Transaction, made: LabelVersion) -> None:
    """Add a version."""
    tx.execute(version.insert(), {name: getattr(made, name) for name in LabelVersion.__struct_fields__})


def versions(tx: Transaction, name: str, *, limit: int) -> list[LabelVersion]:
    """Read the versions of a label set, newest first."""
    query = sa.select(*_versions).where(version.c.label_set == name).order_by(version.c.created.desc(), version.c.id)
    return [read_struct(LabelVersion, row) for row in tx.execute(query.limit(limit))]


def versions_like(tx: Transaction, name: str, beginning: str) -> list[LabelVersion]:
    """Read the versions of a label set whose id begins with a text."""
    where = (version.c.label_set == name, version.c.id.startswith(beginning, autoescape=True))
    return [read_struct(LabelVersion, row) for row in tx.execute(sa.select(*_versions).where(*where).limit(10))]


def versions_named(tx: Transaction, ids: Collection[str]) -> list[LabelVersion]:
    """Read versions by their ids."""
    return [read_struct(LabelVersion, row) for row in tx.execute(sa.select(*_versions).where(version.c.id.in_(list(ids))))]
