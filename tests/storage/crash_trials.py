"""Kills processes that write, and looks at what they leave. Run as a program: `crash_trials.py FOLDER FIRST_SEED TRIALS [URL]`.

The database is a file in the folder, or an empty one of PostgreSQL at the URL.

Each trial forks a child that opens the database, puts objects and commits changes from several threads, and says so through a
pipe after each. The child dies by SIGKILL at a point drawn from the seed: after so many steps of the interpreter (even seeds,
half of them counted from the opening on), or at some moment (odd ones). Then the parent checks that nothing the child was told
is kept is lost or half there.
"""

import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from tests.dying import die_after

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.events import Event
from perenne.core.hashing import digest_bytes
from perenne.storage import jobs, outbox
from perenne.storage.database import Database, Transaction
from perenne.storage.objects import FileObjects

URL = "CRASH_DATABASE"
THREADS = 3
STEPS = 60_000
SECONDS = 0.3

kept = sa.Table("crash_kept", sa.MetaData(), sa.Column("name", sa.Text, primary_key=True), sa.Column("digest", sa.Text))


class Kept(Event, frozen=True):
    """Says that an object was kept."""

    name = "crash.kept"
    digest: str


def write_for_ever(folder: Path, said: int, seed: int) -> None:
    """Be the child: put an object, commit four rows about it in one transaction, say so, and again."""
    steps = random.Random(seed).randrange(1, STEPS)
    if seed % 4 == 0:
        die_after(steps, in_threads=True)
    database, objects = open_both(folder)
    database.write(lambda tx: kept.create(tx.connection, checkfirst=True))
    if seed % 4 == 2:
        die_after(steps, in_threads=True)
    threads = [threading.Thread(target=write_in_thread, args=(database, objects, said, f"{seed}-{n}")) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_in_thread(database: Database, objects: FileObjects, said: int, name: str) -> None:
    drawn = random.Random(name)
    number = 0
    while True:
        digest = objects.put(drawn.randbytes(drawn.choice([10, 5_000, 100_000])))
        key = f"{name}-{number}"
        database.submit(partial(note, name=key, digest=digest), durable=number % 2 == 0).result()
        os.write(said, f"{key} {digest}\n".encode())
        number += 1


def note(tx: Transaction, name: str, digest: str) -> None:
    tx.execute(kept.insert(), {"name": name, "digest": digest})
    jobs.enqueue(tx, "crash", Kept(digest=digest), key=name)
    outbox.emit(tx, Kept(digest=digest))
    audit.record(tx, Principal("child"), "object.keep", "object", name, after=digest)


def open_both(folder: Path) -> tuple[Database, FileObjects]:
    return Database.open(os.environ.get(URL) or f"sqlite:///{folder}/crash.db"), FileObjects(folder / "objects")


def trial(folder: Path, seed: int) -> list[str]:
    """Run one child and return the lines it said."""
    hear, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(hear)
            write_for_ever(folder, said, seed)
        finally:
            os._exit(1)
    os.close(said)
    if seed % 2:
        time.sleep(random.Random(seed).uniform(0, SECONDS))
        os.kill(child, signal.SIGKILL)
    with os.fdopen(hear) as stream:
        lines = [line for line in stream if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"seed {seed}: the child ended by itself: {status}"
    return lines


def check(folder: Path, acknowledged: dict[str, str], seed: int) -> None:
    database, objects = open_both(folder)
    with database, database.read() as tx:
        assert database.backend.check(tx) == "ok", seed
        there = sa.inspect(tx.connection).has_table("crash_kept")
        rows = {row.name: row.digest for row in tx.execute(sa.select(kept))} if there else {}
        lost = {name: digest for name, digest in acknowledged.items() if rows.get(name) != digest}
        assert not lost, f"seed {seed}: acknowledged and lost: {lost}"
        counts = [tx.scalar(sa.select(sa.func.count()).select_from(table)) for table in (audit.table, jobs.table, outbox.table)]
        assert counts == [len(rows)] * 3, f"seed {seed}: half a transaction: {counts} of {len(rows)}"
        verdict = audit.verify(tx)
        assert (verdict.bad_seq, verdict.records) == (None, len(rows)), f"seed {seed}: {verdict}"
    for digest in set(objects.digests()) | set(rows.values()):
        assert digest_bytes(objects.get(digest)) == digest, f"seed {seed}: a damaged object"


def main(folder: Path, first: int, trials: int) -> None:
    """Run trials, a new database now and then; print how many changes were acknowledged in all."""
    total = 0
    acknowledged: dict[str, str] = {}
    for group in range(first, first + trials, 5):
        home = folder / ("all" if URL in os.environ else str(group))
        home.mkdir(exist_ok=True)
        if URL not in os.environ:
            acknowledged = {}
        for seed in range(group, min(group + 5, first + trials)):
            lines = trial(home, seed)
            acknowledged |= dict(line.split() for line in lines)
            check(home, acknowledged, seed)
            total += len(lines)
    print(total)


if __name__ == "__main__":
    if len(sys.argv) > 4:
        os.environ[URL] = sys.argv[4]
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
