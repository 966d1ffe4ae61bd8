"""The door to a run: `Engine.run(pipeline, …)` gives a `PipelineRun`."""

import reprlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perenne.compute.executors import Executor, InlineExecutor
from perenne.compute.processes import ProcessExecutor
from perenne.core.errors import Invalid
from perenne.core.ids import new_id
from perenne.pipelines.artifacts import Artifacts
from perenne.pipelines.code import CodeReader
from perenne.pipelines.dispatch import Dispatcher
from perenne.pipelines.execution import Execution
from perenne.pipelines.graph import Graph, build
from perenne.pipelines.ledger import Ledger
from perenne.pipelines.model import RunState, StepEvent, StepRecord
from perenne.pipelines.planning import Plan
from perenne.pipelines.remote import is_loading
from perenne.pipelines.scratch import Scratch
from perenne.pipelines.spans import followed
from perenne.pipelines.steps import Pipeline, Step
from perenne.pipelines.store import LEASE
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.telemetry import tracing


@dataclass(frozen=True)
class PipelineRun:
    """How a run went.

    Attributes
    ----------
    id : str
        Its id in the database.
    state : RunState
        `done`, or `failed` if any step failed.
    output : object
        What the pipeline returned, with every reference replaced by its value; None if the run failed. Files and folders
        among it lie in the engine's scratch folder until the engine is closed.
    steps : list of StepRecord
        Every step in the order of the pipeline's calls, items of maps last.
    error : exception or None
        What the first failing step raised.
    """

    id: str
    state: RunState
    output: Any
    steps: list[StepRecord]
    error: BaseException | None = field(default=None, repr=False)
    _read: Callable[[str], Any] = field(default=lambda step: None, repr=False)

    @property
    def hits(self) -> int:
        """How many steps had a result already."""
        return sum(step.hit for step in self.steps)

    def result(self) -> Any:
        """Return the output, or raise what the first failing step raised."""
        if self.error is not None:
            raise self.error
        return self.output

    def value(self, step: str) -> Any:
        """Return what a step returned, also of a run that failed later on; None if it has no result."""
        return self._read(step)


class Engine:
    """Runs pipelines, and keeps what their steps return.

    Parameters
    ----------
    database : Database
        Where steps are claimed and small results are kept.
    objects : ObjectStore
        Where large results are kept.
    executor : Executor, optional
        Carries the steps out; in the calling thread, one after the other, if not given.
    root : Path, optional
        The project's folder: a change in code below it makes the steps that reach it run again. If not given, the folder of
        the file that defines the pipeline.
    fail_fast : bool
        Whether the first failing step ends the run; otherwise what does not depend on it is still done.
    lease : int
        Microseconds after which a claimed step whose process is silent may be taken over.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        *,
        executor: Executor | None = None,
        root: Path | None = None,
        fail_fast: bool = False,
        lease: int = LEASE,
    ) -> None:
        self.database = database
        self.objects = objects
        self.executor: Executor = executor or InlineExecutor()
        self.root = root
        self._fail_fast = fail_fast
        self._lease = lease
        self._scratch = Scratch()
        self._processes: ProcessExecutor | None = None
        self._lock = threading.Lock()

    def run(
        self,
        pipeline: Pipeline[..., Any] | Step[..., Any],
        *args: Any,
        on_event: Callable[[StepEvent], None] | None = None,
        **kwargs: Any,
    ) -> PipelineRun:
        """Run a pipeline, or a single step, for some arguments.

        Parameters
        ----------
        on_event : callable, optional
            Is told what happens; see `perenne.pipelines.model.StepEvent`.

        Raises
        ------
        Invalid
            If the pipeline itself fails to build its graph, or an argument cannot be encoded; nothing was run then.
        """
        if is_loading():
            raise Invalid(
                "a file that defines steps runs a pipeline as it is imported by a worker",
                code="pipelines.nested",
                hint='put the run below `if __name__ == "__main__":`',
            )
        graph = _graph(pipeline, args, kwargs)
        run = new_id()
        artifacts = Artifacts(self.objects, lambda: self._scratch.folder(run, "kept"))
        code = CodeReader(self.root or _folder_of(pipeline))
        plan = Plan(graph, run, code, artifacts)
        with tracing.span(f"pipeline {pipeline.name}") as span:
            execution = Execution(
                plan,
                Ledger(self.database, plan, pipeline.name, _described(args, kwargs), self._lease),
                artifacts,
                Dispatcher(plan, artifacts, code, self.executor, self._isolated, lambda name: self._scratch.folder(run, name)),
                on_event=followed(span, on_event),
                fail_fast=self._fail_fast,
            )
            execution.run()
            if execution.failure is not None:
                span.fail(type(execution.failure).__qualname__, str(execution.failure))
        records = [task.record() for task in plan.tasks]
        return PipelineRun(run, execution.state, execution.output, records, execution.failure, plan.read)

    def close(self) -> None:
        """End child processes; remove the scratch folder, with the files and folders among the outputs of earlier runs.

        An executor that was passed in stays open.
        """
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.close()
        self._scratch.remove()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _isolated(self) -> ProcessExecutor:
        with self._lock:
            if self._processes is None:
                self._processes = ProcessExecutor()
            return self._processes


def _graph(pipeline: Pipeline[..., Any] | Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Graph:
    return pipeline.build(*args, **kwargs) if isinstance(pipeline, Pipeline) else build(lambda: pipeline(*args, **kwargs))


def _described(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Write the arguments of a run for people, shortened."""
    texts = [_text(value) for value in args] + [f"{name}={_text(value)}" for name, value in kwargs.items()]
    return ", ".join(texts)[:2_000]


def _text(value: Any) -> str:
    return str(getattr(value, "__qualname__", "")) or reprlib.repr(value)


def _folder_of(pipeline: Pipeline[..., Any] | Step[..., Any]) -> Path:
    file = Path(pipeline.function.__code__.co_filename)
    return file.resolve().parent if file.is_file() else Path.cwd()
