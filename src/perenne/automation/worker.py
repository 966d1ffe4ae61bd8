"""A worker: takes one leased job after another, keeps the lease while it works, and leaves failures to be tried again."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from perenne.core.clock import SECOND
from perenne.core.errors import Conflict
from perenne.core.ids import new_id
from perenne.storage import jobs
from perenne.storage.jobs import LEASE, Job
from perenne.storage.workspace import Workspace

Handler = Callable[[Workspace, Job], None]
"""Does a job, and finishes it in the transaction that keeps its result."""


class Worker:
    """Does jobs of the kinds it has handlers for.

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
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{new_id()[-6:]}"

    @property
    def kinds(self) -> list[str]:
        """The kinds of job it can do."""
        return list(self._handlers)

    def run_one(self) -> bool:
        """Do the oldest job that is due; tell whether there was one."""
        job = self._workspace.database.write(lambda tx: jobs.claim(tx, self.owner, self.kinds))
        if job is None:
            return False
        with self._lease(job):
            try:
                self._handlers[job.kind](self._workspace, job)
            except Conflict as error:
                if error.code != "job.lost":
                    self._fail(job, error)
            except Exception as error:
                self._fail(job, error)
        return True

    def drain(self) -> int:
        """Do jobs until none is due, and return how many there were."""
        count = 0
        while self.run_one():
            count += 1
        return count

    def _fail(self, job: Job, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        try:
            self._workspace.database.write(lambda tx: jobs.fail(tx, job, message))
        except Conflict:
            return  # another worker has the job; its result counts

    @contextmanager
    def _lease(self, job: Job) -> Iterator[None]:
        """Renew the lease in a thread of its own, so that long work in native code cannot let it run out."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE / SECOND / 3):
                try:
                    self._workspace.database.write(lambda tx: jobs.heartbeat(tx, job))
                except Conflict:
                    return

        thread = threading.Thread(target=renew, name="perenne-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
