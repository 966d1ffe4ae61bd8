"""Workers of one process: they claim jobs, do them here or in child processes, keep the leases, and stop in good order."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perenne.automation.children import JobProcess
from perenne.automation.worker import Handler, carry_out, settle, take_back_lost
from perenne.core.clock import SECOND
from perenne.core.errors import Conflict
from perenne.storage import jobs, steering
from perenne.storage.jobs import LEASE, Job
from perenne.storage.owners import owner_token
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.worker")

POLL_S = 0.2
TICK_S = 0.25
LOOK_S = 0.05
PATIENCE_S = 10.0
"""How long a child that was asked to stop has before it is killed."""
GRACE_S = 30.0


@dataclass
class _Run:
    """A job being done; `cancel` and `lost` are set by the thread that keeps the leases."""

    job: Job
    begun: float
    cancel: str | None = None
    lost: bool = False

    @property
    def late(self) -> bool:
        """Whether it has taken longer than it may."""
        limit = self.job.time_limit
        return limit is not None and time.monotonic() >= self.begun + limit / SECOND


class Workforce:
    """Several workers, each in a thread.

    Parameters
    ----------
    workspace : Workspace
        Where jobs wait and results go.
    quick : mapping
        Kinds of job that are done in this process, by one thread, and their handlers. They cannot be ended from outside.
    heavy : sequence of str
        Kinds of job that get a child process each, which is killed if a job takes too long or is cancelled.
    command : sequence of str
        The program of such a child: it calls `perenne.automation.children.run_child`.
    slots : int
        How many heavy jobs at once.
    patience : float
        Seconds between asking a child to stop and killing it.
    lease : int
        Microseconds after which a job is another's to take, unless it is prolonged.
    """

    def __init__(
        self,
        workspace: Workspace,
        quick: Mapping[str, Handler],
        heavy: Sequence[str] = (),
        command: Sequence[str] = (),
        *,
        slots: int = 1,
        patience: float = PATIENCE_S,
        lease: int = LEASE,
    ) -> None:
        self._workspace = workspace
        self._quick = dict(quick)
        self._heavy = list(heavy)
        self._command = list(command)
        self._patience = patience
        self._lease = lease
        self.owner = owner_token()
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()
        self._stop_claiming = threading.Event()
        self._hurry = threading.Event()
        self._ended = threading.Event()
        self._give_back_at = float("inf")
        self._threads = [
            threading.Thread(target=self._work, args=(self._heavy, n), name=f"perenne-slot-{n}")
            for n in range(slots if self._heavy else 0)
        ]
        if self._quick:
            self._threads.append(threading.Thread(target=self._work, args=(list(self._quick), -1), name="perenne-quick"))
        self._keeper = threading.Thread(target=self._keep, name="perenne-keeper")

    def start(self) -> None:
        """Begin to claim."""
        for thread in (self._keeper, *self._threads):
            thread.daemon = True
            thread.start()

    def drain(self, grace: float = GRACE_S) -> None:
        """Claim no more; what still runs after so many seconds is stopped and given back. Returns at once."""
        self._give_back_at = min(self._give_back_at, time.monotonic() + grace)
        self._stop_claiming.set()

    def hurry(self) -> None:
        """Kill what runs and give it back. Returns at once."""
        self._hurry.set()
        self.drain(0)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until a drained workforce has ended; tell whether it has."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        self._ended.set()
        self._keeper.join()
        return True

    @property
    def running(self) -> list[Job]:
        """The jobs being done now."""
        with self._lock:
            return [run.job for run in self._runs.values()]

    # --- a worker's thread --------------------------------------------------------------------------------------------

    def _work(self, kinds: list[str], slot: int) -> None:
        while not self._stop_claiming.is_set():
            try:
                job = self._claim(kinds)
            except Exception:
                log.exception("no job could be claimed; it is tried again")
                job = None
            if job is None:
                self._stop_claiming.wait(POLL_S)
            else:
                self._do(job)

    def _claim(self, kinds: list[str]) -> Job | None:
        """Look first, as that disturbs nobody."""
        with self._workspace.database.read() as tx:
            if not jobs.waiting(tx, kinds):
                return None
        return self._workspace.database.write(
            lambda tx: jobs.claim(tx, self.owner, kinds, lease=self._lease), durable=False, alone=False
        )

    def _do(self, job: Job) -> None:
        run = _Run(job, time.monotonic())
        with self._lock:
            self._runs[job.id] = run
        try:
            if job.kind in self._quick:
                carry_out(self._workspace, self._quick[job.kind], job)
            else:
                self._do_in_child(run)
        except Exception:  # the lease runs out, and the job is tried again
            log.exception("job %s (%s) could not be settled", job.id, job.kind)
        finally:
            with self._lock:
                del self._runs[job.id]

    def _do_in_child(self, run: _Run) -> None:
        child = JobProcess(self._command, self._workspace.settings, run.job)
        try:
            settled = self._see_through(run, child)
        finally:
            child.close()
        with contextlib.suppress(Conflict):  # it ended by itself meanwhile, or another worker has it
            settled()

    def _see_through(self, run: _Run, child: JobProcess) -> Callable[[], None]:
        """Wait for a child, stop it if need be, and return what is to be noted."""
        settled: Callable[[], None] | None = None
        killed_at = float("inf")
        while (status := child.wait(LOOK_S)) is None:
            if settled is None and (settled := self._why_stop(run)) is not None:
                child.ask()
                killed_at = time.monotonic() + (0 if run.lost else self._patience)
            if settled is not None and (self._hurry.is_set() or time.monotonic() >= killed_at):
                child.kill()
        return settled or (lambda: settle(self._workspace, run.job, _ending(status)))

    def _why_stop(self, run: _Run) -> Callable[[], None] | None:
        """Return what is to be noted about a job that has to stop, None if it may go on."""
        write, job = self._workspace.database.write, run.job
        if run.lost:
            return lambda: log.warning("job %s (%s) was taken over by another worker", job.id, job.kind)
        if run.cancel is not None:
            reason = run.cancel
            return lambda: write(lambda tx: jobs.end_cancelled(tx, job, reason))
        if run.late:
            return lambda: settle(self._workspace, job, jobs.overdue(job))
        if time.monotonic() >= self._give_back_at:
            return lambda: write(lambda tx: jobs.release(tx, job))
        return None

    # --- the thread that keeps the leases -----------------------------------------------------------------------------

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(TICK_S):
            try:
                self._read_cancels()
                if time.monotonic() >= renewed + self._lease / SECOND / 3:
                    self._renew()
                    renewed = time.monotonic()
                take_back_lost(self._workspace)
            except Exception:
                log.exception("leases could not be kept; it is tried again")

    def _read_cancels(self) -> None:
        runs = self._snapshot()
        if not runs:
            return
        with self._workspace.database.read() as tx:
            asked = steering.cancels_asked(tx, list(runs))
        for identity, reason in asked.items():
            runs[identity].cancel = reason

    def _renew(self) -> None:
        for run in self._snapshot().values():
            try:
                self._prolong(run.job)
            except Conflict:
                run.lost = True

    def _prolong(self, job: Job) -> None:
        self._workspace.database.write(lambda tx: jobs.heartbeat(tx, job, lease=self._lease), durable=False, alone=False)

    def _snapshot(self) -> dict[str, _Run]:
        with self._lock:
            return dict(self._runs)


def _ending(status: int) -> str:
    if status == 0:
        return "its process ended without a result"
    if status < 0:
        return f"its process was killed by signal {-status}; did it run out of memory?"
    return f"its process ended with status {status}"
