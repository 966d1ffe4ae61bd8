"""Versions of a label set, and training sets: what counted at an instant is a table that its digest names.

A training set is (data version, label version, seed): the rows of a snapshot that have a label, with it, in an order that the
seed gives. It is the same bytes for the same three.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.labels import label_store, rule_store, sets
from perenne.labels.choosing import seen_snapshot
from perenne.labels.model import Definition, TaskKind
from perenne.labels.rows import ids_of
from perenne.labels.rule_store import LabelVersion
from perenne.labels.values import ALL_SOURCES, Resolved, resolve
from perenne.storage.database import Database
from perenne.storage.links import Kind, add_link
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 200


def freeze(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    name: str,
    *,
    known: int | None = None,
    sources: Sequence[str] = ALL_SOURCES,
) -> LabelVersion:
    """Keep what counts as a version; the same labels are the same version, which is kept once.

    Parameters
    ----------
    known : int, optional
        Only what was known by this instant counts; now if not given.
    sources : sequence of str
        Which kinds of sayer count.

    Raises
    ------
    Conflict
        If nothing counts.
    """
    for source in sources:
        if source not in ALL_SOURCES:
            raise Invalid(f"sources: {str(source)[:40]!r} is none", code="label.source", hint=", ".join(ALL_SOURCES))
    now = SystemClock().now()
    known = now if known is None else known
    with database.read() as tx:
        found = sets.get(tx, actor, name)
        require(actor, Action.LOG, found.project)
        said = label_store.current(tx, name, known=known)
    counted = [each for item in sorted(said) if (each := resolve(found.definition, said[item], sources)) is not None]
    if not counted:
        raise Conflict(f"nothing is known of {name} yet", code="label.nothing", hint="label something first, or let rules say")
    digest = data.snapshots.write_snapshot(objects, _table(found.definition, counted))
    made = LabelVersion(
        id=digest, label_set=name, snapshot=found.snapshot, known=known, labels=len(counted),
        classes=_classes(found.definition, counted), sources=tuple(sources), definition=found.definition,
        created=now, created_by=actor.name,
    )  # fmt: skip
    return database.write(lambda tx: _keep(tx, actor, made))


def _keep(tx: Transaction, actor: Principal, made: LabelVersion) -> LabelVersion:
    known = [each for each in rule_store.versions_like(tx, made.label_set, made.id) if each.id == made.id]
    if known:
        return known[0]
    rule_store.insert_version(tx, made)
    add_link(tx, (Kind.LABEL_VERSION, made.id), "version_of", (Kind.LABEL_SET, made.label_set))
    if made.snapshot:
        add_link(tx, (Kind.LABEL_VERSION, made.id), "labels", (Kind.SNAPSHOT, made.snapshot))
    after = {"version": made.id, "labels": made.labels, "known": made.known}
    audit.record(tx, actor, "label_set.version", "label set", made.label_set, after=after)
    return made


def _table(definition: Definition, counted: list[Resolved]) -> "pa.Table":
    import pyarrow as pa

    return pa.table(
        {
            "item": [each.item for each in counted],
            "value": _values(definition, [each.value for each in counted]),
            "source": [each.source for each in counted],
            "confidence": pa.array([each.confidence for each in counted], pa.float64()),
            "labellers": pa.array([each.labellers for each in counted], pa.int64()),
            "known": pa.array([each.known for each in counted], pa.timestamp("us")),
        }
    )


def _values(definition: Definition, values: list[Any]) -> Any:
    """Return values as a column: numbers as such, classes and texts as text, everything else as JSON."""
    import pyarrow as pa

    if definition.kind is TaskKind.NUMBER:
        return pa.array(values, pa.float64())
    return pa.array([each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in values], pa.string())


def _classes(definition: Definition, counted: list[Resolved]) -> dict[str, int]:
    if definition.kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.MULTILABEL):
        return {}
    found: Counter[str] = Counter()
    for each in counted:
        found.update(each.value if definition.kind is TaskKind.MULTILABEL else [each.value])
    return {name: found[name] for name in definition.names}


def listed(tx: Transaction, actor: Principal, name: str, *, limit: int = ROWS) -> list[LabelVersion]:
    """List the versions of a label set, newest first."""
    sets.get(tx, actor, name)
    return rule_store.versions(tx, name, limit=max(1, min(limit, ROWS)))


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, LabelVersion]:
    """Read versions by their ids, whoever asks; of one that several label sets have, one."""
    return {item.id: item for item in rule_store.versions_named(tx, list(ids))}


def get(tx: Transaction, actor: Principal, name: str, identity: str = "") -> LabelVersion:
    """Read a version by its id or the beginning of it; the newest if none is named. Raises NotFound."""
    sets.get(tx, actor, name)
    found = rule_store.versions_like(tx, name, identity) if identity else rule_store.versions(tx, name, limit=1)
    if len(found) != 1:
        problem = "is the beginning of several" if found else "is none" if identity else "there is none yet"
        raise NotFound(
            f"version {identity[:70]!r} of {name}: {problem}",
            code="label.version_not_found",
            hint="`perenne label version` makes one",
        )
    return found[0]


class TrainingSet(msgspec.Struct, frozen=True):
    """Rows with their labels.

    Attributes
    ----------
    digest : str
        Names the rows with their labels in their order.
    rows, unlabelled : int
        Rows that have a label, and those of the snapshot that have none and are left out.
    """

    label_set: str
    version: str
    snapshot: str
    seed: int
    digest: str
    rows: int
    unlabelled: int
    column: str


def training_set(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    name: str,
    *,
    version: str = "",
    snapshot: str = "",
    seed: int = 0,
    column: str = "label",
) -> "tuple[TrainingSet, pa.Table]":
    """Put the labels of a version beside the rows of a snapshot.

    Parameters
    ----------
    version, snapshot : str
        Their ids, or beginnings of them; the newest version and the snapshot it labels if not given.
    seed : int
        Names an order of the rows; 0 for that of the snapshot.
    column : str
        What the label is called.

    Raises
    ------
    NotFound, Invalid
        If there is no such version or snapshot, a key column is missing, or the rows have such a column already.
    """
    with database.read() as tx:
        require(actor, Action.LOG, sets.get(tx, actor, name).project)
        chosen = get(tx, actor, name, version)
        taken = seen_snapshot(tx, actor, snapshot or chosen.snapshot)
    rows, unlabelled = joined(objects, chosen, data.snapshots.read_snapshot(objects, taken.id), column)
    rows = _shuffled(rows, seed)
    digest = data.snapshots.write_snapshot(objects, rows)
    database.write(lambda tx: _link(tx, actor, digest, chosen, taken.id, seed))
    return TrainingSet(name, chosen.id, taken.id, seed, digest, rows.num_rows, unlabelled, column), rows


def joined(objects: ObjectStore, version: LabelVersion, table: "pa.Table", column: str) -> "tuple[pa.Table, int]":
    """Put the labels of a version beside rows; return the rows that have one, and how many have none."""
    import pyarrow as pa

    if column in table.column_names:
        raise Invalid(
            f"column: there is a column {column[:100]!r} already", code="label.column", hint="give the label another name"
        )
    kept = data.snapshots.read_snapshot(objects, version.id)
    places = {item: place for place, item in enumerate(kept.column("item").to_pylist())}
    found = [places.get(item, -1) for item in ids_of(table, version.definition.keys)]
    rows = [row for row, place in enumerate(found) if place >= 0]
    values = kept.column("value").take(pa.array([found[row] for row in rows], pa.int64()))
    return table.take(pa.array(rows, pa.int64())).append_column(column, values), len(found) - len(rows)


def _shuffled(table: "pa.Table", seed: int) -> "pa.Table":
    if not seed:
        return table
    import numpy as np

    return table.take(np.random.default_rng(seed).permutation(table.num_rows))


def _link(tx: Transaction, actor: Principal, digest: str, version: LabelVersion, snapshot: str, seed: int) -> None:
    add_link(tx, (Kind.SNAPSHOT, digest), "labelled_by", (Kind.LABEL_VERSION, version.id))
    add_link(tx, (Kind.SNAPSHOT, digest), "made_of", (Kind.SNAPSHOT, snapshot))
    after = {"version": version.id, "snapshot": snapshot, "seed": seed, "rows": digest}
    audit.record(tx, actor, "label_set.training_set", "label set", version.label_set, after=after)
