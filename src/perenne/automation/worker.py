"""A worker that does jobs in its own thread, one after another; and what every worker does around a job."""

import logging
from collections.abc import Callable, Mapping

from perenne.core.errors import Conflict
from perenne.storage import jobs
from perenne.storage.jobs import LEASE, Job
from perenne.storage.owners import LeaseKeeper, owner_token
from perenne.storage.workspace import Workspace
from perenne.telemetry import tracing

log = logging.getLogger("perenne.worker")

Handler = Callable[[Workspace, Job], None]
"""Does a job, and finishes it in the transaction that keeps its result."""


def carry_out(workspace: Workspace, handler: Handler, job: Job) -> None:
    """Do a job. What goes wrong is noted, and the job left to be tried again; what another took over is dropped."""
    try:
        with tracing.span(f"job {job.kind}", {"perenne.job": job.id, "perenne.attempt": job.attempt}, kind="consumer"):
            handler(workspace, job)
    except Exception as error:
        if isinstance(error, Conflict) and error.code == "job.lost":
            log.warning("job %s (%s) was taken over by another worker", job.id, job.kind)
            return
        log.warning("job %s (%s) failed in attempt %d", job.id, job.kind, job.attempt, exc_info=error)
        settle(workspace, job, f"{type(error).__name__}: {error}")
    else:
        settle(workspace, job, "its handler ended without a result")


def settle(workspace: Workspace, job: Job, error: str) -> None:
    """Note a failure, unless the job has ended or is another worker's by now."""
    with workspace.database.read() as tx:
        now = jobs.get_job(tx, job.id)
    if now is None or (now.state, now.attempt, now.owner) != ("running", job.attempt, job.owner):
        return
    try:
        workspace.database.write(lambda tx: jobs.fail(tx, job, error))
    except Conflict:
        return


def take_back_lost(workspace: Workspace) -> int:
    """Give jobs of dead workers back to the queue, whatever their kind; return how many."""
    with workspace.database.read() as tx:
        lost = jobs.lost_jobs(tx)
    taken = 0
    for job in lost:
        if workspace.database.write(lambda tx, job=job: jobs.take_back(tx, job), alone=False):  # type: ignore[misc]
            log.warning("job %s (%s) lost its worker in attempt %d", job.id, job.kind, job.attempt)
            taken += 1
    return taken


class Worker:
    """Does jobs of the kinds it has handlers for, in the thread that asks.

    Parameters
    ----------
    workspace : Workspace
        Where jobs wait and results go.
    handlers : mapping
        For each kind of job the function that does it.
    """

    def __init__(self, workspace: Workspace, handlers: Mapping[str, Handler]) -> None:
        self._workspace = workspace
        self._handlers = dict(handlers)
        self.owner = owner_token()

    @property
    def kinds(self) -> list[str]:
        """The kinds of job it can do."""
        return list(self._handlers)

    def run_one(self) -> bool:
        """Do the most urgent job that is due; tell whether there was one."""
        take_back_lost(self._workspace)
        job = self._workspace.database.write(lambda tx: jobs.claim(tx, self.owner, self.kinds), alone=False)
        if job is None:
            return False
        keeper = LeaseKeeper(lambda: self._renew(job), LEASE)
        keeper.start()
        try:
            carry_out(self._workspace, self._handlers[job.kind], job)
        finally:
            keeper.stop()
        return True

    def drain(self) -> int:
        """Do jobs until none is due, and return how many there were."""
        count = 0
        while self.run_one():
            count += 1
        return count

    def _renew(self, job: Job) -> None:
        try:
            self._workspace.database.write(lambda tx: jobs.heartbeat(tx, job))
        except Conflict:
            return  # another worker has the job; its result counts
