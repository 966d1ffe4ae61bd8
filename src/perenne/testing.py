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
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from perenne.compute import Executor
from perenne.core.clock import HOUR, parse_duration
from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.storage import jobs
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import ObjectStore, open_objects

__all__ = ["DatabaseContract", "ExecutorContract", "JobQueueContract", "ObjectStoreContract", "RemoteObjectStoreContract"]

THREADS = 8
LARGE = (20 << 20) + 1


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

    def test_its_url_opens_the_same_store(self, objects: ObjectStore) -> None:
        digest = objects.put(b"some bytes")
        again = open_objects(objects.url)
        assert again.url == objects.url
        assert again.get(digest) == b"some bytes"

    def test_a_large_file_is_kept_and_fetched_whole(self, objects: ObjectStore, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(random.Random(1).randbytes(LARGE))
        digest = objects.put_file(source)
        objects.fetch(digest, target)
        assert target.read_bytes() == source.read_bytes()
        assert objects.put(source.read_bytes()) == digest
        assert list(objects.digests()) == [digest]

    def test_what_is_deleted_is_listed_no_more(self, objects: ObjectStore) -> None:
        digests = [objects.put(str(number).encode()) for number in range(30)]
        for digest in digests[::2]:
            objects.delete(digest)
        assert sorted(objects.digests()) == sorted(digests[1::2])

    def test_what_is_damaged_can_be_deleted_and_put_again(self, objects: ObjectStore) -> None:
        digest = objects.put(b"some bytes")
        self.damage(objects, digest)
        objects.delete(digest)
        assert objects.put(b"some bytes") == digest
        assert objects.get(digest) == b"some bytes"

    def test_a_file_that_changes_while_it_is_read_gets_no_wrong_name(self, objects: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(LARGE))
        stop = threading.Event()

        def change() -> None:
            drawn = random.Random(2)
            with source.open("r+b", buffering=0) as stream:
                while not stop.is_set():
                    stream.seek(drawn.randrange(LARGE - 8))
                    stream.write(drawn.randbytes(8))

        changing = threading.Thread(target=change)
        changing.start()
        try:
            with pytest.raises(Unavailable) as error:
                [objects.put_file(source) for _ in range(100)]
        finally:
            stop.set()
            changing.join()
        assert error.value.code == "objects.changed"
        assert all(sha256(objects.get(digest)).hexdigest() == digest for digest in objects.digests())


class RemoteObjectStoreContract(ObjectStoreContract):
    """What an object store across a network does besides. Method: `outage`."""

    def outage(self, objects: ObjectStore) -> AbstractContextManager[None]:
        """Keep the store from being reached for a while; what it keeps stays."""
        raise NotImplementedError

    def test_a_store_that_is_away_is_unavailable_and_loses_nothing(self, objects: ObjectStore, tmp_path: Path) -> None:
        kept = objects.put(b"kept")
        source = tmp_path / "source"
        source.write_bytes(b"new")
        calls: list[Callable[[], object]] = [
            lambda: objects.put(b"new"),
            lambda: objects.put_file(source),
            lambda: objects.get(kept),
            lambda: objects.get(sha256(b"missing").hexdigest()),
            lambda: objects.fetch(kept, tmp_path / "folder" / "target"),
            lambda: objects.exists(kept),
            lambda: objects.delete(kept),
            lambda: list(objects.digests()),
        ]
        with self.outage(objects):
            for call in calls:
                with pytest.raises(Unavailable) as error:
                    call()
                assert error.value.code == "objects.unavailable"
                assert error.value.hint
        assert not (tmp_path / "folder").exists()
        assert list(objects.digests()) == [kept]
        assert objects.get(kept) == b"kept"
        assert objects.exists(objects.put(b"new"))


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


class _Payload(msgspec.Struct, frozen=True):
    number: int = 0


class JobQueueContract:
    """What the job queue does on every database. Fixture: `database`, with its tables."""

    def _enqueue(self, database: Database, number: int = 0, **options: object) -> str:
        return database.write(lambda tx: jobs.enqueue(tx, "contract", _Payload(number), **options))  # type: ignore[arg-type]

    def _claim(self, database: Database, owner: str = "a", **options: int) -> jobs.Job | None:
        return database.write(lambda tx: jobs.claim(tx, owner, ["contract"], **options))

    def _state(self, database: Database, identity: str) -> str:
        with database.read() as tx:
            job = jobs.get_job(tx, identity)
        assert job is not None
        return job.state

    def test_jobs_are_claimed_oldest_first_and_once(self, database: Database) -> None:
        queued = [self._enqueue(database, number) for number in range(3)]
        claimed = [self._claim(database) for _ in range(4)]
        assert claimed[3] is None
        assert sorted(job.id for job in claimed if job) == sorted(queued)
        assert [msgspec.json.decode(job.payload, type=_Payload).number for job in claimed if job] == [0, 1, 2]

    def test_of_many_claimers_one_wins_each_job(self, database: Database) -> None:
        queued = [self._enqueue(database, number) for number in range(20)]
        with ThreadPoolExecutor(THREADS) as pool:
            claimed = list(pool.map(lambda n: self._claim(database, f"worker {n}"), range(40)))
        assert sorted(job.id for job in claimed if job) == sorted(queued)

    def test_only_jobs_of_the_kinds_asked_for_are_claimed(self, database: Database) -> None:
        database.write(lambda tx: jobs.enqueue(tx, "other", _Payload()))
        assert self._claim(database) is None
        with database.read() as tx:
            assert jobs.waiting(tx, ["other"])
            assert not jobs.waiting(tx, ["contract"])

    def test_a_job_waits_until_it_is_due(self, database: Database) -> None:
        self._enqueue(database, delay=HOUR)
        assert self._claim(database) is None

    def test_a_key_makes_one_job(self, database: Database) -> None:
        first = self._enqueue(database, key="k")
        assert self._enqueue(database, 1, key="k") == first
        job = self._claim(database)
        assert job is not None
        database.write(lambda tx: jobs.finish(tx, job))
        assert self._enqueue(database, key="k") == first
        assert self._claim(database) is None

    def test_a_worker_that_lost_its_lease_changes_nothing(self, database: Database) -> None:
        self._enqueue(database)
        lost = self._claim(database, "slow", lease=-1)
        taken = self._claim(database, "quick")
        assert lost is not None and taken is not None
        assert (lost.id, lost.attempt, taken.attempt) == (taken.id, 1, 2)
        late: list[Callable[[Transaction], object]] = [
            lambda tx: jobs.heartbeat(tx, lost),
            lambda tx: jobs.finish(tx, lost),
            lambda tx: jobs.fail(tx, lost, "late"),
        ]
        for change in late:
            with pytest.raises(Conflict) as error:
                database.write(change)
            assert error.value.code == "job.lost"
        database.write(lambda tx: jobs.finish(tx, taken))
        assert self._state(database, taken.id) == "done"

    def test_the_same_worker_claiming_again_voids_its_first_claim(self, database: Database) -> None:
        self._enqueue(database)
        first, second = self._claim(database, lease=-1), self._claim(database)
        assert first is not None and second is not None
        with pytest.raises(Conflict):
            database.write(lambda tx: jobs.finish(tx, first))

    def test_a_heartbeat_keeps_the_job(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claim(database, lease=-1)
        assert job is not None
        database.write(lambda tx: jobs.heartbeat(tx, job))
        assert self._claim(database, "b") is None

    def test_a_result_that_is_not_kept_leaves_the_job_to_another(self, database: Database) -> None:
        self._enqueue(database)
        job = self._claim(database, lease=-1)
        assert job is not None

        def finish_and_fail(tx: Transaction) -> None:
            jobs.finish(tx, job)
            raise _Refused

        with pytest.raises(_Refused):
            database.write(finish_and_fail)
        again = self._claim(database)
        assert again is not None and again.id == job.id

    def test_a_job_that_fails_is_tried_again_later_and_at_last_has_failed(self, database: Database) -> None:
        identity = self._enqueue(database, attempts_allowed=2)
        first = self._claim(database)
        assert first is not None
        assert database.write(lambda tx: jobs.fail(tx, first, "first")) is False
        assert self._claim(database) is None, "it waits a little"
        database.write(lambda tx: tx.execute(jobs.table.update().values(due=0)))
        second = self._claim(database)
        assert second is not None
        assert database.write(lambda tx: jobs.fail(tx, second, "second")) is True
        assert self._state(database, identity) == "failed"
        assert self._claim(database) is None

    def test_a_job_that_kills_its_workers_is_given_up(self, database: Database) -> None:
        identity = self._enqueue(database, attempts_allowed=2)
        assert self._claim(database, lease=-1) is not None
        assert self._claim(database, lease=-1) is not None
        assert self._claim(database) is None
        assert self._state(database, identity) == "failed"


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
