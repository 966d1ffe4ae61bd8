"""What one run writes: it gathers notes while the run goes on, and puts them down together with the next claims."""

from typing import NamedTuple

from perenne.core.clock import SystemClock
from perenne.pipelines.model import RunState
from perenne.pipelines.planning import Plan, Task
from perenne.pipelines.store import Claim, Claimer, Settled, StepRow, Visit, lookup, lose_runs, running_runs, spoil
from perenne.storage.database import Database, Transaction
from perenne.storage.owners import LeaseKeeper, is_dead, owner_token


class Written(NamedTuple):
    """What one change brought: tasks whose result came too late, and the answers to the claims, none if there was such a task."""

    lost: list[Task]
    answers: list[int | StepRow | None]


class Ledger:
    """The run's side of the database.

    Parameters
    ----------
    flow, arguments : str
        Name of the pipeline, and its arguments for people.
    lease : int
        Microseconds.
    """

    def __init__(self, database: Database, plan: Plan, flow: str, arguments: str, lease: int) -> None:
        self.flow = flow
        self._database = database
        self._plan = plan
        self._arguments = arguments
        self._now = SystemClock().now
        self._started = self._now()
        self._claimer = Claimer(plan.run, owner_token(), lease)
        self._keeper = LeaseKeeper(self._renew, lease)
        self._held: dict[str, None] = {}
        self._settled: list[tuple[Task, Settled]] = []
        self._kept: list[tuple[Task, Claim, StepRow | None]] = []
        self._visited: list[Task] = []
        self._released: list[str] = []
        self._spoiled: list[str] = []
        self._begun = False

    def look_up(self, tasks: list[Task]) -> dict[str, StepRow]:
        """Read the rows of some tasks, as far as there are any."""
        with self._database.read() as tx:
            return lookup(tx, [task.key for task in tasks])

    def visit(self, *tasks: Task) -> None:
        """Note that tasks belong to the run, or turned out to be hits."""
        self._visited.extend(tasks)

    def settle(self, task: Task, settled: Settled) -> None:
        """Note how an execution ended."""
        self._held.pop(task.key, None)
        self._settled.append((task, settled))

    def keep(self, task: Task, claim: Claim, source: StepRow | None = None) -> None:
        """Note the result of a task that need not run: it was found under its content key, or is put together from others."""
        self._kept.append((task, claim, source))

    def release(self, task: Task) -> None:
        """Note that a claimed task is given back."""
        self._held.pop(task.key, None)
        self._released.append(task.key)

    def spoil(self, key: str) -> None:
        """Note that a kept result is missing or damaged."""
        self._spoiled.append(key)

    def hold(self, task: Task) -> None:
        """Prolong the lease of a claimed task until it is settled or released."""
        self._held[task.key] = None
        self._keeper.start()

    def write(self, claims: list[Claim]) -> Written:
        """Write what was noted, and claim; all in one change."""
        if not (claims or self._settled or self._kept or self._released or self._spoiled):
            return Written([], [])
        written = self._database.write(lambda tx: self._write(tx, claims), durable=False, alone=False)
        self._clear()
        return written

    def end(self, state: RunState) -> None:
        """Write what was noted and how the run ended; an interrupted run releases its claims. Runs that died are noted too."""

        def write(tx: Transaction) -> None:
            now = self._now()
            self._write_notes(tx, now)
            if state is RunState.INTERRUPTED:
                self._claimer.release_all(tx, now)
            self._claimer.end(tx, self.flow, self._arguments, state, self._started, now)
            lose_runs(tx, [run for run, owner, lease in running_runs(tx, self.flow) if lease < now or is_dead(owner)], now)

        self._database.write(write, durable=False, alone=False)
        self._clear()

    def close(self) -> None:
        """Stop prolonging leases."""
        self._keeper.stop()

    def _write(self, tx: Transaction, claims: list[Claim]) -> Written:
        now = self._now()
        if not self._begun:
            self._claimer.begin(tx, self.flow, self._arguments, self._started, self._plan.codes)
            self._begun = True
        late = self._write_notes(tx, now)
        return Written(late, [] if late else [self._claimer.claim(tx, claim, now) for claim in claims])

    def _write_notes(self, tx: Transaction, now: int) -> list[Task]:
        """Write what was noted; return the tasks whose result does not count, because they were taken over."""
        late = []
        for task, settled in self._settled:
            if not self._claimer.settle(tx, settled, now) and settled.output is not None:
                late.append(task)
        if self._spoiled or self._released:
            spoil(tx, self._spoiled)
            self._claimer.release(tx, self._released, now)
        for task, claim, source in self._kept:
            if task.output is not None:
                self._claimer.keep(tx, claim, task.output, now, source)
        if self._visited:
            self._claimer.visits(tx, [Visit(task.ordinal, task.key, task.label, task.hit) for task in self._visited])
            self._claimer.edges(tx, [edge for task in self._visited if not task.hit for edge in self._plan.edges(task)])
        return late

    def _clear(self) -> None:
        self._settled, self._kept, self._visited, self._released, self._spoiled = [], [], [], [], []

    def _renew(self) -> None:
        keys = list(self._held)
        self._database.write(lambda tx: self._claimer.renew(tx, keys, self._now()), durable=False, alone=False)
