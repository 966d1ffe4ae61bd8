"""Label objects that nothing refers to any more go after a day: whoever reads by an older snapshot still finds them.

A window's labelled rows are kept as one object, written anew as labels arrive. A backup that has read its tables copies objects
for a while afterwards; it counts on each one that its tables name.
"""

import msgspec

from perenne.core.clock import DAY
from perenne.monitoring import row_store
from perenne.monitoring.guards import store as guard_store
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace

DISCARD = "labels.discard"
GRACE = DAY
_LATER = 10
"""Behind whatever else is to be done in passing."""


class Discarded(msgspec.Struct, frozen=True):
    """The payload of the job: the object."""

    digest: str


def discard_later(tx: Transaction, digest: str) -> None:
    """Have an object deleted a day after the change that let go of it."""
    jobs.enqueue(tx, DISCARD, Discarded(digest), delay=GRACE, priority=_LATER)


def discard(workspace: Workspace, job: Job) -> None:
    """Delete an object, unless something refers to it again, or still: two windows may have the same labels."""
    digest = msgspec.json.decode(job.payload, type=Discarded).digest
    with workspace.database.read() as tx:
        referred = row_store.refers_to(tx, digest) or guard_store.refers_to(tx, digest)
    if not referred:
        workspace.objects.delete(digest)
    workspace.database.write(lambda tx: jobs.finish(tx, job), durable=False)
