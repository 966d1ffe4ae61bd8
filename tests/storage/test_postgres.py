"""What PostgreSQL does that SQLite cannot: break the line in the middle, deadlock, undo a commit without an error."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.postgres import PostgresServer
from tests.storage.cutting_proxy import Cut, CuttingProxy

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid, Unavailable
from perenne.storage.database import Database, Transaction

numbers = sa.Table("number", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with Database.open(postgres_url) as database:
        database.write(lambda tx: numbers.create(tx.connection))
        yield database


def add(tx: Transaction, number: int) -> int:
    tx.execute(numbers.insert(), {"id": number, "n": 0})
    audit.record(tx, Principal("somebody"), "number.add", "number", str(number))
    return number


def kept(database: Database) -> list[int]:
    with database.read() as tx:
        assert audit.verify(tx).bad_seq is None
        return list(tx.execute(sa.select(numbers.c.id).order_by(numbers.c.id)).scalars())


def test_a_change_that_hid_a_failed_statement_is_not_acknowledged(database: Database) -> None:
    def hides(tx: Transaction) -> int:
        add(tx, 1)
        with pytest.raises(sa.exc.DBAPIError):
            tx.execute(sa.text("SELECT nothing"))
        return 1

    for call in (database.write, lambda change: database.write(change, alone=False)):
        with pytest.raises(Unavailable) as error:
            call(hides)
        assert error.value.code == "database.undone"
    assert kept(database) == []
    assert database.write(lambda tx: add(tx, 1)) == 1


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(postgres.folder / ".s.PGSQL.5432")
    yield proxy
    proxy.close()


@pytest.mark.parametrize("cuts", [["before"], ["after"], ["before", "after"], ["before", "before", "after"]], ids=" ".join)
def test_a_line_that_breaks_at_the_commit_neither_loses_nor_doubles(
    postgres: PostgresServer, postgres_url: str, proxy: CuttingProxy, cuts: list[Cut], database: Database
) -> None:
    with Database.open(postgres_url.replace(str(postgres.folder), str(proxy.folder))) as through:
        assert through.write(lambda tx: add(tx, 1)) == 1
        proxy.cuts.extend(cuts)
        assert through.write(lambda tx: add(tx, 2)) == 2
        assert proxy.cuts == []
    assert kept(database) == [1, 2]


def test_whose_fate_nobody_knows_is_said_to_be_unknown(
    postgres: PostgresServer, postgres_url: str, proxy: CuttingProxy, database: Database
) -> None:
    """A change that went beside the others has no number by which the server could be asked."""
    with Database.open(postgres_url.replace(str(postgres.folder), str(proxy.folder))) as through:
        proxy.cuts.append("after")
        with pytest.raises(Unavailable) as error:
            through.write(lambda tx: tx.execute(numbers.insert(), {"id": 5, "n": 0}).rowcount, alone=False)
        assert error.value.code == "database.unknown"
    assert kept(database) == [5]


def test_a_connection_that_the_server_ends_costs_a_second_try(database: Database) -> None:
    tries = []

    def ends_once(tx: Transaction) -> int:
        tries.append(1)
        if len(tries) == 1:
            tx.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return add(tx, len(tries))

    assert database.write(ends_once) == 2
    assert kept(database) == [2]


def test_changes_that_block_each_other_both_succeed(database: Database) -> None:
    database.write(lambda tx: [add(tx, number) for number in (1, 2)])
    both_hold_one = threading.Barrier(2)
    met = threading.local()

    def in_order(first: int, second: int) -> None:
        def change(tx: Transaction) -> None:
            tx.execute(numbers.update().where(numbers.c.id == first).values(n=numbers.c.n + 1))
            if not getattr(met, "yes", False):
                met.yes = True
                both_hold_one.wait(30)
            tx.execute(numbers.update().where(numbers.c.id == second).values(n=numbers.c.n + 1))

        database.write(change, alone=False)

    threads = [threading.Thread(target=in_order, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.read() as tx:
        assert list(tx.execute(sa.select(numbers.c.n)).scalars()) == [2, 2]


def test_text_that_the_database_cannot_hold_is_the_callers_mistake(database: Database) -> None:
    with pytest.raises(Invalid) as error:
        database.write(lambda tx: audit.record(tx, Principal("a\0b"), "number.add", "number", "1"))
    assert error.value.code == "database.value"
    assert kept(database) == []


def test_a_password_is_never_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as error:
        Database.open(f"postgresql://somebody:hush@localhost:1/nothing?host={tmp_path}")
    assert "hush" not in f"{error.value.message} {error.value.hint}"
    assert error.value.code == "database.unavailable"


def test_a_database_of_another_encoding_is_named(postgres: PostgresServer) -> None:
    url = postgres.database(encoding="LATIN1")
    with Database.open(url) as database, database.read() as tx:
        assert "UTF8" in database.backend.check(tx)


def test_a_database_that_may_only_be_read_refuses_changes_and_still_answers(database: Database, postgres_url: str) -> None:
    database.write(lambda tx: add(tx, 1))
    name = database.url.database
    database.write(lambda tx: tx.execute(sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")).rowcount)
    with Database.open(postgres_url) as reopened:
        for alone in (True, False):
            with pytest.raises(Unavailable) as error:
                reopened.write(lambda tx: add(tx, 2), alone=alone)
            assert error.value.code == "database.unavailable"
        assert kept(reopened) == [1]


STOPPED = """
import os, signal, sys
from perenne.storage import postgres
postgres.IDLE_S = 1
from perenne.storage.database import Database
import sqlalchemy as sa

