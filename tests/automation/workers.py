"""A worker with jobs of its own for the tests, as a program: `workers.py work GRACE [SLOTS]`; its children: `workers.py child`.

A job of kind `work` adds a row to the table `worked` in the transaction that finishes it. What it does before is in its payload.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import sqlalchemy as sa

from perenne.automation.children import run_child
from perenne.automation.worker import Handler
from perenne.automation.workforce import Workforce
from perenne.core.config import load_settings
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace

worked = sa.Table(
    "worked",
    sa.MetaData(),
    sa.Column("number", sa.BigInteger),
    sa.Column("job", sa.Text),
    sa.Column("attempt", sa.Integer),
)


class Work(msgspec.Struct, frozen=True):
    """What a job does: note its process, and sleep, in native code if need be so that only a kill ends it; or die."""

    number: int = 0
    seconds: float = 0.0
    deaf: bool = False
    dies: bool = False
    note: str = ""


def do_work(workspace: Workspace, job: Job) -> None:
    """Do a job."""
    work = msgspec.json.decode(job.payload, type=Work)
    workspace.database.write(lambda tx: jobs.note_progress(tx, job, 0.5, f"process {os.getpid()}"))
    if work.note:
        Path(work.note).write_text(str(os.getpid()))
    if work.dies:
        os.kill(os.getpid(), signal.SIGKILL)
    if work.deaf:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        ctypes.PyDLL(None).sleep(int(work.seconds))  # holds the interpreter: no thread of Python runs meanwhile
    else:
        time.sleep(work.seconds)

    def keep(tx: Transaction) -> None:
        tx.execute(worked.insert(), {"number": work.number, "job": job.id, "attempt": job.attempt})
        jobs.finish(tx, job)

    workspace.database.write(keep)


def handlers(workspace: Workspace) -> Mapping[str, Handler]:
    """Return who does what."""
    return {"work": do_work}


def workforce(workspace: Workspace, *, slots: int = 1, patience: float = 1.0) -> Workforce:
    """Return workers for the jobs of the tests: `work` in a child, `quick` here."""
    command = [sys.executable, str(Path(__file__).resolve()), "child"]
    return Workforce(workspace, {"quick": do_work}, ["work"], command, slots=slots, patience=patience)


def main(grace: float, slots: int) -> None:
    """Work until told to stop."""
    with Workspace(load_settings()) as workspace:
        force = workforce(workspace, slots=slots)
        signal.signal(signal.SIGTERM, lambda *_: force.drain(grace))
        force.start()
        print("ready", flush=True)
        while not force.join(0.2):
            pass


if __name__ == "__main__":
    if sys.argv[1] == "child":
        run_child(handlers)
    else:
        main(float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
