"""The rows of a plan, in its order, ready to be learned from."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from perenne import data
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task, take
from perenne.storage.objects import ObjectStore
from perenne.training.model import Plan
from perenne.training.planning import time_seconds

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rows:
    """Labelled rows in the plan's order.

    Attributes
    ----------
    columns : Columns
        The inputs.
    y : array
        Class indices (int64) or values (float64).
    slices : Columns
        The columns by which bounds look at groups, as categories.
    """

    columns: Columns
    y: Column
    slices: Columns

    def part(self, start: int, end: int) -> "Rows":
        """Return the rows from one position to another."""
        rows = slice(start, end)
        return Rows(take(self.columns, rows), self.y[rows], take(self.slices, rows))


def load_rows(objects: ObjectStore, snapshot: str, plan: Plan) -> Rows:
    """Read a snapshot as the plan wants it; the last few are kept in memory, for a round reads the same rows in each step."""
    return _Loader(objects, snapshot, plan).load()


@dataclass(frozen=True, eq=False)
class _Loader:
    objects: ObjectStore
    snapshot: str
    plan: Plan

    def __hash__(self) -> int:
        return hash((self.snapshot, self.plan))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Loader) and (self.snapshot, self.plan) == (other.snapshot, other.plan)

    def load(self) -> Rows:
        return _read(self)


@lru_cache(maxsize=2)
def _read(loader: _Loader) -> Rows:
    return rows_of(data.snapshots.read_snapshot(loader.objects, loader.snapshot), loader.plan)


def rows_of(table: "pa.Table", plan: Plan) -> Rows:
    """Take the labelled rows of a table as the plan wants them, in its order."""
    table = table.filter(table.column(plan.target).is_valid())
    order = order_of(table, plan)
    columns = data.fields.to_columns(table, plan.fields)
    slices = data.fields.to_columns(table, [Field(name, FieldKind.CATEGORY) for name in plan.slices])
    y = _target(table.column(plan.target), plan)
    return Rows(take(columns, order), y[order], take(slices, order))


def order_of(table: "pa.Table", plan: Plan) -> Column:
    """Return the places of the rows in the plan's order: by time, or shuffled by the seed."""
    times = time_seconds(table, plan.time)
    if times is not None:
        return np.argsort(times, kind="stable")
    return np.random.default_rng(plan.seed).permutation(table.num_rows)


def _target(column: "pa.ChunkedArray[Any]", plan: Plan) -> Column:
    import pyarrow as pa

    if plan.task is Task.REGRESSION:
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    encoded: Any = column.combine_chunks().dictionary_encode()
    position = {label: index for index, label in enumerate(plan.classes)}
    codes = np.array([position[label] for label in encoded.dictionary.to_pylist()], np.int64)
    return np.asarray(codes[encoded.indices.to_numpy()])
