"""Immutable snapshots: the same rows give the same Parquet bytes, so their digest names them."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import NotFound
from perenne.data import store
from perenne.data.model import ColumnType, Snapshot
from perenne.data.tombstones import check_not_taken_back
from perenne.storage.database import Transaction
from perenne.storage.links import TAKEN_FOR, Kind, add_link
from perenne.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 131_072
_CREATOR = b"perenne"
_HELD = 256 << 20
"""Bytes of rows above which their file is not made in memory."""


def write_snapshot(objects: ObjectStore, table: "pa.Table") -> str:
    """Keep a table and return its digest; equal rows, however cut into chunks, are kept once."""
    if table.nbytes <= _HELD:
        return objects.put(to_parquet(table))
    with tempfile.TemporaryDirectory(prefix="perenne-snapshot-") as folder:
        path = Path(folder) / "rows.parquet"
        with path.open("w+b") as sink:
            _write(table, sink)
            _name_creator(sink)
        return objects.put_file(path)


def read_snapshot(objects: ObjectStore, digest: str) -> "pa.Table":
    """Read a kept table, checked against its digest. Raises NotFound, or Unavailable if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perenne.data.origins.pins import pin_of, read_pinned

    with told_if_gone(digest):
        data = objects.get(digest)
    pointer = pin_of(data)
    return pq.read_table(pa.BufferReader(data)) if pointer is None else read_pinned(pointer)


def fetch_snapshot(objects: ObjectStore, digest: str, target: Path) -> bool:
    """Write the rows of a snapshot to a file of Parquet, checked; tell whether they lie elsewhere and were only pointed to."""
    from perenne.data.origins.pins import MARK

    with told_if_gone(digest):
        objects.fetch(digest, target)
    with target.open("rb") as stream:
        points = stream.read(len(MARK)) == MARK
    if points:
        target.write_bytes(to_parquet(read_snapshot(objects, digest)))
    return points


@contextmanager
def told_if_gone(digest: str) -> Iterator[None]:
    """Say of rows that are not kept any more why that may be."""
    try:
        yield
    except NotFound:
        raise NotFound(
            f"the rows of snapshot {digest[:12]} are not kept any more",
            code="data.rows_gone",
            hint="`perenne data erasures` tells whether they were erased, and what took their place",
        ) from None


def to_parquet(table: "pa.Table") -> bytes:
    """Write a table as Parquet: the same bytes for the same rows, columns and types.

    Nothing enters that is not content: no time, no metadata of the table, no version of the library.
    """
    sink = io.BytesIO()
    _write(table, sink)
    _name_creator(sink)
    return sink.getvalue()


def _write(table: "pa.Table", sink: IO[bytes]) -> None:
    """Write row groups one after the other, so that of rows that lie on disk only one group is held."""
    import pyarrow.parquet as pq

    from perenne.data.tables import canonical

    plain = canonical(table)
    with pq.ParquetWriter(sink, plain.schema, compression="zstd", store_schema=False, version="2.6") as writer:
        for start in range(0, plain.num_rows, ROW_GROUP) or [0]:
            writer.write_table(plain.slice(start, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)


def _name_creator(file: IO[bytes]) -> None:
    """Put our name for the writing library's into the footer, a Thrift struct with its length in the four bytes before `PAR1`."""
    import pyarrow.parquet as pq

    file.seek(0)
    created_by = pq.read_metadata(file).created_by.encode()
    file.seek(-8, io.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    start = file.seek(-8 - length, io.SEEK_END)
    head, found, tail = file.read(length).rpartition(bytes([len(created_by)]) + created_by)
    assert found, "the footer of a Parquet file names its creator"
    footer = head + bytes([len(_CREATOR)]) + _CREATOR + tail
    file.seek(start)
    file.write(footer + len(footer).to_bytes(4, "little") + b"PAR1")
    file.truncate()


def record_snapshot(
    tx: Transaction,
    actor: Principal,
    *,
    dataset: str,
    digest: str,
    objects: ObjectStore,
    window: tuple[int, int] | None = None,
    source: str = "",
    project: str = "",
) -> Snapshot:
    """Record a kept table as a snapshot of a dataset; the same rows of the same dataset are recorded once.

    Parameters
    ----------
    dataset, digest : str
        What the rows are called, and what `write_snapshot` returned.
    objects : ObjectStore
        Where the table is kept.
    window : tuple of int, optional
        Start and end of the time they were taken for, in microseconds since 1970.
    source : str
        Where they came from.
    project : str
        The project they were taken for.

    Raises
    ------
    Conflict
        If these very rows were erased for a person in them.
    """
    require(actor, Action.LOG)
    check_not_taken_back(tx, digest)
    known = store.find(tx, digest, dataset)
    snapshot = _describe(objects, digest, dataset, source, window) if known is None else known
    if known is None:
        store.insert(tx, snapshot)
        after = {"dataset": dataset, "rows": snapshot.rows, "source": source}
        audit.record(tx, actor, "snapshot.take", "snapshot", digest, after=after)
    if project:
        add_link(tx, (Kind.SNAPSHOT, digest), TAKEN_FOR, (Kind.PROJECT, project))
    return snapshot


def _describe(objects: ObjectStore, digest: str, dataset: str, source: str, window: tuple[int, int] | None) -> Snapshot:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perenne.data.origins.pins import pin_of
    from perenne.data.tables import datatype_of

    data = objects.get(digest)
    start, end = window or (None, None)
    pointer = pin_of(data)
    if pointer is not None:
        return Snapshot(digest, dataset, pointer.rows, len(data), pointer.columns, source, start, end, SystemClock().now())
    with pq.ParquetFile(pa.BufferReader(data)) as file:
        columns = tuple(ColumnType(field.name, datatype_of(field.type)) for field in file.schema_arrow)
        rows = file.metadata.num_rows
    return Snapshot(digest, dataset, rows, len(data), columns, source, start, end, SystemClock().now())


def get_snapshot(tx: Transaction, identity: str) -> Snapshot:
    """Read a snapshot by its id, or by a beginning of it that is no other's. Raises NotFound."""
    found = store.starting_with(tx, identity) if identity else []
    if len({snapshot.id for snapshot in found}) != 1:
        problem = "is not known here" if not found else "is the beginning of several"
        raise NotFound(
            f"snapshot {identity[:100]!r} {problem}", code="data.snapshot_not_found", hint="`perenne data list` shows them"
        )
    return found[0]


def list_snapshots(tx: Transaction, dataset: str | None = None, limit: int = 100) -> list[Snapshot]:
    """List snapshots, newest first, optionally of one dataset."""
    return store.newest(tx, dataset, limit)
