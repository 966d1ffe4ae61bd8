"""Which step is carried out where: by the engine's executor, or isolated in another process that can be killed."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from perenne.compute.executors import DistantExecutor, Executor, is_distant
from perenne.pipelines.artifacts import Artifacts
from perenne.pipelines.calls import PROCESS_CLOCK, THREAD_CLOCK, perform
from perenne.pipelines.code import CodeReader
from perenne.pipelines.context import StepContext
from perenne.pipelines.graph import Reference, path_of
from perenne.pipelines.planning import Plan, Task
from perenne.pipelines.remote import Packer, Sent, StepCall, carry_out, code_name

Report = Callable[[str, float | None], None]


class Dispatcher:
    """Hands steps out, and keeps count of free slots.

    Parameters
    ----------
    isolated : callable
        Makes, or returns, the executor for isolated steps.
    folder : callable
        Makes a folder of the run.
    """

    def __init__(
        self,
        plan: Plan,
        artifacts: Artifacts,
        code: CodeReader,
        executor: Executor,
        isolated: Callable[[], DistantExecutor],
        folder: Callable[[str], Path],
    ) -> None:
        self._plan = plan
        self._artifacts = artifacts
        self._code = code
        self._executor = executor
        self._isolated = isolated
        self._folder = folder
        self._clock = PROCESS_CLOCK if executor.slots == 1 else THREAD_CLOCK
        self._taken: dict[int, int] = {}
        self._packer = Packer(artifacts, code, self._sent, not is_distant(executor) or executor.shares_files)
        self._some_isolated = not is_distant(executor) and any(task.step.options.isolate for task in plan.tasks)

    @property
    def full(self) -> bool:
        """Whether no further step can be handed out, wherever it belongs."""
        return self._is_full(self._executor) and (not self._some_isolated or self._is_full(self._isolated()))

    def take(self, task: Task) -> bool:
        """Reserve a slot for a task, if one is free where it belongs."""
        executor = self._place(task)
        if self._is_full(executor):
            return False
        self._taken[id(executor)] = self._taken.get(id(executor), 0) + 1
        return True

    def give_back(self, task: Task) -> None:
        """Free a task's slot."""
        self._taken[id(self._place(task))] -= 1

    def submit(self, task: Task, key: str, report: Report) -> "Future[Any]":
        """Hand a task out; the future has an `Outcome`, or the bytes of a `StepAnswer` from another process."""
        executor, options = self._place(task), task.step.options
        if is_distant(executor):
            call = msgspec.msgpack.encode(self._call(task, key, executor.shares_files))
            return executor.submit(
                carry_out,
                call,
                resources=options.resources,
                timeout=options.timeout,
                on_report=lambda said: report(*said),
            )
        context = StepContext(self._plan.run, task.label, key, lambda: self._work(task), self._artifacts.objects, report)
        return executor.submit(
            perform,
            task.step,
            lambda: self._plan.arguments(task),
            context,
            self._artifacts,
            self._clock,
            resources=options.resources,
        )

    def _is_full(self, executor: Executor) -> bool:
        return self._taken.get(id(executor), 0) >= executor.slots

    def _place(self, task: Task) -> Executor:
        if task.step.options.isolate and not is_distant(self._executor):
            return self._isolated()
        return self._executor

    def _work(self, task: Task) -> Path:
        return self._folder(f"{task.ordinal}-{task.attempt}")

    def _call(self, task: Task, key: str, shares_files: bool) -> StepCall:
        return StepCall(
            step=code_name(task.step, self._code),
            arguments=self._packer.pack(task.node.arguments),
            run=self._plan.run,
            label=task.label,
            key=key,
            objects=self._artifacts.objects.url,
            work=str(self._work(task)) if shares_files else "",
            kept=str(self._folder("kept")) if shares_files else "",
            root=str(self._code.root),
        )

    def _sent(self, reference: Reference) -> Sent:
        task = self._plan.task(reference)
        assert task.output is not None
        return Sent(task.key, code_name(task.step), task.node.over is not None, task.output, path_of(reference))
