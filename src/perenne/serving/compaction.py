"""Compaction: the many small parts of an hour that is over become one file, while the log is being read.

::

    hour-<id>.parquet     the rows of the parts it names in its metadata, in that order

Readers list a folder and leave out what a compacted file in it names (`log.hour_files`), so they see the parts or the file, never
both. The parts are removed a while after the file has got its name, so that no listing that began before misses both; a reader
from whom one is removed lists again. Whoever compacts holds the folder's lock, and may be killed at any point.
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from perenne.core import json
from perenne.core.clock import HOUR, MINUTE, SystemClock
from perenne.core.ids import new_id
from perenne.serving.checkpoints import write_durably
from perenne.storage.files import ABANDONED_S, sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from perenne.serving.log import LogPart

log = logging.getLogger("perenne.observer")

CLOSED_AFTER = 5 * MINUTE
GRACE_SECONDS = 60.0
PASS_SECONDS = 60.0
_ROWS = 65_536


class Compactor:
    """Compacts the hours that are over, in a thread of its own.

    Parameters
    ----------
    logs : Path
        The folder of logs.
    also : callable, optional
        Called after each pass, with the time (microseconds since 1970).
    """

    def __init__(self, logs: Path, also: Callable[[int], object] = lambda now: None) -> None:
        self._logs = logs
        self._also = also
        self._settled: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="perenne-compactor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the file that is being read; what was not finished is left as it was."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.wait(PASS_SECONDS):
            now = SystemClock().now()
            self.work(now)
            self._also(now)

    def work(self, now: int) -> None:
        """Go through the hours that are over by `now` (microseconds since 1970), newest first."""
        from perenne.serving.log import hour_of

        for folder in sorted((self._logs / "inference").glob("model=*/version=*/date=*/hour=*"), reverse=True):
            if self._stop.is_set():
                return
            try:
                if hour_of(folder) + HOUR + CLOSED_AFTER <= now:
                    self._compact(folder)
            except Exception as error:  # what is wrong with one folder must not keep the others waiting
                log.error("%s cannot be compacted: %s: %s", folder.name, type(error).__name__, error)
                self._settled[folder] = folder.stat().st_mtime_ns if folder.is_dir() else 0

    def _compact(self, folder: Path) -> None:
        before = folder.stat().st_mtime_ns
        if self._settled.get(folder) == before:
            return
        if compact(folder, self._stop):
            self._settled[folder] = folder.stat().st_mtime_ns


def compact(folder: Path, stop: threading.Event | None = None) -> bool:
    """Make one file of an hour's parts, or remove parts that were made one before; tell whether nothing is left to do.

    Parameters
    ----------
    stop : Event, optional
        Set to give up between two parts.
    """
    from perenne.serving import log as reading

    with locked(folder) as mine:
        if not mine:
            return False
        _sweep(folder)
        left = _remove_covered(folder)
        files = reading.hour_files(folder)
        if len(files) < 2:
            return not left
        name = f"hour-{new_id()}.parquet"
        try:
            write_durably(folder / f".{name}", partial(_join, files, stop))
        except _Stopped:
            return False
        os.replace(folder / f".{name}", folder / name)
        sync_folder(folder)
        return False


class _Stopped(Exception):
    """The compactor is to end."""


def _join(files: Sequence[Path], stop: threading.Event | None, stream: BinaryIO) -> None:
    """Write the rows of files into one, and in its metadata which parts they were."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from perenne.serving import log as reading

    parts = [(part.name, _rows_of(part)) for path in files for part in reading.parts_of(path)]
    replaced = [path.name for path in files if path.name.startswith("hour-")]
    schema = pa.unify_schemas([pq.read_schema(path).remove_metadata() for path in files], promote_options="permissive")
    metadata = {reading.PARTS: json.encode(parts), reading.REPLACED: json.encode(replaced)}
    with pq.ParquetWriter(stream, schema.with_metadata(metadata), compression="zstd") as writer:
        for table in _gathered(_tables(files, schema, stop)):
            writer.write_table(table.replace_schema_metadata(metadata), _ROWS)


def _rows_of(part: "LogPart") -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(part.path).num_rows if part.rows is None else part.rows


def _tables(files: Sequence[Path], schema: "pa.Schema", stop: threading.Event | None) -> "Iterator[pa.Table]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    empty = schema.empty_table()
    for path in files:
        if stop is not None and stop.is_set():
            raise _Stopped
        for batch in pq.ParquetFile(path).iter_batches(_ROWS):
            table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
            yield pa.concat_tables([empty, table], promote_options="permissive")


def _gathered(tables: "Iterator[pa.Table]") -> "Iterator[pa.Table]":
    """Put small tables together until they are worth a row group."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _remove_covered(folder: Path) -> bool:
    """Remove files whose rows another one has held for a while; tell whether some are left for later."""
    from perenne.serving import log as reading

    left = False
    for path in sorted(folder.glob("hour-*.parquet")):
        covered = [folder / name for name in reading.covered_by(path) if (folder / name).exists()]
        if covered and path.stat().st_mtime > time.time() - GRACE_SECONDS:
            left = True
            continue
        for part in covered:
            part.unlink(missing_ok=True)
    return left


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind more than a day ago."""
    for path in folder.glob(".*.parquet"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - ABANDONED_S:
                path.unlink()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock; it goes with the process that holds it. False if another one does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
