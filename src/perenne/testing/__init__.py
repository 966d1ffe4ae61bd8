"""Contracts: what every adapter of a port must do, as test classes for pytest. Needs pytest; nothing else imports this module.

Whoever writes an adapter subclasses the contract in a test module and gives it the fixtures it names::

    class TestMyObjects(ObjectStoreContract):
        @pytest.fixture
        def objects(self, tmp_path):
            return MyObjects(tmp_path)

        def damage(self, objects, digest):
            ...
"""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.compute import Executor
from perenne.core.clock import HOUR, parse_duration
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import ObjectStore
from perenne.testing.queue import JobQueueContract, LockContract, ScheduleContract

__all__ = ["DatabaseContract", "ExecutorContract", "JobQueueContract", "LockContract", "ObjectStoreContract", "ScheduleContract"]

THREADS = 8


class ObjectStoreContract:
    """What every object store does. Fixture: `objects`, an empty store; method: `damage`."""

    def damage(self, objects: ObjectStore, digest: str) -> None:
        """Change a byte of a kept object behind the store's back."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "data", [b"", b"\0", b"some bytes\r\n", bytes(range(256)) * 4_096], ids=["none", "one", "text", "MiB"]
    )
    def test_bytes_come_back_under_their_digest(self, objects: ObjectStore, data: bytes) -> None:
        digest = objects.put(data)
        assert digest == sha256(data).hexdigest()
        assert objects.get(digest) == data
        assert objects.exists(digest)

    def test_a_file_is_kept_like_its_bytes(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"some bytes")
        assert objects.put_file(source) == objects.put(b"some bytes")
        assert source.read_bytes() == b"some bytes"
        with pytest.raises(FileNotFoundError):
            objects.put_file(tmp_path / "missing")

    def test_the_same_bytes_are_kept_once(self, objects: ObjectStore) -> None:
        assert objects.put(b"same") == objects.put(b"same")
        assert list(objects.digests()) == [sha256(b"same").hexdigest()]

    def test_every_object_is_listed(self, objects: ObjectStore) -> None:
        digests = {objects.put(str(number).encode()) for number in range(40)}
        assert sorted(objects.digests()) == sorted(digests)

    def test_an_object_is_fetched_to_a_file(self, objects: ObjectStore, tmp_path: Path) -> None:
        target = tmp_path / "new folder" / "target"
        objects.fetch(objects.put(b"new"), target)
        assert target.read_bytes() == b"new"
        objects.fetch(objects.put(b"newer"), target)
        assert target.read_bytes() == b"newer"

    def test_what_is_not_there_is_not_found(self, objects: ObjectStore, tmp_path: Path) -> None:
        digest = sha256(b"missing").hexdigest()
        assert not objects.exists(digest)
        objects.delete(digest)
        with pytest.raises(NotFound) as error:
            objects.get(digest)
        assert error.value.code == "objects.not_found"
        with pytest.raises(NotFound):
            objects.fetch(digest, tmp_path / "target")
        assert not (tmp_path / "target").exists()

    def test_a_deleted_object_is_gone(self, objects: ObjectStore) -> None:
        digest = objects.put(b"going")
        objects.delete(digest)
        assert not objects.exists(digest)
        assert list(objects.digests()) == []
        assert objects.put(b"going") == digest
        assert objects.get(digest) == b"going"

    @pytest.mark.parametrize("name", ["", "abc", "../" * 20 + "etc/passwd", "A" * 64, "0" * 63 + "\n", "0" * 65])
    def test_what_is_no_digest_is_refused(self, objects: ObjectStore, name: str, tmp_path: Path) -> None:
        calls: list[Callable[[], object]] = [
            lambda: objects.get(name),
            lambda: objects.exists(name),
            lambda: objects.delete(name),
            lambda: objects.fetch(name, tmp_path / "target"),
        ]
        for call in calls:
            with pytest.raises(Invalid):
                call()

    def test_damaged_bytes_are_noticed(self, objects: ObjectStore, tmp_path: Path) -> None:
        digest = objects.put(b"some bytes")
        self.damage(objects, digest)
        with pytest.raises(Unavailable) as error:
            objects.get(digest)
        assert error.value.code == "objects.damaged"
        with pytest.raises(Unavailable):
            objects.fetch(digest, tmp_path / "target")
        assert list(tmp_path.glob("target*")) == []

    def test_several_may_put_the_same_at_once(self, objects: ObjectStore) -> None:
        data = [bytes([number]) * 10_000 for number in range(5)] * THREADS
        with ThreadPoolExecutor(THREADS) as pool:
            digests = list(pool.map(objects.put, data))
        assert len(set(digests)) == 5
        assert all(objects.get(digest) == content for digest, content in zip(digests, data, strict=True))


numbers = sa.Table("contract_number", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))


def _add(number: int) -> Callable[[Transaction], int]:
    def work(tx: Transaction) -> int:
        tx.execute(numbers.insert(), {"id": number, "n": 0})
        return number

    return work


def _hold_up(database: Database, go_on: threading.Event) -> "Future[int]":
    """Keep the writer busy with a first change until it may go on; what is queued meanwhile makes one group."""
    started = threading.Event()

    def work(tx: Transaction) -> int:
        started.set()
        go_on.wait(60)
        return _add(0)(tx)

    future = database.submit(work)
    started.wait(60)
    return future


def _kept(database: Database) -> list[int]:
    with database.read() as tx:
        return [row.id for row in tx.execute(sa.select(numbers.c.id).order_by(numbers.c.id))]


class _Refused(Exception):
    pass


class DatabaseContract:
    """What every metadata database does. Fixture: `open_database`, which opens the same empty database at each call."""

    @pytest.fixture
    def database(self, open_database: Callable[[], Database]) -> Iterator[Database]:
        """An open database with a table of numbers."""
        with open_database() as database:
            database.write(lambda tx: numbers.create(tx.connection))
            yield database

    def test_a_change_gives_its_result_and_is_kept(self, database: Database, open_database: Callable[[], Database]) -> None:
        assert database.write(_add(7)) == 7
        assert database.write(_add(8), durable=False) == 8
        with open_database() as other:
            assert _kept(other) == [7, 8]

    def test_a_change_that_fails_is_undone_and_no_other(self, database: Database) -> None:
        def fail_after(number: int) -> Callable[[Transaction], int]:
            def work(tx: Transaction) -> int:
                _add(number)(tx)
                raise _Refused(str(number))

            return work

        futures = [database.submit(fail_after(n) if n % 3 == 0 else _add(n), durable=n % 2 == 0) for n in range(60)]
        for n, future in enumerate(futures):
            if n % 3 == 0:
                with pytest.raises(_Refused, match=f"^{n}$"):
                    future.result()
            else:
                assert future.result() == n
        assert _kept(database) == [n for n in range(60) if n % 3]
        with pytest.raises(_Refused):
            database.write(fail_after(99))
        assert database.write(_add(99)) == 99

    def test_a_broken_constraint_hurts_only_its_own_change(self, database: Database) -> None:
        futures = [database.submit(_add(number)) for number in (1, 1, 2)]
        assert futures[0].result() == 1
        assert isinstance(futures[1].exception(), sa.exc.IntegrityError)
        assert futures[2].result() == 2

    def test_nothing_is_acknowledged_before_it_is_committed(self, database: Database) -> None:
        seen: list[bool] = []
        futures: list[Future[int]] = []
        for number in range(30):
            future = database.submit(_add(number))
            future.add_done_callback(lambda done: seen.append(done.result() in _kept(database)))
            futures.append(future)
        assert [future.result() for future in futures] == list(range(30))
        database.close()
        assert seen == [True] * 30

    def test_a_change_may_not_open_another(self, database: Database) -> None:
        changes: list[Callable[[Transaction], object]] = [
            lambda tx: database.write(_add(1)),
            lambda tx: database.submit(_add(1)),
        ]
        for change in changes:
            for call in (database.write, lambda work: database.submit(work).result()):
                with pytest.raises(Unavailable) as error:
                    call(change)
                assert error.value.code == "database.nested"
        assert _kept(database) == []

    def test_closing_commits_what_is_queued(self, database: Database, open_database: Callable[[], Database]) -> None:
        go_on = threading.Event()
        first = _hold_up(database, go_on)
        futures = [first, *(database.submit(_add(number)) for number in range(1, 300))]
        closing = threading.Thread(target=database.close)
        closing.start()
        go_on.set()
        closing.join()
        assert [future.result(0) for future in futures] == list(range(300))
        with open_database() as other:
            assert _kept(other) == list(range(300))

    def test_a_closed_database_refuses_changes(self, database: Database) -> None:
        database.close()
        for refused in (database.write, database.submit):
            with pytest.raises(Unavailable) as error:
                refused(_add(1))
            assert error.value.code == "database.closed"
        database.close()

    def test_a_change_that_was_called_off_is_not_made(self, database: Database) -> None:
        go_on = threading.Event()
        first = _hold_up(database, go_on)
        called_off, after = database.submit(_add(1)), database.submit(_add(2))
        assert called_off.cancel()
        assert not first.cancel()
        go_on.set()
        assert (first.result(), after.result()) == (0, 2)
        with pytest.raises(CancelledError):
            called_off.result()
        assert _kept(database) == [0, 2]

    def test_a_reader_sees_one_snapshot(self, database: Database) -> None:
        with database.read() as tx:
            assert tx.scalar(sa.select(sa.func.count()).select_from(numbers)) == 0
            database.write(_add(1))
            assert tx.scalar(sa.select(sa.func.count()).select_from(numbers)) == 0
        assert _kept(database) == [1]

    def test_a_reader_cannot_write(self, database: Database) -> None:
        with database.read() as tx, pytest.raises(sa.exc.DBAPIError):
            _add(1)(tx)
        assert _kept(database) == []

    def test_what_waits_for_the_commit_is_called_if_it_comes(self, database: Database) -> None:
        called: list[int] = []

        def work(tx: Transaction, number: int, *, fails: bool) -> int:
            tx.after_commit(lambda: called.append(number if number in _kept(database) else -1))
            _add(number)(tx)
            if fails:
                raise _Refused
            return number

        database.write(lambda tx: work(tx, 1, fails=False))
        with pytest.raises(_Refused):
            database.write(lambda tx: work(tx, 2, fails=True))
        database.submit(lambda tx: work(tx, 3, fails=False)).result()
        assert called == [1, 3]

    def test_what_follows_a_commit_cannot_undo_it(self, database: Database) -> None:
        def work(tx: Transaction) -> int:
            tx.after_commit(forbidden)
            return _add(1)(tx)

        def forbidden() -> None:
            database.write(_add(2))

        assert database.write(work) == 1
        assert database.submit(_add(3)).result() == 3
        assert _kept(database) == [1, 3]

    def test_no_update_is_lost(self, database: Database, open_database: Callable[[], Database]) -> None:
        def increment(tx: Transaction) -> None:
            now = int(tx.scalar(sa.select(numbers.c.n).where(numbers.c.id == 1)))
            tx.execute(numbers.update().where(numbers.c.id == 1).values(n=now + 1))

        database.write(_add(1))
        with open_database() as other, ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda n: (database, other)[n % 2].write(increment, durable=False), range(200)))
            with other.read() as tx:
                assert tx.scalar(sa.select(numbers.c.n)) == 200


class ExecutorContract:
    """What every executor does. Fixture: `executor`, open."""

    def test_a_call_gives_its_result(self, executor: Executor) -> None:
        assert executor.submit(math.hypot, 3.0, 4.0).result(60) == 5.0

    def test_every_call_is_answered_with_its_own_result(self, executor: Executor) -> None:
        futures = [executor.submit(math.sqrt, float(number * number)) for number in range(50)]
        assert [future.result(60) for future in futures] == list(range(50))

    def test_what_a_call_raises_reaches_its_caller_and_no_other(self, executor: Executor) -> None:
        bad, good = executor.submit(parse_duration, "soon"), executor.submit(parse_duration, "1h")
        assert good.result(60) == HOUR
        with pytest.raises(Invalid) as error:
            bad.result(60)
        assert error.value.code == "time.duration"
        assert error.value.hint
        with pytest.raises(ValueError, match="math"):
            executor.submit(math.sqrt, -1.0).result(60)

    def test_it_says_how_much_it_does_at_once(self, executor: Executor) -> None:
        assert executor.slots >= 1
