"""Likely label errors, and what a model is uncertain of: by a model that never saw the row it judges.

What is found orders a queue. Nothing of it becomes a label: a person looks and says.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict, Invalid
from perenne.labels import label_store, sets
from perenne.labels.estimating import Estimate, out_of_fold
from perenne.labels.label_store import Item
from perenne.labels.model import LabelSet, Source, TaskKind
from perenne.labels.rows import ids_of
from perenne.labels.values import checked, resolve
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 200_000
_SINGLE = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS})


class Suspicion(msgspec.Struct, frozen=True):
    """What came of looking for wrong labels.

    Attributes
    ----------
    labelled, judged : int
        Items with a label of people, and those of a class that is frequent enough to be judged.
    suspects : int
        Labels that are likely wrong; they are in the queue `suspect` now.
    accuracy : float
        How often the model says what the label says, on rows that it did not see.
    ranked : int
        Items without a label, ordered for the queue `uncertain` by how uncertain the model is of them.
    left_out : tuple of str
        Classes with fewer than two labels.
    """

    label_set: str
    labelled: int
    judged: int
    suspects: int
    accuracy: float
    ranked: int
    left_out: tuple[str, ...]


class _Rows(NamedTuple):
    """The rows of a label set, which of them have a label, and which."""

    found: LabelSet
    items: list[Item]
    labels: list[int]


def find(database: Database, objects: ObjectStore, actor: Principal, name: str, *, folds: int = 5, seed: int = 0) -> Suspicion:
    """Look for labels that are likely wrong, and for items that a model is uncertain of.

    Raises
    ------
    Invalid
        If the label set asks for no single class.
    Conflict
        If there are too few labels: two classes with two each.
    """
    if not 2 <= folds <= 20:
        raise Invalid(f"folds: {folds} parts", code="label.folds", hint="from 2 to 20")
    with database.read() as tx:
        rows = _labelled(tx, actor, name)
    table = _table(objects, rows)
    definition = rows.found.definition
    estimate = out_of_fold(table, rows.labels, len(definition.names), text=definition.text, folds=folds, seed=seed)
    return database.write(lambda tx: _keep(tx, actor, rows, estimate))


def _labelled(tx: Transaction, actor: Principal, name: str) -> _Rows:
    found = sets.get(tx, actor, name)
    require(actor, Action.LOG, found.project)
    if found.definition.kind not in _SINGLE:
        raise Invalid(
            f"kind: a {found.definition.kind.value} has no single class", code="label.kind", hint="binary or multiclass"
        )
    items, said = label_store.items(tx, name), label_store.current(tx, name)
    if len(items) > MOST_ROWS:
        raise Conflict(f"there are {len(items):,} items", code="label.too_many", hint=f"at most {MOST_ROWS:,} are judged")
    counted = [resolve(found.definition, said.get(item.item, ()), (Source.PERSON, Source.IMPORT)) for item in items]
    return _Rows(found, items, [-1 if each is None else found.definition.names.index(each.value) for each in counted])


def _table(objects: ObjectStore, rows: _Rows) -> "pa.Table":
    import pyarrow as pa

    if not rows.items:
        raise Conflict(f"{rows.found.name} has no rows yet", code="label.no_rows", hint="`perenne label rows` chooses a snapshot")
    table = data.snapshots.read_snapshot(objects, rows.found.snapshot)
    keys = set(rows.found.definition.keys)
    plain = table if keys == set(table.column_names) else table.drop_columns([key for key in keys if key in table.column_names])
    return plain.take(pa.array([item.row for item in rows.items], pa.int64()))


def _keep(tx: Transaction, actor: Principal, rows: _Rows, estimate: Estimate) -> Suspicion:
    from perenne.stats.mislabelled import find_suspects

    definition, name = rows.found.definition, rows.found.name
    judged = estimate.judged
    found = find_suspects([rows.labels[row] for row in judged], estimate.probabilities)
    suspects = [
        (rows.items[judged[place]].item, 1 - float(found.quality[place]), checked(definition, definition.names[better]))
        for place, better in zip(found.rows.tolist(), found.classes.tolist(), strict=True)
    ]
    label_store.set_suspicion(tx, name, suspects)
    label_store.set_uncertainty(tx, name, [(rows.items[row].item, doubt) for row, doubt in estimate.uncertain])
    done = Suspicion(
        label_set=name,
        labelled=sum(label >= 0 for label in rows.labels),
        judged=len(judged),
        suspects=len(suspects),
        accuracy=estimate.accuracy,
        ranked=len(estimate.uncertain),
        left_out=tuple(definition.names[place] for place in estimate.left_out),
    )
    audit.record(tx, actor, "label_set.suspect", "label set", name, after={"suspects": len(suspects), "judged": len(judged)})
    return done


def rank(tx: Transaction, actor: Principal, name: str, table: "pa.Table") -> int:
    """Order the queue `uncertain` by the probabilities that a model gives each class; return how many items that is.

    Parameters
    ----------
    table : pyarrow.Table
        The key columns or `item`, and a column for each class.

    Raises
    ------
    Invalid
        If a class has no column, or a row does not hold probabilities; the message names the row.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.LOG, found.project)
    names = found.definition.names
    missing = [each for each in names if each not in table.column_names]
    if not names or missing:
        raise Invalid(f"columns: {', '.join(missing)[:200]} missing", code="label.column", hint="one for each class")
    ids = [*map(str, table.column("item").to_pylist())] if "item" in table.column_names else ids_of(table, found.definition.keys)
    known = label_store.items_named(tx, name, set(ids))
    doubts = {}
    for number, (item, row) in enumerate(zip(ids, table.select(list(names)).to_pylist(), strict=True), 1):
        if item in known:
            doubts[item] = _doubt(list(row.values()), number)
    label_store.set_uncertainty(tx, name, doubts.items())
    audit.record(tx, actor, "label_set.rank", "label set", name, after={"items": len(doubts)})
    return len(doubts)


def _doubt(row: list[Any], number: int) -> float:
    right = all(isinstance(each, int | float) and 0 <= each <= 1 for each in row)
    if not right or not 0.98 <= sum(row) <= 1.02:
        raise Invalid(f"row {number}: these are no probabilities", code="label.probabilities", hint="from 0 to 1, together 1")
    return float(1 - max(row))
