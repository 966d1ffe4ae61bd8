"""Taking a snapshot of a source, and finding rows by what a person calls them: a file or a snapshot."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perenne.auth.principals import Principal
from perenne.core.hashing import key_of
from perenne.data.model import Snapshot
from perenne.data.snapshots import (
    FileState,
    get_snapshot,
    known_snapshot,
    read_snapshot,
    record_snapshot,
    remember_file,
    write_snapshot,
)
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa


def take_snapshot(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    source: Any,
    *,
    dataset: str,
    project: str = "",
    kinds: Mapping[str, str] | None = None,
) -> Snapshot:
    """Read a source and keep its rows; a file that has not changed since it was read last is not read again.

    Parameters
    ----------
    source : path or table
        As for `read_source`.
    dataset, project : str
        What the rows are called, and the project they are for.
    kinds : mapping, optional
        As for `read_source`.

    Raises
    ------
    NotFound, Invalid
        If the source cannot be read; nothing is recorded.
    """
    from perenne.data.sources import read_source

    path = Path(source) if isinstance(source, str | Path) else None
    file = FileState(path) if path is not None and path.is_file() else None
    selection = key_of(dict(kinds)) if kinds else ""
    with database.read() as tx:
        digest = known_snapshot(tx, file, selection) if file else None
    if digest is None or not objects.exists(digest):
        digest = write_snapshot(objects, read_source(source, kinds=kinds))
    kept = digest

    def keep(tx: Transaction) -> Snapshot:
        if file is not None:
            remember_file(tx, file, kept, selection)
        name = str(path) if path is not None else type(source).__name__
        return record_snapshot(tx, actor, dataset=dataset, digest=kept, objects=objects, source=name, project=project)

    return database.write(keep)


def find_rows(database: Database, objects: ObjectStore, name: str) -> "tuple[pa.Table, str]":
    """Return the rows of a file, or of a snapshot by the beginning of its id, and the snapshot's id or an empty text.

    Raises
    ------
    NotFound
        If there is neither.
    """
    from perenne.data.sources import read_source

    if Path(name).exists() or not all(letter in "0123456789abcdef" for letter in name):
        return read_source(name), ""
    with database.read() as tx:
        identity = get_snapshot(tx, name).id
    return read_snapshot(objects, identity), identity
