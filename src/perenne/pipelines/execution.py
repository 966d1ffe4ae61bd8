"""One run of a graph: claim what is ready, carry it out, write how it ended; nothing that was done before is done again."""

import contextlib
import heapq
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import msgspec

from perenne.compute.calls import WorkerDied
from perenne.core.clock import SystemClock
from perenne.core.errors import PerenneError
from perenne.pipelines.artifacts import Artifacts
from perenne.pipelines.calls import Outcome
from perenne.pipelines.dispatch import Dispatcher
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.graph import fill
from perenne.pipelines.ledger import Ledger
from perenne.pipelines.model import Failed, Finished, Hit, Planned, Progress, RunState, Started, StepEvent
from perenne.pipelines.planning import Damaged, Plan, Task, TaskState
from perenne.pipelines.remote import StepAnswer
from perenne.pipelines.store import Claim, Settled, StepRow
from perenne.storage.owners import is_dead

POLL_FIRST, POLL_LAST = 0.02, 0.5
BACKOFF_FIRST, BACKOFF_LAST = 0.5, 60.0
REPAIRS = 3
LOSSES = 3


class Execution:
    """Carries out a plan.

    Parameters
    ----------
    on_event : callable or None
        Is told what happens, one event at a time, from whichever thread it happens in.
    fail_fast : bool
        Whether the first failing step ends the run; otherwise everything that does not depend on it goes on.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        artifacts: Artifacts,
        dispatcher: Dispatcher,
        *,
        on_event: Callable[[StepEvent], None] | None,
        fail_fast: bool,
    ) -> None:
        self.plan = plan
        self.state = RunState.RUNNING
        self.output: Any = None
        self.failure: BaseException | None = None
        self._ledger = ledger
        self._artifacts = artifacts
        self._dispatcher = dispatcher
        self._on_event = on_event
        self._telling = threading.RLock()
        self._fail_fast = fail_fast
        self._open = 0
        self._ready: list[tuple[int, int, Task]] = []
        self._delayed: list[tuple[float, int, Task]] = []
        self._elsewhere: list[Task] = []
        self._running: dict[Future[Any], Task] = {}
        self._poll = POLL_FIRST
        self._next_look = 0.0

    def run(self) -> None:
        """Carry out everything that has no result yet; afterwards `state`, `output` and `failure` tell how it went."""
        try:
            tasks = list(self.plan.tasks)
            self._take_in(tasks)
            hits = len(tasks) - self._open
            self._tell(Planned, self.plan.run, self._ledger.flow, len(tasks), hits, tuple(self.plan.notes))
            self._tell_hits(tasks)
            self._work()
            while self.failure is None and not self._read_output():
                self._work()
            self.state = RunState.DONE if self.failure is None else RunState.FAILED
            self._ledger.end(self.state)
        except BaseException:
            self._give_back()
            raise
        finally:
            self._ledger.close()

    def _work(self) -> None:
        while self._open:
            self._wake_delayed()
            moved = self._advance()
            self._collect(0.0 if moved else self._pause())

    def _give_back(self) -> None:
        """Write what is done and release what is not, so that another process can go on at once."""
        self.state = RunState.INTERRUPTED
        for future in self._running:
            future.cancel()
        with contextlib.suppress(Exception):  # if the database cannot be written either, the leases run out
            self._ledger.end(self.state)

    def _read_output(self) -> bool:
        """Read what the pipeline returns; if a part of it is damaged, put that step back to work and return False."""
        try:
            self.output = fill(self.plan.graph.output, self.plan.value)
        except Damaged as damaged:
            self._repair(damaged.task)
            return False
        return True

    # --- looking up -------------------------------------------------------------------------------------------------

    def _take_in(self, tasks: list[Task]) -> None:
        """Look new tasks up; what has a result is a hit, the rest is queued or waits."""
        rows = self._ledger.look_up(tasks)
        self._open += len(tasks)
        for task in tasks:
            row = rows.get(task.key)
            if row is not None and not self._take_row(task, row) and row.state == "running" and is_dead(row.owner):
                task.dead = row.owner
        for task in tasks:
            if task.state is TaskState.WAITING and not task.missing:
                self._enqueue(task)
        self._ledger.visit(*tasks)

    def _enqueue(self, task: Task) -> None:
        if task.state is not TaskState.READY:
            task.state = TaskState.READY
            self._queue(task)

    def _queue(self, task: Task) -> None:
        """Put a ready task into the queue; what stands first among the pipeline's calls is done first."""
        heapq.heappush(self._ready, (task.ordinal, id(task), task))

    def _take_row(self, task: Task, row: StepRow) -> bool:
        """Use a row's result if it is whole; if it is not, note that."""
        output = row.output
        if output is None:
            return False
        if not self._artifacts.present(output):
            self._ledger.spoil(row.key)
            return False
        task.output, task.hit, task.attempt = output, True, row.attempt
        task.seconds, task.cpu = row.seconds, (row.cpu or 0) / 1e6
        self._done(task)
        return True

    def _tell_hits(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if task.hit:
                self._tell(Hit, task.label)

    def _done(self, task: Task) -> None:
        task.state = TaskState.DONE
        self._settle(task)
        for taker in task.takers:
            taker.missing -= 1
            if not taker.missing and taker.state is TaskState.WAITING:
                self._enqueue(taker)

    def _settle(self, task: Task) -> None:
        self._open -= 1
        for source in task.sources:
            source.unread -= 1
            if not source.unread and source.output is not None:
                self._artifacts.forget(source.output)

    # --- claiming ---------------------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Write what ended and claim what may begin, in one change; then begin it. Tell whether anything was claimed."""
        claims = self._claims()
        written = self._ledger.write([claim for _, claim in claims])
        for task in written.lost:
            self._lost(task)
        for place, (task, claim) in enumerate(claims):
            if written.lost:
                self._dispatcher.give_back(task)
                self._enqueue(task)
            else:
                self._claim_answered(task, claim, written.answers[place])
        return bool(claims)

    def _claims(self) -> list[tuple[Task, Claim]]:
        """Take from the queue what there are free slots for; maps are expanded or put together on the way."""
        claims: list[tuple[Task, Claim]] = []
        postponed: list[Task] = []
        while self._ready and not self._dispatcher.full:
            task = heapq.heappop(self._ready)[2]
            if task.state is not TaskState.READY:
                continue
            task.state = TaskState.WAITING
            if task.missing:
                continue
            try:
                if task.node.over is not None:
                    self._map(task)
                elif self._dispatcher.take(task):
                    claims.append((task, self._claim(task)))
                else:
                    task.state = TaskState.READY
                    postponed.append(task)
            except Damaged as damaged:
                self._repair(damaged.task)
            except NotEncodable as error:
                self._failed(task, error)
        for task in postponed:
            self._queue(task)
        return claims

    def _claim(self, task: Task) -> Claim:
        try:
            return self.plan.claim(task)
        except BaseException:
            self._dispatcher.give_back(task)
            raise

    def _claim_answered(self, task: Task, claim: Claim, answer: int | StepRow | None) -> None:
        if isinstance(answer, int):
            task.attempt = answer
            self._ledger.hold(task)
            self._launch(task, claim)
            return
        self._dispatcher.give_back(task)
        if answer is None:
            task.state = TaskState.ELSEWHERE
            self._elsewhere.append(task)
        elif self._take_row(task, answer):
            self._ledger.keep(task, claim, answer)
            self._ledger.visit(task)
            self._tell(Hit, task.label)
        else:
            task.repairs += 1
            self._enqueue(task)

    # --- maps -------------------------------------------------------------------------------------------------------

    def _map(self, task: Task) -> None:
        """Take a map's list apart, or if all its items are done put their results together."""
        if task.children is None:
            task.children = self._expand(task)
        if task.missing or task.settled:
            return
        task.output = self._artifacts.keep_list([child.output for child in task.children if child.output is not None])
        task.hit = all(child.hit for child in task.children)
        self._ledger.keep(task, self.plan.claim(task))
        self._done(task)

    def _expand(self, task: Task) -> list[Task]:
        """Make and look up the tasks of a map's items."""
        items = self.plan.arguments(task)[task.node.over or ""]
        if not isinstance(items, list | tuple):
            raise NotEncodable(
                f"map of step {task.step.name!r} got a {type(items).__name__}",
                code="pipelines.map",
                hint="map over a step that returns a list",
            )
        before = len(self.plan.tasks)
        children = self.plan.expand(task, list(items))
        new = self.plan.tasks[before:]
        self._take_in(new)
        self._tell_hits(new)
        for child in children:
            if child.state in (TaskState.FAILED, TaskState.SKIPPED):
                self._skip(task, child)
        return children

    # --- carrying out -----------------------------------------------------------------------------------------------

    def _launch(self, task: Task, claim: Claim) -> None:
        task.state = TaskState.RUNNING
        self._tell(Started, task.label, task.tries + 1)
        try:
            future = self._dispatcher.submit(
                task, claim.content_key, lambda text, fraction: self._tell(Progress, task.label, text, fraction)
            )
        except PerenneError as error:
            self._dispatcher.give_back(task)
            self._failed(task, error)
            return
        self._running[future] = task
        if future.done():
            self._collect_one(future)

    def _collect(self, pause: float | None) -> None:
        """Wait until something ended or has to be looked at again, and take in what ended."""
        if self._running:
            for future in wait(self._running, timeout=pause, return_when=FIRST_COMPLETED).done:
                self._collect_one(future)
        elif pause:
            time.sleep(pause)
        if self._elsewhere and time.monotonic() >= self._next_look:
            self._look_elsewhere()

    def _pause(self) -> float | None:
        """Return how long to wait at most; None if nothing but the end of a running step can bring news."""
        times = [self._delayed[0][0]] if self._delayed else []
        if self._elsewhere:
            times.append(self._next_look)
        return max(min(times) - time.monotonic(), 0.0) if times else None

    def _collect_one(self, future: "Future[Any]") -> None:
        task = self._running.pop(future)
        self._dispatcher.give_back(task)
        error = future.exception()
        if error is None:
            self._answered(task, future.result())
        elif isinstance(error, Damaged):
            self._unreadable(task, error.task)
        else:
            self._failed(task, error)

    def _answered(self, task: Task, answer: Outcome | bytes) -> None:
        if isinstance(answer, Outcome):
            self._succeeded(task, answer)
            return
        remote = msgspec.msgpack.decode(answer, type=StepAnswer)
        if remote.outcome is not None:
            self._succeeded(task, remote.outcome)
        else:
            self._unreadable(task, self.plan.task_of(remote.damaged))

    def _unreadable(self, task: Task, source: Task | None) -> None:
        """Give a step back whose input could not be read, and have that input made again."""
        task.state = TaskState.WAITING
        self._ledger.release(task)
        assert source is not None
        self._repair(source)

    def _succeeded(self, task: Task, outcome: Outcome) -> None:
        task.output, task.seconds, task.cpu = outcome.output, outcome.seconds, outcome.cpu / 1e6
        self._ledger.settle(task, Settled(task.key, task.attempt, outcome.cpu, outcome.output))
        self._done(task)
        self._tell(Finished, task.label, outcome.seconds)

    def _failed(self, task: Task, error: BaseException) -> None:
        options = task.step.options
        text = describe(error)
        if isinstance(error, WorkerDied) and task.state is TaskState.RUNNING and task.losses < LOSSES:
            self._bereft(task, text)
            return
        task.tries += 1
        if task.state is TaskState.RUNNING:
            self._ledger.settle(task, Settled(task.key, task.attempt, 0, error=text[:4_000]))
        if task.tries <= options.retries and isinstance(error, options.retry_on):
            self._again(task, task.tries, text)
            return
        task.state, task.error, task.failure = TaskState.FAILED, text, error
        self.failure = self.failure or error
        self._settle(task)
        self._tell(Failed, task.label, text, None)
        for taker in self.plan.tasks if self._fail_fast else task.takers:
            self._skip(taker, task)

    def _bereft(self, task: Task, text: str) -> None:
        """Give a step back whose worker died: that is no try of its own, just as when a whole run is killed."""
        task.losses += 1
        self._ledger.release(task)
        self._again(task, task.losses, text)

    def _again(self, task: Task, times: int, text: str) -> None:
        """Have a step done once more, after a delay that grows."""
        delay = min(BACKOFF_FIRST * 2 ** (times - 1), BACKOFF_LAST) * random.uniform(0.5, 1.0)
        task.state = TaskState.WAITING
        heapq.heappush(self._delayed, (time.monotonic() + delay, task.ordinal, task))
        self._tell(Failed, task.label, text, delay)

    def _skip(self, task: Task, because: Task) -> None:
        """Give a task up, and what depends on it."""
        doomed = [task]
        while doomed:
            task = doomed.pop()
            if not task.settled and task.state is not TaskState.RUNNING:
                task.state, task.error = TaskState.SKIPPED, f"not run, because {because.label} failed"
                self._settle(task)
                doomed.extend(task.takers)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _lost(self, task: Task) -> None:
        """Throw away what we made of a step that another process took over, and wait for its result instead."""
        self._reopen(task)
        task.state = TaskState.ELSEWHERE
        self._elsewhere.append(task)

    def _repair(self, task: Task) -> None:
        """Make a result again that turned out to be missing or damaged."""
        if task.state is not TaskState.DONE:
            return
        assert task.output is not None
        self._artifacts.purge(task.output)
        self._ledger.spoil(task.key)
        children = task.children or []
        self._reopen(task)
        for child in dict.fromkeys(children):
            if child.output is not None and not self._artifacts.present(child.output):
                self._repair(child)
        task.repairs += 1
        if task.repairs > REPAIRS:
            self._failed(
                task,
                PerenneError(
                    f"the result of {task.label} is damaged again and again",
                    code="pipelines.damaged",
                    hint="`perenne doctor --deep` reads every object",
                ),
            )
        else:
            self._enqueue(task)

    def _reopen(self, task: Task) -> None:
        task.state, task.output, task.hit, task.children = TaskState.WAITING, None, False, None
        self._open += 1
        for taker in task.takers:
            taker.missing += 1
        for source in task.sources:
            source.unread += 1

    def _look_elsewhere(self) -> None:
        """See how steps stand that another process has claimed."""
        waiting, self._elsewhere = self._elsewhere, []
        rows, now = self._ledger.look_up(waiting), SystemClock().now()
        for task in waiting:
            row = rows.get(task.key)
            task.state = TaskState.WAITING
            if row is not None and self._take_row(task, row):
                self._ledger.visit(task)
                self._tell(Hit, task.label)
                continue
            if row is not None and row.state == "running" and row.lease >= now and not is_dead(row.owner):
                task.state = TaskState.ELSEWHERE
                self._elsewhere.append(task)
                continue
            task.dead = row.owner if row is not None and row.state == "running" else ""
            self._enqueue(task)
        self._poll = POLL_FIRST if len(self._elsewhere) < len(waiting) else min(self._poll * 1.5, POLL_LAST)
        self._next_look = time.monotonic() + self._poll

    def _wake_delayed(self) -> None:
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            task = heapq.heappop(self._delayed)[2]
            if task.state is TaskState.WAITING:
                self._enqueue(task)

    def _tell(self, kind: Callable[..., StepEvent], *fields: object) -> None:
        if self._on_event is not None:
            with self._telling:
                self._on_event(kind(*fields))


def describe(error: BaseException) -> str:
    """Return an error as one text: the message of our own, type and message of others."""
    return error.message if isinstance(error, PerenneError) else f"{type(error).__name__}: {error}"
