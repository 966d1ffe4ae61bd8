"""Kills workers in the middle of their jobs, lets others go on, and counts what the jobs did.

Run as a program: `worker_crashes.py FOLDER FIRST_SEED KILLS [DATABASE_URL]`. Each round queues jobs, some with idempotency keys,
and forks workers that do them: each job adds a row to a table and emits an event in the transaction that finishes it, and the
event's subscriber adds another row. Workers die by SIGKILL, after so many calls of functions or at some moment; some are stopped
instead, half of them longer than their lease, and go on when others have their jobs. How many, how and when is drawn from the
round's seed. At the end, and after all keys were queued again, every job and event must have had its effect exactly once, and
none be open.
"""

import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import msgspec
import sqlalchemy as sa
from tests.dying import die_after

from perenne.automation.workforce import Workforce
from perenne.core.clock import SECOND
from perenne.core.config import load_settings
from perenne.core.events import Event
from perenne.storage import jobs
from perenne.storage.database import Database, Transaction
from perenne.storage.jobs import Job
from perenne.storage.outbox import Outbox, emit
from perenne.storage.workspace import Workspace

JOBS = 24
CALLS = 60_000
SECONDS = 0.5
LEASE = SECOND // 2

effects = sa.Table("crash_effect", sa.MetaData(), sa.Column("number", sa.BigInteger), sa.Column("what", sa.Text))


class Number(msgspec.Struct, frozen=True):
    """The payload of a job."""

    number: int


class Worked(Event, frozen=True):
    """A job was done."""

    name = "crash.worked"
    number: int


def add(tx: Transaction, number: int, what: str) -> None:
    tx.execute(effects.insert(), {"number": number, "what": what})


def work(workspace: Workspace, job: Job) -> None:
    """Do a job: say so, and have its effect."""
    number = msgspec.json.decode(job.payload, type=Number).number
    workspace.database.write(lambda tx: jobs.note_progress(tx, job, 0.5, "half"), durable=False)
    if number % 3 == 0:
        time.sleep(random.random() * 0.02)

    def keep(tx: Transaction) -> None:
        add(tx, number, "job")
        emit(tx, Worked(number=number))
        jobs.finish(tx, job)

    workspace.database.write(keep, durable=False)


def receive(tx: Transaction, event: Worked) -> None:
    add(tx, event.number, "event")


def outbox_of(database: Database) -> Outbox:
    return Outbox(database, {Worked: [receive]})


def open_workspace(folder: Path, url: str) -> Workspace:
    return Workspace(load_settings(folder, {"PERENNE_DATABASE": url}))


def open_jobs(database: Database) -> int:
    with database.read() as tx:
        ended = jobs.table.c.state.in_(["done", "failed", "cancelled"])
        open_ = sa.select(sa.func.count()).select_from(jobs.table).where(~ended)
        undelivered = sa.select(sa.func.count()).select_from(outbox_table).where(outbox_table.c.state == "waiting")
        return int(tx.scalar(open_)) + int(tx.scalar(undelivered))


outbox_table = sa.table("outbox", sa.column("state"))


def run_worker(folder: Path, url: str, slots: int) -> None:
    """Be a worker: do jobs and deliver events until nothing is open."""
    with open_workspace(folder, url) as workspace:
        forces = [Workforce(workspace, {"crash": work}, lease=LEASE) for _ in range(slots)]
        for force in forces:
            force.start()
        box = outbox_of(workspace.database)
        while open_jobs(workspace.database):
            box.deliver()
            time.sleep(0.01)
        for force in forces:
            force.drain()
            force.join()


def child(folder: Path, url: str, slots: int, calls: int | None) -> int:
    """Fork a worker and return its number."""
    pid = os.fork()
    if pid == 0:
        try:
            if calls is not None:
                die_after(calls, in_threads=True)
            run_worker(folder, url, slots)
            os._exit(0)
        except BaseException as error:
            print(f"worker failed: {error!r}", file=sys.stderr, flush=True)
            os._exit(9)
    return pid


def queue_jobs(database: Database, first: int) -> None:
    for number in range(first, first + JOBS):
        key = f"key {number}" if number % 2 else None
        database.write(partial(jobs.enqueue, kind="crash", payload=Number(number), key=key, attempts_allowed=100), durable=False)


def queue_again(database: Database, first: int) -> None:
    """Queue every job that has a key once more: nothing may come of it."""
    for number in range(first + 1, first + JOBS, 2):
        database.write(partial(jobs.enqueue, kind="crash", payload=Number(number), key=f"key {number}"), durable=False)


def wave(folder: Path, url: str, dice: random.Random) -> int:
    """Start some workers at once, kill or stop some of them, and return how many died of it."""
    start = time.monotonic()
    moments: dict[int, tuple[float, int]] = {}
    for _ in range(dice.randint(1, 4)):
        calls = dice.randint(1, CALLS) if dice.random() < 0.5 else None
        pid = child(folder, url, dice.choice([1, 1, 2]), calls)
        moment = 5.0 if calls is not None else dice.random() * SECONDS
        moments[pid] = (start + moment, signal.SIGKILL if calls is not None or dice.random() < 0.7 else signal.SIGSTOP)
    killed = 0
    while moments:
        for pid, (moment, number) in list(moments.items()):
            if moment < time.monotonic():
                os.kill(pid, number)
                if number == signal.SIGSTOP:
                    time.sleep(2 * LEASE / SECOND if dice.random() < 0.5 else 0.05)
                    os.kill(pid, signal.SIGCONT)
                moments[pid] = (float("inf"), signal.SIGKILL)
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            del moments[done]
            killed += os.WIFSIGNALED(status)
            assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"a worker ended with {status}"
        else:
            time.sleep(0.005)
    return killed


def play(folder: Path, url: str, seed: int) -> int:
    """Play one round and return how many workers died."""
    dice = random.Random(seed)
    first = seed * 1_000
    with Database.open(url) as database:
        database.write(lambda tx: effects.create(tx.connection, checkfirst=True))
        queue_jobs(database, first)
    killed = 0
    for _ in range(dice.randint(1, 3)):
        killed += wave(folder, url, dice)
    with Database.open(url) as database:
        queue_again(database, first)
    _, status = os.waitpid(child(folder, url, 2, None), 0)
    assert status == 0, f"seed {seed}: the last worker ended with {status}"
    with Database.open(url) as database, database.read() as tx:
        rows = tx.execute(sa.select(effects.c.number, effects.c.what).where(effects.c.number >= first)).all()
        found = Counter((row.number, row.what) for row in rows if row.number < first + JOBS)
        expected = {(number, what): 1 for number in range(first, first + JOBS) for what in ("job", "event")}
        assert found == expected, f"seed {seed}: {found - Counter(expected)} too often, {Counter(expected) - found} missing"
        states = Counter(tx.execute(sa.select(jobs.table.c.state)).scalars())
        assert set(states) == {"done"}, f"seed {seed}: {states}"
    return killed


def main() -> None:
    """Play rounds until enough workers were killed, on a new SQLite database or a given one."""
    folder, first, wanted = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    url = sys.argv[4] if len(sys.argv) > 4 else f"sqlite:///{folder}/crash.db"
    killed = 0
    for seed in itertools.count(first):
        if killed >= wanted:
            break
        try:
            killed += play(folder, url, seed)
        except BaseException:
            print(f"seed {seed} failed", file=sys.stderr, flush=True)
            raise
    print(f"{killed} workers killed in {seed - first} rounds from seed {first}")


if __name__ == "__main__":
    main()
