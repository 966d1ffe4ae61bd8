"""A backup is whole or refused, is taken while others write, and can be restored to any database."""

import contextlib
import random
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.test_migrations import fill

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError, Unavailable
from perenne.storage import jobs, migrations
from perenne.storage.backup import back_up, restore, tables_of, verify_backup
from perenne.storage.blobs import open_blobs
from perenne.storage.database import Database, Transaction
from perenne.storage.file_objects import FileObjects
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

Rows = dict[str, list[Any]]


@pytest.fixture
def filled(database: Database, objects: ObjectStore) -> Rows:
    """A database with rows in every table, and some objects."""
    fill(database)
    for number in range(5):
        objects.put(random.Random(number).randbytes(number * 10_000))
    return rows_of(database)


def rows_of(database: Database) -> Rows:
    with database.read() as tx:
        return {str(table.name): [tuple(row) for row in tx.execute(sa.select(table)).all()] for table in tables_of(tx)}


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database that was not opened yet."""
    kind = request.param
    url = f"sqlite:///{tmp_path}/elsewhere/p.db" if kind == "sqlite" else request.getfixturevalue("postgres").database()
    database = Database(url)
    yield database
    database.close()


def test_artifacts_come_back_under_their_ids(workspace: Workspace, elsewhere: Database, tmp_path: Path) -> None:
    kept = {}
    for data in (b"", b"some bytes", bytes(range(256)) * 4_000):
        with workspace.blobs.receive() as incoming:
            incoming.write([data])
            workspace.blobs.keep(incoming)
            kept[incoming.id] = data
    made = back_up(workspace.database, workspace.objects, tmp_path / "b.zip")
    assert (made.blobs, made.size) == (3, sum(map(len, kept.values())))
    others = FileObjects(tmp_path / "others")
    assert restore(elsewhere, others, tmp_path / "b.zip") == made
    blobs = open_blobs(others.url)
    assert {identity: b"".join(blobs.read(identity, 0, 1 << 62)) for identity in blobs.ids()} == kept


def test_an_artifact_that_is_damaged_in_a_backup_is_named(workspace: Workspace, tmp_path: Path) -> None:
    with workspace.blobs.receive() as incoming:
        incoming.write([b"some bytes that are found again"])
        workspace.blobs.keep(incoming)
    back_up(workspace.database, workspace.objects, tmp_path / "b.zip")
    data = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data.replace(b"some bytes that", b"some other that"))
    with pytest.raises(Invalid, match=f"artifact {incoming.id}"):
        verify_backup(tmp_path / "b.zip")


def test_a_backup_comes_back_on_every_database(
    database: Database, objects: ObjectStore, filled: Rows, elsewhere: Database, tmp_path: Path
) -> None:
    heard: list[tuple[int, int]] = []
    made = back_up(database, objects, tmp_path / "b.zip", lambda done, total: heard.append((done, total)))
    assert made == verify_backup(tmp_path / "b.zip")
    assert (made.schema, made.objects, heard[-1]) == (migrations.revisions()[-1], 5, (5, 5))
    others = FileObjects(tmp_path / "others")
    assert restore(elsewhere, others, tmp_path / "b.zip") == made
    assert rows_of(elsewhere) == filled
    assert sorted(others.digests()) == sorted(objects.digests())


def test_automatic_keys_go_on_behind_the_restored_ones(
    database: Database, objects: ObjectStore, filled: Rows, elsewhere: Database, tmp_path: Path
) -> None:
    back_up(database, objects, tmp_path / "b.zip")
    restore(elsewhere, FileObjects(tmp_path / "others"), tmp_path / "b.zip")
    found = sa.Table("outbox", sa.MetaData(), autoload_with=elsewhere.backend.writing)
    row = {"name": "n", "payload": "{}", "created": 1, "due": 1}
    elsewhere.write(lambda tx: tx.execute(found.insert(), row).rowcount)
    with elsewhere.read() as tx:
        assert tx.scalar(sa.select(sa.func.max(found.c.id))) == 4


def test_a_used_database_is_not_touched(
    database: Database, objects: ObjectStore, filled: Rows, tmp_path: Path, elsewhere: Database
) -> None:
    back_up(database, objects, tmp_path / "b.zip")
    with pytest.raises(Conflict) as error:
        restore(database, objects, tmp_path / "b.zip")
    assert error.value.code == "backup.not_empty"
    assert rows_of(database) == filled
    with pytest.raises(Conflict) as exists:
        back_up(database, objects, tmp_path / "b.zip")
    assert exists.value.code == "backup.exists"


def test_a_damaged_object_makes_no_backup(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    assert isinstance(objects, FileObjects)
    digest = objects.put(b"some bytes")
    path = objects.root / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(b"Some bytes")
    with pytest.raises(Unavailable) as error:
        back_up(database, objects, tmp_path / "b.zip")
    assert error.value.code == "objects.damaged"
    assert list(tmp_path.glob("*.zip")) == [] and list(tmp_path.glob(".incoming*")) == []


@pytest.fixture
def file(workspace: Any, filled: Rows, tmp_path: Path) -> Path:
    back_up(workspace.database, workspace.objects, tmp_path / "good.zip")
    return tmp_path / "good.zip"


def outcome(call: Callable[[], object]) -> PerenneError | None:
    try:
        call()
    except PerenneError as error:
        return error
    return None


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_every_damage_is_found_before_anything_is_written(file: Path, filled: Rows, tmp_path: Path) -> None:
    """Of a byte changed anywhere the backup is refused, unless it is one that says nothing, such as a date of the ZIP format."""
    good = file.read_bytes()
    dice, refused = random.Random(7), 0
    for number in range(40):
        place = dice.randrange(len(good))
        bad = tmp_path / "bad.zip"
        bad.write_bytes(good[:place] + bytes([good[place] ^ (1 << dice.randrange(8))]) + good[place + 1 :])
        target = tmp_path / str(number)
        database = Database(f"sqlite:///{target}/p.db")
        error = outcome(lambda: restore(database, FileObjects(target / "objects"), bad))  # noqa: B023
        if error is None:
            assert rows_of(database) == filled
        else:
            refused += 1
            assert isinstance(error, Invalid), error
            assert not target.exists(), f"byte {place}: something was written before the damage was found"
        database.close()
    assert refused > 30


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_what_is_no_backup_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        verify_backup(tmp_path / "missing.zip")
    cases: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(b"notes"),
        lambda path: path.write_bytes(file.read_bytes()[:-1_000]),
        lambda path: without(file, path, "backup.json"),
        lambda path: without(file, path, "tables/audit.jsonl"),
        lambda path: without(file, path, "objects/"),
        lambda path: with_manifest(file, path, '{"format": 1}'),
        lambda path: with_manifest(file, path, "[" * 100_000),
    ]
    for make in cases:
        bad = tmp_path / "bad.zip"
        make(bad)
        with pytest.raises(Invalid):
            verify_backup(bad)


def without(source: Path, target: Path, prefix: str) -> None:
    """Copy an archive, but for the first member whose name begins so."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        left_out = next(name for name in archive.namelist() if name.startswith(prefix))
        for name in archive.namelist():
            if name != left_out:
                copy.writestr(name, archive.read(name))


