"""Kills processes that log and seal, and looks at what they leave. Run as a program: `log_trials.py URL FIRST_SEED TRIALS`.

Each trial forks a child that opens the database and from several threads starts runs, logs numbered points with a parameter and
a tag, single and many at once, and ends runs, while another thread seals whatever there is. It says so through a pipe after each
change. It dies by SIGKILL after so many steps of the interpreter (even seeds) or at some moment (odd ones). Then the parent
checks that all that was acknowledged is there, that no point is there twice, and that each change is there whole or not at all.
"""

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from tests.dying import die_after

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.storage.database import Database, Transaction
from perenne.tracking import chunks, keys, logs, sealing, service
from perenne.tracking.model import Metric, Param, RunState, Tag
from perenne.tracking.tables import run, run_chunk, run_latest, run_param, run_point, run_tag

ME = Principal("writer", roles=frozenset(Role))
THREADS = 8
STEPS = 150_000
SECONDS = 0.6
AT_ONCE = (1, 1, 1, 40, 200)


def log_for_ever(url: str, said: int, seed: int) -> None:
    """Be the child."""
    database = Database.open(url)
    threads = [threading.Thread(target=log_in_thread, args=(database, said, f"{seed}-{n}")) for n in range(THREADS)]
    threads.append(threading.Thread(target=seal_in_thread, args=(database,)))
    if seed % 2 == 0:
        die_after(random.Random(seed).randrange(1, STEPS), in_threads=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def log_in_thread(database: Database, said: int, name: str) -> None:
    """Log points whose value is their number, each change with a parameter and a tag that say up to where."""
    drawn = random.Random(name)

    def say(*words: object) -> None:
        os.write(said, f"{' '.join(map(str, words))}\n".encode())

    number = 0
    while True:
        identity = database.submit(lambda tx: service.create_run(tx, ME, 0).id).result()
        say("run", identity)
        for _ in range(drawn.randrange(2, 30)):
            first, number = number, number + drawn.choice(AT_ONCE)
            change = logging(identity, first, number, drawn)
            single = change.func is logs.log_metric
            database.submit(change, durable=False, alone=drawn.random() < 0.1, loose=single).result()
            say("points", identity, first, number)
        ending = partial(service.update_run, actor=ME, identity=identity, state=RunState.FINISHED, ended=1)
        database.submit(ending).result()
        say("ended", identity)


def logging(identity: str, first: int, last: int, drawn: random.Random) -> "partial[Any]":
    """Return a change that logs some points, a single one without more or with a mark."""
    key = drawn.choice("ab")
    points = [Metric(key, float(place), place, place) for place in range(first, last)]
    if len(points) == 1 and drawn.random() < 0.5:
        return partial(logs.log_metric, actor=ME, identity=identity, metric=points[0])
    params, tags = [Param(f"p{first}", str(last))], [Tag(f"t{first}", str(last))]
    return partial(logs.log_batch, actor=ME, identity=identity, metrics=points, params=params, tags=tags)


def seal_in_thread(database: Database) -> None:
    """Seal runs, the newest first, whether they have ended or not."""
    while True:
        with database.read() as tx:
            numbers = list(tx.execute(sa.select(run.c.number).order_by(run.c.number.desc()).limit(2 * THREADS)).scalars())
        for number in numbers:
            sealing.seal_run(database, number)
        time.sleep(0.001)


def trial(url: str, seed: int) -> list[list[str]]:
    """Run one child and return the words of each line it said."""
    hear, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(hear)
            log_for_ever(url, said, seed)
        finally:
            os._exit(1)
    os.close(said)
    if seed % 2:
        time.sleep(random.Random(seed).uniform(0.1, SECONDS))
        os.kill(child, signal.SIGKILL)
    with os.fdopen(hear) as stream:
        lines = [line.split() for line in stream if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"seed {seed}: the child ended by itself: {status}"
    return lines


def kept_points(tx: Transaction) -> Iterator[tuple[int, int]]:
    """Go through the run and step of each point, in rows and chunks, as often as it is there."""
    for row in tx.execute(sa.select(run_point.c.run, run_point.c.step)):
        yield row.run, row.step
    for row in tx.execute(sa.select(run_chunk.c.run, run_chunk.c.count.label("points"), run_chunk.c.body)):
        for step in chunks.decode(row.body, row.points).step.tolist():
            yield row.run, step


def check(database: Database, acknowledged: list[list[str]], seed: int) -> None:
    """Compare what is there with what was acknowledged."""
    with database.read() as tx:
        assert database.backend.check(tx) == "ok", seed
        there = Counter(kept_points(tx))
        numbers = {row.id: row.number for row in tx.execute(sa.select(run.c.id, run.c.number))}
        ended = set(tx.execute(sa.select(run.c.id).where(run.c.state == RunState.FINISHED)).scalars())
        marked = [set(marks(tx, table)) for table in (run_param, run_tag)]
        newest = sa.select(run_latest.c.run, sa.func.max(run_latest.c.step).label("step")).group_by(run_latest.c.run)
        latest = {row.run: row.step for row in tx.execute(newest)}
        verdict = audit.verify(tx)
    doubled = [point for point, times in there.items() if times > 1]
    assert not doubled, f"seed {seed}: doubled: {doubled[:5]}"
    for kind, identity, *rest in acknowledged:
        assert identity in numbers, f"seed {seed}: a run is lost: {identity}"
        if kind == "ended":
            assert identity in ended, f"seed {seed}: an end is lost: {identity}"
        lost = [step for step in range(*map(int, rest)) if (numbers[identity], step) not in there] if rest else []
        assert not lost, f"seed {seed}: acknowledged and lost: {lost[:5]} of {identity}"
    assert marked[0] == marked[1], f"seed {seed}: half a change"
    for number, first, last in marked[0]:
        assert all((number, step) in there for step in range(first, last)), f"seed {seed}: half a change"
    for number, step in there:
        assert latest[number] >= step, f"seed {seed}: the last point is not the last"
    assert verdict.bad_seq is None, seed


def marks(tx: Transaction, table: sa.Table) -> Iterator[tuple[int, int, int]]:
    """Go through run, first and last number of the changes that left a parameter or a tag."""
    rows = tx.execute(sa.select(table.c.run, table.c.key, table.c.value)).all()
    names = keys.names_of(tx, {row.key for row in rows})
    for row in rows:
        if names[row.key][1:].isdecimal():
            yield row.run, int(names[row.key][1:]), int(row.value)


def main(url: str, first: int, trials: int) -> None:
    """Run trials on one database, seal what is left; print how many points were acknowledged and how many are sealed."""
    Database.open(url).close()
    acknowledged: list[list[str]] = []
    for seed in range(first, first + trials):
        acknowledged += trial(url, seed)
        with Database.open(url) as database:
            check(database, acknowledged, seed)
    with Database.open(url) as database:
        with database.read() as tx:
            numbers = list(tx.execute(sa.select(run.c.number)).scalars())
        for number in numbers:
            sealing.seal_run(database, number)
        check(database, acknowledged, first)
    with Database.open(url) as database, database.read() as tx:
        sealed = tx.scalar(sa.select(sa.func.coalesce(sa.func.sum(run_chunk.c.count), 0)))
    print(sum(int(rest[1]) - int(rest[0]) for _, _, *rest in acknowledged if rest), sealed)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
