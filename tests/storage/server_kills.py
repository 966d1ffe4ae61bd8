"""Kills the database server under writers, again and again. Run as a program: `server_kills.py FOLDER FIRST_SEED KILLS`.

Threads of this process put numbered changes, each with an audit record, and note what was acknowledged. The server is killed at a
moment drawn from the seed and started again. A change during which it was away may have been kept or not, but then its caller was
told so; whatever was acknowledged must be there, once, and the trail of audit records must be whole.
"""

import random
import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa
from tests.postgres import PostgresServer

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Unavailable
from perenne.storage.database import Database, Transaction

THREADS = 3
SECONDS = 0.6

kept = sa.Table("server_kept", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("number", sa.Integer))


class Writers:
    """Threads that write for as long as they may, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._next = 0
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._next += 1
                number = self._next

            def change(tx: Transaction, number: int = number) -> None:
                tx.execute(kept.insert(), {"number": number})
                audit.record(tx, Principal("writer"), "number.add", "number", str(number))

            try:
                self._database.write(change)
                self.acknowledged.add(number)
            except Unavailable as error:
                if error.code == "database.unknown":
                    self.unknown.add(number)


def check(database: Database, writers: Writers, seed: int) -> None:
    with database.read() as tx:
        rows = list(tx.execute(sa.select(kept.c.number)).scalars())
        verdict = audit.verify(tx)
    there = set(rows)
    assert len(rows) == len(there), f"seed {seed}: doubled: {sorted(number for number in there if rows.count(number) > 1)}"
    assert writers.acknowledged <= there, f"seed {seed}: lost: {sorted(writers.acknowledged - there)}"
    extra = there - writers.acknowledged - writers.unknown
    assert not extra, f"seed {seed}: kept though its caller was told that it was not: {sorted(extra)}"
    assert (verdict.bad_seq, verdict.records) == (None, len(rows)), f"seed {seed}: {verdict}"


def main(folder: Path, first: int, kills: int) -> None:
    """Play the kills on one server and print how many changes were acknowledged."""
    server = PostgresServer(safe=True)
    try:
        with Database.open(server.database()) as database:
            database.write(lambda tx: kept.create(tx.connection))
            writers = Writers(database)
            writers.start()
            for seed in range(first, first + kills):
                dice = random.Random(seed)
                time.sleep(dice.uniform(0.05, SECONDS))
                server.kill()
                time.sleep(dice.choice([0.0, 0.0, dice.uniform(0, 1)]))
                server.start()
            time.sleep(0.5)
            writers.stop()
            check(database, writers, first)
            print(len(writers.acknowledged))
    finally:
        server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
