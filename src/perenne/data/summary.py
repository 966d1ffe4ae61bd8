"""Datasets and snapshots asked for many at once: how many there are, and those of some name."""

from collections.abc import Collection, Iterable

import msgspec

from perenne.data import store
from perenne.data.model import Snapshot
from perenne.storage.database import Transaction


class DataCounts(msgspec.Struct, frozen=True):
    """How many datasets have a snapshot, how many snapshots there are, and how many of them are new."""

    datasets: int
    snapshots: int
    new: int


def counts(tx: Transaction, since: int, projects: Collection[str] = ()) -> DataCounts:
    """Count what there is, and the snapshots taken since an instant: of everything, or taken for the projects named."""
    return DataCounts(*store.count(tx, since, projects))


def datasets(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[str]:
    """Find datasets by a piece of their name."""
    return store.find_datasets(tx, text, limit, projects)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[Snapshot]:
    """Find snapshots by the beginning of their id."""
    return store.find_snapshots(tx, text, limit, projects)


def newest(tx: Transaction, dataset: str | None = None, *, limit: int) -> list[Snapshot]:
    """Read snapshots, newest first, optionally of one dataset."""
    return store.newest(tx, dataset, limit)


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, Snapshot]:
    """Read snapshots by their ids; what does not exist is left out."""
    return store.named(tx, ids)
