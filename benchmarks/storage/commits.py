"""Commits a second with 1 and 16 writers: ours beside the bare driver doing the same, on SQLite and PostgreSQL.

    python benchmarks/storage/commits.py [--seconds 3] [--repeats 3]

A commit is one row into a table with a key. `durable` ones survive a power cut (SQLite `synchronous=FULL`, PostgreSQL
`synchronous_commit=on`), the others a killed process. The floor uses the driver alone: one connection to each writing thread, on
`synchronous_commit=on`), the others a killed process. The floor uses the driver alone: a connection for each writing thread, on
as they come. Every figure is the median of the repeats, ours and the floor by turns.
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
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.postgres import PostgresServer

from perenne.storage.database import Database, Transaction
from perenne.storage.prepared import Prepared

row = sa.Table("commits", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("text", sa.Text))
_insert = Prepared(row.insert().values(id=sa.bindparam("id"), text=sa.bindparam("text")))
TEXT = "x" * 100

Write = Callable[[int], None]


def rate(make: Callable[[], Write], threads: int, seconds: float) -> tuple[float, float]:
    """Return commits a second, and CPU microseconds of this process for each."""
    stop, counts = time.monotonic() + seconds, [0] * threads
    ready = threading.Barrier(threads + 1)

    def work(place: int) -> None:
        write = make()
        ready.wait()
        number = place
        while time.monotonic() < stop_at[0]:
            write(number)
            number += threads
            counts[place] += 1

    stop_at = [stop]
    pool = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for thread in pool:
        thread.start()
    ready.wait()
    stop_at[0] = time.monotonic() + seconds
    cpu, started = time.process_time(), time.monotonic()
    for thread in pool:
        thread.join()
    spent, wall = time.process_time() - cpu, time.monotonic() - started
    return sum(counts) / wall, 1e6 * spent / max(1, sum(counts))


@contextmanager
def ours(url: str, *, durable: bool, alone: bool) -> Iterator[Callable[[], Write]]:
    """Write through `Database.write`."""
    with Database.open(url) as database:
        database.write(lambda tx: row.create(tx.connection))

        def insert(tx: Transaction, number: int) -> None:
            _insert.run(tx, {"id": number, "text": TEXT})

        yield lambda: lambda number: database.write(lambda tx: insert(tx, number), durable=durable, alone=alone)


@contextmanager
def bare_sqlite(path: Path, *, durable: bool) -> Iterator[Callable[[], Write]]:
    """Write with sqlite3 alone."""

    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        return raw

    connect().execute("CREATE TABLE commits (id INTEGER PRIMARY KEY, text TEXT)")

    def make() -> Write:
        raw = connect()

        def write(number: int) -> None:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("INSERT INTO commits VALUES (?, ?)", (number, TEXT))
            raw.execute("COMMIT")

        return write

    yield make


@contextmanager
def bare_postgres(url: str, *, durable: bool) -> Iterator[Callable[[], Write]]:
    """Write with psycopg alone."""
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute("CREATE TABLE commits (id BIGINT PRIMARY KEY, text TEXT)")

    def make() -> Write:
        raw = psycopg.connect(url)
        raw.execute(f"SET synchronous_commit = {'on' if durable else 'off'}")
        raw.commit()

        def write(number: int) -> None:
            raw.execute("INSERT INTO commits VALUES (%s, %s)", (number, TEXT))
            raw.commit()

        return write

    yield make


def cases(folder: Path, server: PostgresServer) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name the cases: the floor of each kind, then ours."""
    counter = iter(range(10**6))
    for durable in (True, False):
        word = "durable" if durable else "not durable"
        yield (
            f"SQLite, {word}",
            lambda durable=durable: bare_sqlite(folder / f"{next(counter)}.db", durable=durable),
            {"ours": lambda durable=durable: ours(f"sqlite:///{folder}/{next(counter)}.db", durable=durable, alone=True)},
        )
        yield (
            f"PostgreSQL, {word}",
            lambda durable=durable: bare_postgres(server.database(), durable=durable),
            {
                "ours, alone": lambda durable=durable: ours(server.database(), durable=durable, alone=True),
                "ours, side by side": lambda durable=durable: ours(server.database(), durable=durable, alone=False),
            },
        )


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    server = PostgresServer(safe=True)
    print("| database | writers | bare driver, commits/s | CPU µs | by | commits/s | of the floor | CPU µs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    try:
        with tempfile.TemporaryDirectory(prefix="perenne-bench-", dir=Path.cwd()) as folder:
            for name, floor, contenders in cases(Path(folder), server):
                for threads in (1, 16):
                    compare(name, threads, {"floor": floor, **contenders}, options)
    finally:
        server.stop()


def compare(name: str, threads: int, contenders: dict[str, Any], options: argparse.Namespace) -> None:
    """Measure the floor and ours by turns, and print a line for each of ours."""
    found: dict[str, list[tuple[float, float]]] = {contender: [] for contender in contenders}
    for _ in range(options.repeats):
        for contender, opened in contenders.items():
            with opened() as make:
                found[contender].append(rate(make, threads, options.seconds))
    medians = {who: [statistics.median(column) for column in zip(*rows, strict=True)] for who, rows in found.items()}
    base, base_cpu = medians.pop("floor")
    for who, (speed, cpu) in medians.items():
        print(
            f"| {name} | {threads} | {base:,.0f} | {base_cpu:.0f} | {who} | {speed:,.0f} | {speed / base:.2f} | {cpu:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