def with_manifest(source: Path, target: Path, text: str) -> None:
    without(source, target, "backup.json")
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("backup.json", text)


def test_a_backup_of_a_newer_release_is_refused(file: Path, elsewhere: Database, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        text = archive.read("backup.json").decode().replace(f'"{migrations.revisions()[-1]}"', '"9999"')
    with_manifest(file, tmp_path / "newer.zip", text)
    with pytest.raises(Invalid) as error:
        restore(elsewhere, FileObjects(tmp_path / "others"), tmp_path / "newer.zip")
    assert error.value.code == "backup.newer"


def test_a_backup_is_consistent_while_others_write(
    database: Database, objects: ObjectStore, elsewhere: Database, tmp_path: Path
) -> None:
    """A change puts an object, then a job and an audit record that name it; the backup holds all three or none."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            digest = objects.put(random.randbytes(100))

            def change(tx: Transaction, digest: str = digest) -> None:
                jobs.enqueue(tx, "keep", audit.Head(1, digest), key=digest)
                audit.record(tx, Principal("writer"), "object.keep", "object", digest)

            database.write(change)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 30
        while len(list(objects.digests())) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        back_up(database, objects, tmp_path / "b.zip")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    others = FileObjects(tmp_path / "others")
    restore(elsewhere, others, tmp_path / "b.zip")
    with elsewhere.read() as tx:
        verdict = audit.verify(tx)
        named = set(tx.execute(sa.select(jobs.table.c.key)).scalars())
        assert {record.entity_id for record in audit.trail(tx, limit=10_000)} == named
    assert (verdict.bad_seq, verdict.records) == (None, len(named))
    assert len(named) >= 10 and all(others.get(digest) for digest in named)


PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from perenne.storage.backup import back_up, restore
from perenne.storage.database import Database
from perenne.storage.file_objects import FileObjects
what, url, objects, file, calls = sys.argv[1:]
left = int(calls)
def count(frame, event, argument):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(count)
database, objects = Database(url), FileObjects(Path(objects))
(back_up if what == "back_up" else restore)(database, objects, Path(file))
"""


def killed(*arguments: str) -> bool:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_killed_in_the_middle_there_is_no_half_backup_and_no_half_restore(
    file: Path, workspace: Any, filled: Rows, tmp_path: Path
) -> None:
    source = workspace.database.url.render_as_string(hide_password=False)
    dice, kills = random.Random(11), 0
    for number in range(6):
        target, calls = tmp_path / f"{number}.zip", dice.randrange(2_000, 60_000)
        kills += killed("back_up", source, str(workspace.objects.root), str(target), str(calls))
        if target.exists():
            verify_backup(target)
        url, others = f"sqlite:///{tmp_path}/{number}/p.db", str(tmp_path / str(number) / "objects")
        kills += killed("restore", url, others, str(file), str(dice.randrange(2_000, 90_000)))
        with Database(url) as database:
            with contextlib.suppress(Conflict):  # the first one had come to its end
                restore(database, FileObjects(Path(others)), file)
            assert rows_of(database) == filled
    assert kills > 3
