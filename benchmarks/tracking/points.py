"""What a point of a metric costs in our tables: bytes as a row and sealed, writing, sealing, and reading for a chart.

    python benchmarks/tracking/points.py [--points 1000000] [--databases sqlite,postgresql]

In process, without a server in front: a loss curve with noise and uneven times, logged a thousand points at a time. Bytes are
those of the tables of points and chunks with their indexes; what lies free in them and will be used again is left out.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.postgres import PostgresServer

from perenne.auth.principals import local_principal
from perenne.storage.database import Database
from perenne.tracking import Metric, history, logs, sealing, service

T = TypeVar("T")

ME = local_principal()
AT_ONCE = 1_000


def drawn(count: int) -> list[Metric]:
    """Return the points of a training."""
    dice = np.random.default_rng(0)
    losses = np.exp(-3 * np.arange(count) / count) + dice.normal(0, 0.02, count)
    times = 1_700_000_000_000 + np.cumsum(dice.integers(45, 60, count))
    told = zip(losses.tolist(), times.tolist(), range(count), strict=True)
    return [Metric("loss", loss, time, step) for loss, time, step in told]


@contextmanager
def opened(kind: str) -> Iterator[Database]:
    """Make an empty database."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder, Database.open(f"sqlite:///{folder}/points.db") as database:
            yield database
    else:
        server = PostgresServer(safe=True)
        try:
            with Database.open(server.database()) as database:
                yield database
        finally:
            server.stop()


def size(database: Database) -> int:
    """Return the bytes that points and chunks take."""
    path = database.url.database or ""
    if database.url.get_backend_name() == "sqlite":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            page, used, free = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
            )
        return int(page * (used - free))
    with database.backend.writing.connect() as connection:
        connection.exec_driver_sql("VACUUM FULL run_point")
        found = connection.exec_driver_sql("SELECT pg_total_relation_size('run_point') + pg_total_relation_size('run_chunk')")
        return int(found.scalar_one())


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """Run something; return what came of it, the seconds it took and the CPU seconds of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - started, time.process_time() - cpu


def put(database: Database, run: str, points: list[Metric]) -> None:
    """Log all of them."""
    for place in range(0, len(points), AT_ONCE):
        part = points[place : place + AT_ONCE]
        database.write(partial(logs.log_batch, actor=ME, identity=run, metrics=part), durable=False, alone=False)


def thinned(database: Database, run: str) -> None:
    """Read what a chart draws."""
    with database.read() as tx:
        history.curves(tx, ME, [run], "loss")


def measure(kind: str, points: list[Metric]) -> None:
    """Print a row for one kind of database."""
    count = len(points)
    with opened(kind) as database:
        run = database.write(lambda tx: service.create_run(tx, ME, 0))
        empty = size(database)
        _, writing, writing_cpu = timed(lambda: put(database, run.id, points))
        rows = (size(database) - empty) / count
        _, from_rows, _ = timed(lambda: thinned(database, run.id))
        _, sealing_, sealing_cpu = timed(lambda: sealing.seal_run(database, run.number))
        chunks = (size(database) - empty) / count
        _, from_chunks, _ = timed(lambda: thinned(database, run.id))
    figures = (
        f"{count / writing:,.0f}", f"{writing_cpu / count * 1e6:.1f}", f"{rows:.1f}", f"{chunks:.1f}",
        f"{count / sealing_:,.0f}", f"{sealing_cpu / count * 1e6:.1f}", f"{from_rows:.2f}", f"{from_chunks:.2f}",
    )  # fmt: skip
    print(f"| {kind} | {' | '.join(figures)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    options = parser.parse_args()
    points = drawn(options.points)
    titles = ("database", "written/s", "CPU µs", "bytes as row", "bytes sealed", "sealed/s", "CPU µs", "chart from rows s")
    print(f"| {' | '.join((*titles, 'chart from chunks s'))} |\n|{' --- |' * 9}")
    for kind in options.databases.split(","):
        measure(kind, points)


if __name__ == "__main__":
    main()
