"""What happens when the disk refuses to write. `refused_writes.py CASE FOLDER` exits with 0 if everything held.

`full` limits how long a file of this process may get, as a full disk would; `forbidden` gives up the right to write the folder.
"""

import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Unavailable
from perenne.storage.cached_objects import Cache, CachedObjects
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import FileObjects

NOBODY = 65_534
text = sa.Table("text", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))


def limit_files(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def insert(number: int, size: int = 10_000) -> Callable[[Transaction], int]:
    def work(tx: Transaction) -> int:
        tx.execute(text.insert(), {"id": number, "text": "x" * size})
        audit.record(tx, Principal("somebody"), "text.write", "text", str(number))
        return number

    return work


def kept(database: Database) -> list[int]:
    with database.read() as tx:
        rows = [row.id for row in tx.execute(sa.select(text.c.id).order_by(text.c.id))]
        verdict = audit.verify(tx)
        assert (verdict.bad_seq, verdict.records) == (None, len(rows)), verdict
        return rows


def refused(call: Callable[[], object], code: str) -> None:
    with pytest.raises(Unavailable) as error:
        call()
    assert error.value.code == code, error.value.code


def full_database(folder: Path) -> None:
    url = f"sqlite:///{folder}/full.db"
    with Database.open(url) as database:
        database.write(lambda tx: text.create(tx.connection))
        database.write(insert(0))
        written = [0]
        limit_files(4_000_000)
        refused(lambda: written.extend(database.write(insert(number)) for number in range(1, 1_000)), "database.unavailable")
        assert len(written) > 1
        assert kept(database) == written
        limit_files(1_000)
        group_that_cannot_be_committed(database)
        assert kept(database) == written
        refused(lambda: database.write(insert(2_000, 2_000_000)), "database.unavailable")
        limit_files(resource.RLIM_INFINITY)
        assert database.write(insert(3_000)) == 3_000
    with Database.open(url) as database:
        assert kept(database) == [*written, 3_000]


def group_that_cannot_be_committed(database: Database) -> None:
    """Every caller of a group hears that it was not kept, though each change went well by itself."""
    started, go_on = threading.Event(), threading.Event()

    def hold_up(tx: Transaction) -> None:
        started.set()
        go_on.wait(60)

    first = database.submit(hold_up)
    started.wait(60)
    futures = [database.submit(insert(number, 10)) for number in range(1_001, 1_201)]
    go_on.set()
    first.result()
    for future in futures:
        error = future.exception()
        assert isinstance(error, Unavailable) and error.code == "database.unavailable", error


def full_objects(folder: Path) -> None:
    objects = FileObjects(folder / "objects")
    before = objects.put(b"before")
    source = folder / "large"
    source.write_bytes(b"x" * 200_000)
    limit_files(100_000)
    refused(lambda: objects.put(b"x" * 200_000), "objects.unavailable")
    refused(lambda: objects.put_file(source), "objects.unavailable")
    assert list(objects.digests()) == [before]
    assert list((folder / "objects" / "incoming").iterdir()) == []
    limit_files(resource.RLIM_INFINITY)
    large = objects.put_file(source)
    assert large == objects.put(b"x" * 200_000)
    limit_files(100_000)
    refused(lambda: objects.fetch(large, folder / "fetched" / "target"), "objects.unavailable")
    assert list((folder / "fetched").iterdir()) == []
    assert objects.get(large) == b"x" * 200_000
    cached = CachedObjects(objects, Cache(folder / "cache", 1 << 30))
    assert [cached.get(large), cached.get(before)] == [b"x" * 200_000, b"before"]
    assert list(FileObjects(folder / "cache").digests()) == [before]
    assert list((folder / "cache" / "incoming").iterdir()) == []
    limit_files(resource.RLIM_INFINITY)


def full(folder: Path) -> None:
    full_database(folder)
    full_objects(folder)


def forbidden(folder: Path) -> None:
    url = f"sqlite:///{folder}/home/perenne.db"
    objects = FileObjects(folder / "home" / "objects")
    with Database.open(url) as database:
        database.write(lambda tx: text.create(tx.connection))
        database.write(insert(1))
    digest = objects.put(b"kept")
    for path in [*(folder / "home").rglob("*"), folder / "home"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.getuid() == 0:
        os.setuid(NOBODY)
    refused(lambda: Database.open(url).write(insert(2)), "database.unavailable")
    refused(lambda: Database.open(f"sqlite:///{folder}/home/new/perenne.db"), "database.unavailable")
    refused(lambda: objects.put(b"new"), "objects.unavailable")
    refused(lambda: objects.delete(digest), "objects.unavailable")
    refused(lambda: objects.fetch(digest, folder / "home" / "target"), "objects.unavailable")
    assert objects.get(digest) == b"kept"


if __name__ == "__main__":
    {"full": full, "forbidden": forbidden}[sys.argv[1]](Path(sys.argv[2]))
