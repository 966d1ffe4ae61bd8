"""Several processes open one new database at the same moment and write audit records. `many_writers.py URL PROCESSES RECORDS`.

Prints how many records a verified trail has, and how many jobs made with one key each there are.
"""

import os
import sys
from functools import partial

import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.events import Event
from perenne.storage import jobs
from perenne.storage.database import Database, Transaction


class Nothing(Event, frozen=True):
    """A payload."""

    name = "nothing"


def write(url: str, process: int, records: int) -> None:
    with Database.open(url) as database:
        for number in range(records):
            database.write(partial(change, process=process, number=number), durable=number % 2 == 0)


def change(tx: Transaction, process: int, number: int) -> None:
    jobs.enqueue(tx, "nothing", Nothing(), key=f"{process}-{number}")
    audit.record(tx, Principal(f"process {process}"), "thing.make", "thing", str(number))


def main(url: str, processes: int, records: int) -> None:
    """Fork the writers, let them go at once, wait, and verify."""
    wait, go = os.pipe()
    children = []
    for process in range(processes):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)  # returns when the parent lets go of the other end
            status = 1
            try:
                write(url, process, records)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(go)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * processes
    with Database.open(url) as database, database.read() as tx:
        verdict = audit.verify(tx)
        assert verdict.bad_seq is None, verdict
        print(verdict.records, tx.scalar(sa.select(sa.func.count()).select_from(jobs.table)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
