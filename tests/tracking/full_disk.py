"""Logs and seals until the disk refuses, then with room again. `full_disk.py FOLDER` exits with 0 if everything held."""

import resource
import sys
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Unavailable
from perenne.storage.database import Database
from perenne.tracking import history, logs, sealing, service
from perenne.tracking.model import Metric
from perenne.tracking.tables import run_point

ME = Principal("writer", roles=frozenset(Role))


def limit_files(size: int) -> None:
    """Limit how long a file of this process may get, as a full disk would."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def put(database: Database, run: str, batch: int) -> None:
    points = [Metric("m", float(place), place, place) for place in range(batch * 500, (batch + 1) * 500)]
    database.write(partial(logs.log_batch, actor=ME, identity=run, metrics=points), durable=False, alone=False)


def fill(database: Database, run: str) -> int:
    """Log until that is refused; return how many batches were kept."""
    for batch in range(1_000):
        try:
            put(database, run, batch)
        except Unavailable as error:
            if error.code != "database.unavailable":
                raise
            return batch
    raise AssertionError("the disk was never full")


def steps(database: Database, run: str) -> list[int]:
    with database.read() as tx:
        assert database.backend.check(tx) == "ok"
        return [point.step for point in history.history(tx, ME, run, "m")]


def rows(database: Database) -> int:
    with database.read() as tx:
        return int(tx.scalar(sa.select(sa.func.count()).select_from(run_point)))


def main(folder: Path) -> None:
    """Fill the disk by logging, then by sealing."""
    with Database.open(f"sqlite:///{folder}/full.db") as database:
        run = database.write(lambda tx: service.create_run(tx, ME, 0))
        limit_files(4_000_000)
        written = fill(database, run.id)
        assert written > 1
        assert steps(database, run.id) == list(range(written * 500)), "what was acknowledged, whole, and nothing else"
        limit_files(1_000)
        with pytest.raises(Unavailable):
            sealing.seal_run(database, run.number)
        assert rows(database) == written * 500, "no row went without its chunk"
        limit_files(resource.RLIM_INFINITY)
        put(database, run.id, written)
        assert sealing.seal_run(database, run.number) == (written + 1) * 500
        assert (rows(database), steps(database, run.id)) == (0, list(range((written + 1) * 500)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