tries = 0

def change(tx):
    global tries
    tries += 1
    tx.execute(sa.text("INSERT INTO number (id, n) VALUES (7, 0)"))
    if tries == 1:
        print("holds the lock", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)

with Database.open(sys.argv[1]) as database:
    database.write(change)
    print(tries, flush=True)
"""


def test_a_process_that_was_stopped_with_the_lock_holds_nobody_up_and_comes_back(database: Database, postgres_url: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", STOPPED, postgres_url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "holds the lock\n"
        assert database.write(lambda tx: add(tx, 1)) == 1
        child.send_signal(signal.SIGCONT)
        assert child.wait(30) == 0
        assert child.stdout.readline() == "2\n", "the change was run again"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert kept(database) == [1, 7]


def test_a_server_that_may_write_no_further_refuses_the_change_and_keeps_what_it_acknowledged() -> None:
    """The files of the server's processes may get no longer, as on a full disk."""
    server = PostgresServer(safe=True)
    text = sa.Table("large", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
    dice, written = random.Random(3), list[int]()

    def insert(tx: Transaction) -> None:
        tx.execute(text.insert(), {"id": len(written), "text": dice.randbytes(500_000).hex()})
        audit.record(tx, Principal("somebody"), "text.add", "text", str(len(written)))

    def fill(database: Database) -> None:
        while len(written) < 100:
            database.write(insert)
            written.append(len(written))

    try:
        with Database.open(server.database()) as database:
            database.write(lambda tx: text.create(tx.connection))
            server.kill()
            server.start(file_limit=20 << 20)
            with pytest.raises(Unavailable) as error:
                fill(database)
            assert error.value.code == "database.unavailable" and 5 < len(written) < 100, written
            assert texts(database, text) == written
            server.kill()
            server.start()
            database.write(insert)
            assert texts(database, text) == [*written, len(written)]
    finally:
        server.stop()


def texts(database: Database, table: sa.Table) -> list[int]:
    with database.read() as tx:
        found = list(tx.execute(sa.select(table.c.id).order_by(table.c.id)).scalars())
        verdict = audit.verify(tx)
    assert (verdict.bad_seq, verdict.records) == (None, len(found))
    return found
