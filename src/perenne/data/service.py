"""Taking a snapshot of a source, and finding rows by what a person calls them: a file or a snapshot."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from perenne.auth.principals import Principal
from perenne.core.hashing import key_of
from perenne.data import store
from perenne.data.files import state_of, unchanged
from perenne.data.model import Snapshot, SourceFile
from perenne.data.origins.places import without_secrets
from perenne.data.snapshots import get_snapshot, read_snapshot, record_snapshot, write_snapshot
from perenne.data.tombstones import check_not_erased
from perenne.projects import Sql
from perenne.storage.database import Database, Transaction
from perenne.storage.links import READ_FROM, Kind, add_link
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
    time: str | None = None,
    window: tuple[int, int] | None = None,
    project: str = "",
    kinds: Mapping[str, str] | None = None,
) -> Snapshot:
    """Read a source and keep its rows; a file that has not changed since it was read last is not read again.

    Parameters
    ----------
    source : path, table or Sql
        As for `read_now`.
    dataset, project : str
        What the rows are called, and the project they are for.
    time, window : str, tuple of int, optional
        Keep only the rows whose time is in `[start, end)`, in microseconds since 1970.
    kinds : mapping, optional
        As for `read_source`.

    Raises
    ------
    NotFound, Invalid
        If the source cannot be read, or has no row in the window; nothing is recorded.
    """
    window = window if time is not None else None
    path = Path(source) if isinstance(source, str | Path) else None
    file = state_of(path, key_of(time if window else None, dict(kinds or {}))) if path is not None and path.is_file() else None
    taken = _known(database, objects, file, window) if file is not None else None
    if taken is None:
        digest, cuts = _read(objects, source, kinds, time, window)
        taken = msgspec.structs.replace(file, digest=digest, **cuts) if file is not None else None
    else:
        digest = taken.digest

    version = _version_of(path) if path is not None and path.is_file() else None

    def keep(tx: Transaction) -> Snapshot:
        if taken is not None:
            store.save_file(tx, taken)
        if version is not None:
            add_link(tx, (Kind.SNAPSHOT, digest), READ_FROM, (Kind.DATA_VERSION, version))
        name = _named(source)
        return record_snapshot(
            tx, actor, dataset=dataset, digest=digest, objects=objects, window=window, source=name, project=project
        )

    return database.write(keep)


def _version_of(path: Path) -> str | None:
    """Return the version that a file is, where a repository of data tracks it."""
    from perenne.data.versions.naming import version_of

    return version_of(path)


def _named(source: Any) -> str:
    """Return where rows are from, as it may be shown."""
    if isinstance(source, Sql):
        return without_secrets(source.uri)
    return without_secrets(str(source)) if isinstance(source, str | Path) else type(source).__name__


def _known(database: Database, objects: ObjectStore, file: SourceFile, window: tuple[int, int] | None) -> SourceFile | None:
    """Return what is remembered of an unchanged file, if the same rows of it are asked for and still kept."""
    with database.read() as tx:
        found = store.find_file(tx, file.path, file.selection)
    if found is None or not unchanged(found, file) or not found.serves(window) or not objects.exists(found.digest):
        return None
    return found


def _read(
    objects: ObjectStore, source: Any, kinds: Mapping[str, str] | None, time: str | None, window: tuple[int, int] | None
) -> tuple[str, dict[str, int | None]]:
    """Read and keep the rows; return their digest and where the window parts them from the others."""
    from perenne.data.ingest.fetching import read_now

    table = read_now(source, kinds)
    if time is None or window is None:
        return write_snapshot(objects, table), {}
    from perenne.data.windows import rows_within

    rows, cuts = rows_within(table, time, window)
    return write_snapshot(objects, rows), cuts._asdict()


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
        check_not_erased(tx, identity)
    return read_snapshot(objects, identity), identity
