"""Writing folders of Parquet, on this machine or in a bucket: files are named by the snapshot, so that none is written twice."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from perenne.core.errors import Conflict, Invalid, Unavailable
from perenne.data.ingest.lake_tables import How
from perenne.data.snapshots import ROW_GROUP
from perenne.storage.buckets import Bucket, open_bucket, parse_bucket


def write_folder(address: str, rows: pa.Table, digest: str, how: How, partition: Sequence[str] = ()) -> bool:
    """Write rows to a folder of Parquet, in parts by columns if any are named; tell whether that was done, and not before.

    A file is there whole or not at all. To overwrite, the new ones come first and the others go then: in between both are there.

    Raises
    ------
    Conflict
        If something is there that is not to be replaced.
    Invalid
        If a folder to overwrite holds other files than Parquet.
    """
    place = _Bucket(address) if "://" in address else _Local(Path(address))
    there = place.names()
    new = f"part-{digest[:16]}"
    mine = [name for name in there if Path(name).name.startswith(new)]
    if there and how is How.NEW and set(there) != set(mine):
        raise Conflict(f"there are files at {address!r}", code="data.table_exists", hint="--append, or --overwrite")
    others = [name for name in there if name not in mine]
    strange = next((name for name in others if not name.endswith(".parquet")), None)
    if how is How.OVERWRITE and strange is not None:
        raise Invalid(
            f"{address!r} holds {strange!r}, which is no Parquet", code="data.not_parquet", hint="only a table is overwritten"
        )
    with tempfile.TemporaryDirectory(prefix="perenne-write-") as name:
        files = _written(Path(name), rows, new, partition)
        put = [file for file in files if file not in mine]
        for file in put:
            place.put(file, Path(name) / file)
    for file in others if how is How.OVERWRITE else ():
        place.remove(file)
    return bool(put) or (how is How.OVERWRITE and bool(others))


def _written(folder: Path, rows: pa.Table, stem: str, partition: Sequence[str]) -> list[str]:
    import pyarrow.dataset as ds

    missing = next((name for name in partition if name not in rows.column_names), None)
    if missing is not None or len(set(partition)) == len(rows.column_names):
        what = f"there is no column {missing!r}" if missing else "no column would be left"
        raise Invalid(what, code="data.partition", hint=f"the columns are {', '.join(rows.column_names[:20])}")
    parts = ds.partitioning(pa.schema([rows.schema.field(name) for name in partition]), flavor="hive") if partition else None
    options: dict[str, Any] = {"preserve_order": True, **({"partitioning": parts} if parts is not None else {})}
    ds.write_dataset(
        rows, folder, format="parquet", basename_template=stem + "-{i}.parquet", max_rows_per_group=ROW_GROUP,
        min_rows_per_group=0, use_threads=False, max_partitions=10_000, max_open_files=256, **options,
    )  # fmt: skip
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.parquet"))


class _Local:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        if self._root.is_file():
            raise Conflict(f"{str(self._root)!r} is a file", code="data.table_exists", hint="name a folder")
        return sorted(str(file.relative_to(self._root)) for file in self._root.rglob("*") if file.is_file())

    def put(self, name: str, file: Path) -> None:
        target = self._root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.{os.getpid()}")
            beside.write_bytes(file.read_bytes())
            beside.replace(target)
        except OSError as error:
            raise Unavailable(f"{str(target)!r} cannot be written", code="data.lake", hint=str(error)[:200]) from error

    def remove(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class _Bucket:
    """Objects below a prefix."""

    def __init__(self, address: str) -> None:
        bucket = parse_bucket(address)
        self._store: Any = open_bucket(Bucket(bucket.scheme, bucket.name))
        self._prefix = bucket.prefix
        self._url = bucket.url

    def names(self) -> list[str]:
        found = self._asked(lambda: [item["path"] for page in self._store.list(self._prefix or None) for item in page])
        return sorted(str(path).removeprefix(self._prefix).lstrip("/") for path in found)

    def put(self, name: str, file: Path) -> None:
        self._asked(lambda: self._store.put(self._key(name), file))

    def remove(self, name: str) -> None:
        self._asked(lambda: self._store.delete(self._key(name)))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _asked(self, work: Any) -> Any:
        try:
            return work()
        except Exception as error:
            said = str(error).splitlines()[0][:200]
            raise Unavailable(f"{self._url} cannot be written", code="data.lake", hint=said) from error
