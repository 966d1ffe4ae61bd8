"""Kills processes that run a pipeline, lets others finish it, and looks at what came out.

Run as a program: `crash_rounds.py FOLDER FIRST_SEED ROUNDS [postgresql]`. Each round forks one to four children that run the same
pipeline on the same database at once. A child dies by SIGKILL after so many calls of functions (half of them), or at some moment;
how many, how and when is drawn from the seed of the round. After one or two such waves a last child finishes the run. Then

- its output must be what plain Python computes,
- no step may have begun more often than there were kills, plus one,
- nothing may be left claimed, and a further run must find everything done.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from tests.dying import die_after
from tests.postgres import PostgresServer

from perenne.compute import ThreadExecutor
from perenne.pipelines import Engine, PipelineRun, current, pipeline, step
from perenne.pipelines.store import flow_run
from perenne.pipelines.store import step as table
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects

LOG = "CRASH_LOG"
URL = "CRASH_DATABASE"
CALLS = 40_000
SECONDS = 0.25


def begun(name: str) -> None:
    """Note that a step has begun, whatever becomes of it."""
    if LOG in os.environ:
        handle = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{name}\n".encode())
        os.close(handle)
        time.sleep(random.random() * 0.004)


@step
def items(count: int) -> list[int]:
    begun("items")
    return list(range(count))


@step
def spread(item: int) -> NDArray[Any]:
    begun(f"spread {item}")
    return np.arange(4_000.0) + item


@step
def write(array: NDArray[Any], place: int) -> Path:
    begun(f"write {place}")
    folder = current().folder / "out"
    folder.mkdir()
    (folder / "sum.txt").write_text(f"{array.sum():.0f}")
    return folder


@step
def read(folder: Path, last: float, place: int) -> float:
    begun(f"read {place}")
    return last + float((folder / "sum.txt").read_text())


@step
def gather(arrays: list[NDArray[Any]], chain: float) -> float:
    begun("gather")
    return chain + sum(float(array[-1]) for array in arrays)


@pipeline
def flow(count: int, length: int) -> float:
    arrays = spread.map(items(count))
    value = 0.0
    for place in range(length):
        value = read(write(spread(100 + place), place), value, place)
    return gather(arrays, value)


def run(folder: Path, shape: tuple[int, int], threads: int) -> PipelineRun:
    executor = ThreadExecutor(threads) if threads > 1 else None
    with open_database(folder) as database:
        engine = Engine(database, FileObjects(folder / "objects"), executor=executor)
        with engine:
            return engine.run(flow, *shape)


def open_database(folder: Path) -> Database:
    return Database.open(os.environ.get(URL) or f"sqlite:///{folder}/crash.db")


def child(folder: Path, shape: tuple[int, int], threads: int, calls: int | None) -> int:
    """Fork a process that runs the pipeline, and return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            if calls is not None:
                die_after(calls)
            found = run(folder, shape, threads)
            (folder / "output").write_text(repr((found.state.value, found.output, found.hits == len(found.steps))))
            os._exit(0)
        except BaseException as error:
            print(f"child failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(9)
    return pid


def wave(folder: Path, shape: tuple[int, int], dice: random.Random) -> int:
    """Start some children at once, kill some of them, and return how many died of it."""
    doomed: dict[int, float] = {}
    start = time.monotonic()
    for _ in range(dice.randint(1, 4)):
        calls = dice.randint(1, CALLS) if dice.random() < 0.5 else None
        pid = child(folder, shape, dice.choice([1, 1, 3]), calls)
        doomed[pid] = start + (60.0 if calls is not None else dice.random() * SECONDS)
    killed = 0
    while doomed:
        for pid in [pid for pid, moment in doomed.items() if moment < time.monotonic()]:
            os.kill(pid, signal.SIGKILL)
            doomed[pid] = float("inf")
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            del doomed[done]
            killed += os.WIFSIGNALED(status)
            assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"child ended with {status}"
        else:
            time.sleep(0.002)
    return killed


def play(folder: Path, seed: int) -> None:
    """Play one round."""
    dice = random.Random(seed)
    folder.mkdir()
    shape = (dice.randint(0, 6), dice.randint(1, 4))
    os.environ.pop(LOG, None)
    expected = flow(*shape)
    os.environ[LOG] = str(folder / "log")
    kills = sum(wave(folder, shape, dice) for _ in range(dice.randint(1, 2)))
    for last in (False, True):
        _, status = os.waitpid(child(folder, shape, 1, None), 0)
        assert status == 0, f"seed {seed}: the last child ended with {status}"
        state, output, all_hits = eval((folder / "output").read_text())
        assert (state, output) == ("done", expected), f"seed {seed}: {state}, {output} instead of {expected}"
        assert all_hits or not last, f"seed {seed}: a further run did not find everything done"
    begins = Counter((folder / "log").read_text().splitlines())
    assert max(begins.values()) <= kills + 1, f"seed {seed}: {begins} after {kills} kills"
    with open_database(folder) as database, database.read() as tx:
        assert not tx.execute(sa.select(table.c.name).where(table.c.state != "done")).all(), f"seed {seed}: something is undone"
        assert set(tx.execute(sa.select(flow_run.c.state)).scalars()) <= {"done", "lost"}, f"seed {seed}: a run is still open"


def main() -> None:
    folder, first, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    server = PostgresServer() if sys.argv[4:] == ["postgresql"] else None
    for seed in range(first, first + rounds):
        if server is not None:
            os.environ[URL] = server.database()
        play(folder / str(seed), seed)
        if server is not None:
            server.drop(os.environ[URL])
    if server is not None:
        server.stop()
    print(f"{rounds} rounds from seed {first}")


if __name__ == "__main__":
    main()
