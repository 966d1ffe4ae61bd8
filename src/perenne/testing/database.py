"""The contract of metadata databases."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from perenne.core.errors import Unavailable
from perenne.storage.database import Database, Transaction

THREADS = 8


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

    def test_a_loose_change_is_kept_and_one_that_fails_hears_so(
        self, database: Database, open_database: Callable[[], Database]
    ) -> None:
        """Whether it is alone or comes with others."""
        assert database.write(_add(1), durable=False, alone=False, loose=True) == 1
        assert database.submit(_add(2), durable=False, loose=True).result() == 2
        with pytest.raises(sa.exc.IntegrityError):
            database.write(_add(1), durable=False, alone=False, loose=True)
        go_on = threading.Event()
        first = _hold_up(database, go_on)
        futures = [database.submit(_add(number), durable=False, alone=False, loose=True) for number in (3, 3, 4)]
        go_on.set()
        outcomes = [type(future.exception()) for future in (first, *futures)]
        assert outcomes == [type(None), type(None), sa.exc.IntegrityError, type(None)]
        with open_database() as again:
            assert _kept(again) == [0, 1, 2, 3, 4]

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
