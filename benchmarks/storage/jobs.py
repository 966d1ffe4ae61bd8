"""The job queue: queueing, and claim with finish, by one and eight workers, with none and a million finished jobs in the table.

    python benchmarks/storage/jobs.py [--finished 1000000] [--jobs 2000] [--postgres URL]

Beside it the floor: the same three statements by hand on the driver of SQLite, with one commit each, by as many threads with a
connection each. Every worker is a thread that claims a job and finishes it in a second transaction, as a handler would. Commits
are those of a killed process (`synchronous=NORMAL`), for both. Without `--postgres` a server is started from its wheel, if that
is installed. Figures are wall time; read them as ratios.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from perenne.storage import jobs
from perenne.storage.database import Database

CHUNK = 10_000
LEASE = 30_000_000


class Nothing(msgspec.Struct, frozen=True):
    """A payload."""


Claim = Callable[[], bool]
"""Claims a job and finishes it; tells whether there was one."""


class Ours:
    """The queue of perenne."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.database = Database.open(url)

    def fill(self, count: int) -> None:
        """Put finished jobs into the table."""
        columns = "id, kind, payload, state, due, attempt, attempts_allowed, created, started, ended, owner"
        values = ":id, 'k', '{}', 'done', :n, 1, 3, :n, :n, :n, 'o'"
        statement = sa.text(f"insert into job ({columns}) values ({values})")
        for first in range(0, count, CHUNK):
            rows = [{"id": f"0{n:025d}", "n": n} for n in range(first, min(first + CHUNK, count))]
            self.database.write(lambda tx, rows=rows: tx.execute(statement, rows), durable=False)  # type: ignore[misc]
        self.database.write(lambda tx: tx.connection.exec_driver_sql("ANALYZE"))

    def enqueue(self) -> None:
        """Queue a job."""
        self.database.write(partial(jobs.enqueue, kind="k", payload=Nothing()), durable=False, alone=False)

    @contextmanager
    def claimer(self) -> Iterator[Claim]:
        """Return what a worker does."""

        def claim() -> bool:
            job = self.database.write(partial(jobs.claim, owner="o", kinds=["k", "other"]), durable=False, alone=False)
            if job is not None:
                self.database.write(partial(jobs.finish, job=job), durable=False, alone=False)
            return job is not None

        yield claim

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


class Floor:
    """SQLite by hand: a table, an index over open jobs, three statements."""

    name = "sqlite3 by hand"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = self.connect()
        self.connection.execute(
            "create table job (id integer primary key, kind text, payload text, state text, due, lease, attempt)"
        )
        self.connection.execute("create index open on job (due, id) where state = 'queued'")

    def connect(self) -> sqlite3.Connection:
        """Open a connection as perenne does."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=60, check_same_thread=False)
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=normal")
        return connection

    def fill(self, count: int) -> None:
        """Put finished jobs into the table."""
        self.connection.execute("begin")
        rows = ((n,) for n in range(count))
        self.connection.executemany("insert into job (kind, payload, state, due, attempt) values ('k', '{}', 'done', ?, 1)", rows)
        self.connection.execute("commit")

    def enqueue(self) -> None:
        """Queue a job."""
        self.connection.execute("begin immediate")
        self.connection.execute("insert into job (kind, payload, state, due, attempt) values ('k', '{}', 'queued', 1, 0)")
        self.connection.execute("commit")

    @contextmanager
    def claimer(self) -> Iterator[Claim]:
        """Return what a worker does."""
        connection = self.connect()
        take = (
            "update job set state = 'running', lease = ?, attempt = attempt + 1 where id = (select id from job where "
            "state = 'queued' and due <= ? and kind in ('k', 'other') order by due, id limit 1) returning id, attempt"
        )

        def claim() -> bool:
            now = time.time_ns() // 1_000
            connection.execute("begin immediate")
            row = connection.execute(take, (now + LEASE, now)).fetchone()
            connection.execute("commit")
            if row is not None:
                connection.execute("begin immediate")
                connection.execute("update job set state = 'done' where id = ? and attempt = ? and state = 'running'", row)
                connection.execute("commit")
            return row is not None

        yield claim
        connection.close()

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()


def enqueue_all(queue: Ours | Floor, count: int) -> list[float]:
    """Queue jobs one after another and return how long each took."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        queue.enqueue()
        took.append(time.perf_counter() - begun)
    return took


def work_all(queue: Ours | Floor, workers: int) -> tuple[float, list[float]]:
    """Have workers do all jobs; return the wall time, and how long each job took."""
    took: list[list[float]] = [[] for _ in range(workers)]
    ready = threading.Barrier(workers + 1)

    def work(mine: list[float]) -> None:
        with queue.claimer() as claim:
            ready.wait()
            while True:
                begun = time.perf_counter()
                if not claim():
                    return
                mine.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in took]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun, [one for mine in took for one in mine]


def line(name: str, finished: int, what: str, wall: float, took: list[float]) -> str:
    """Write a row of the table."""
    p50, p99 = statistics.median(took) * 1e3, statistics.quantiles(took, n=100)[98] * 1e3
    return f"| {name} | {finished:,} | {what} | {len(took) / wall:,.0f} | {p50:.2f} | {p99:.2f} |"


def measure(queue: Ours | Floor, finished: int, count: int) -> None:
    """Measure one queue and print its rows."""
    queue.fill(finished)
    enqueue_all(queue, 50)
    work_all(queue, 1)
    took = enqueue_all(queue, count)
    print(line(queue.name, finished, "queue", sum(took), took), flush=True)
    for workers in (1, 8):
        if workers > 1:
            enqueue_all(queue, count)
        print(line(queue.name, finished, f"claim and finish, {workers} at once", *work_all(queue, workers)), flush=True)
    queue.close()


@contextmanager
def postgres(url: str | None) -> Iterator[Callable[[], str] | None]:
    """Give empty databases: those of a server, or none."""
    if url is not None:
        yield lambda: url
        return
    try:
        from tests.postgres import PostgresServer

        server = PostgresServer(safe=True)
    except ImportError:
        yield None
        return
    yield server.database
    server.stop()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2_000)
    parser.add_argument("--postgres")
    options = parser.parse_args()
    print("| queue | finished jobs in the table | work | jobs a second | median ms | p99 ms |\n|---|---|---|---|---|---|")
    for finished in (0, options.finished):
        with tempfile.TemporaryDirectory(prefix="perenne-bench-") as folder:
            measure(Floor(Path(folder) / "floor.db"), finished, options.jobs)
            measure(Ours("perenne on SQLite", f"sqlite:///{folder}/ours.db"), finished, options.jobs)
    with postgres(options.postgres) as database:
        for finished in (0, options.finished) if database else ():
            assert database is not None
            measure(Ours("perenne on PostgreSQL", database()), finished, options.jobs)


if __name__ == "__main__":
    main()
