"""How long a job lies still after `kill -9` of the process that did it, until another has it.

    python benchmarks/storage/takeover.py [--database sqlite|postgresql] [--repeats 5]

Two worker processes wait for jobs. The one that gets a job is killed in the middle of it, and the clock runs until its next
attempt has begun in the other. On the same machine a dead owner is seen at once; that of another machine only when its lease, 30
seconds, runs out: for that the owner's name is changed in the database to one of another machine, and the lease's last renewal
counts, so that a kill right after one waits longest.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.postgres import PostgresServer

from perenne.storage import jobs
from perenne.storage.database import Database, Transaction

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import time
from perenne.automation.workforce import Workforce
from perenne.storage.workspace import Workspace

with Workspace() as workspace:
    force = Workforce(workspace, {"bench": lambda workspace, job: time.sleep(3600)})
    force.start()
    time.sleep(3600)
"""


class Nothing(msgspec.Struct, frozen=True):
    """A payload."""


def start_worker(home: Path, url: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PERENNE_HOME": str(home), "PERENNE_DATABASE": url, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen([sys.executable, "-c", WORKER], env=environment)


def wait_for(database: Database, identity: str, attempt: int) -> jobs.Job:
    """Wait until an attempt of the job has begun."""
    while True:
        with database.read() as tx:
            job = jobs.get_job(tx, identity)
        if job is not None and job.state == "running" and job.attempt >= attempt:
            return job
        time.sleep(0.005)


def takeover(home: Path, url: str, *, elsewhere: bool) -> float:
    """Return the seconds from the kill to the next attempt."""
    workers = [start_worker(home, url) for _ in range(2)]
    try:
        with Database.open(url) as database:
            identity = database.write(lambda tx: jobs.enqueue(tx, "bench", Nothing()))
            job = wait_for(database, identity, 1)
            assert job.owner is not None
            pid = int(job.owner.split("|")[1])
            time.sleep(1)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            if elsewhere:
                owner = "anotherhost|" + job.owner.partition("|")[2]

                def move(tx: Transaction) -> int:
                    return tx.execute(jobs.table.update().where(jobs.table.c.id == identity).values(owner=owner)).rowcount

                database.write(move)
            wait_for(database, identity, 2)
            return time.monotonic() - killed
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    server = PostgresServer(safe=True) if options.database == "postgresql" else None
    print("| database | the dead process was | median s | at most s |\n| --- | --- | --- | --- |")
    try:
        for elsewhere, repeats in ((False, options.repeats), (True, max(1, options.repeats // 2))):
            found = []
            for _ in range(repeats):
                with tempfile.TemporaryDirectory(prefix="perenne-bench-") as folder:
                    url = server.database() if server is not None else f"sqlite:///{folder}/perenne.db"
                    found.append(takeover(Path(folder), url, elsewhere=elsewhere))
            where = "on another machine" if elsewhere else "on this machine"
            print(f"| {options.database} | {where} | {statistics.median(found):.2f} | {max(found):.2f} |", flush=True)
    finally:
        if server is not None:
            server.stop()


if __name__ == "__main__":
    main()
