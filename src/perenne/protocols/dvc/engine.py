"""A reproduction as a run of the pipeline engine: each stage a step, what one makes and another takes an arrow."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perenne.core.ids import new_id
from perenne.protocols.dvc.reproducing import Reproduction, record_of
from perenne.protocols.dvc.running import Commands
from perenne.protocols.dvc.stages import Stage, Stages

if TYPE_CHECKING:
    from perenne.pipelines import PipelineRun, StepEvent
    from perenne.storage.workspace import Workspace

_going_on: dict[str, Reproduction] = {}


def carried_out(reproduction: str, stage: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Bring a stage up to date; as a step it runs each time, and decides by dvc.lock whether anything is to be done."""
    going_on = _going_on[reproduction]
    chosen = next(one for one in going_on.order if one.address == stage)
    going_on.carry_out(chosen)
    return record_of(chosen)


def kept(made: dict[str, Any]) -> dict[str, Any]:
    """Stand for a stage that did not change: what it made is known."""
    return made


def run(
    workspace: "Workspace",
    stages: Stages,
    reproduction: Reproduction,
    pending: list[Stage],
    commands: Commands,
    *,
    targets: list[str],
    jobs: int,
    hear: "Callable[[StepEvent], None] | None" = None,
) -> "PipelineRun":
    """Bring stages up to date as one run of the engine.

    Parameters
    ----------
    pending : list of Stage
        Those that changed, or take what such a one makes; the others are shown as known already.
    jobs : int
        How many at once.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted; what ran has been ended.
    """
    from perenne.compute import InlineExecutor, ThreadExecutor
    from perenne.pipelines import Engine

    token = new_id()
    _going_on[token] = reproduction
    executor: Any = ThreadExecutor(jobs) if jobs > 1 else InlineExecutor()
    flow = _flow(token, stages, reproduction.order, set(pending))
    fail_fast = not reproduction.wishes.keep_going
    try:
        with (
            _ending_children(commands),
            Engine(
                workspace.database, workspace.objects, executor=executor, root=Path(stages.repository.root), fail_fast=fail_fast
            ) as engine,
        ):
            return engine.run(flow, ", ".join(targets), on_event=hear)
    finally:
        executor.close()
        del _going_on[token]


def _flow(token: str, stages: Stages, order: list[Stage], pending: set[Stage]) -> Any:
    """Return a pipeline that calls a step for each stage, by the stage's name."""
    from perenne.pipelines import pipeline, step

    def stages_of(targets: str) -> None:
        made: dict[Stage, Any] = {}
        for stage in order:
            called: Any = step(cache=stage not in pending)(carried_out if stage in pending else kept)
            called.name = stage.address
            if stage in pending:
                sources = [made[source] for source in stages.graph.needed(stage) if source in made]
                made[stage] = called(token, stage.address, sources)
            else:
                made[stage] = called(record_of(stage))

    flow = pipeline(stages_of)
    flow.name = "dvc.yaml"
    return flow


@contextmanager
def _ending_children(commands: Commands) -> Iterator[None]:
    """End what runs when we are interrupted, or asked to end."""
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, commands.interrupt) for number in numbers}
    try:
        yield
    except BaseException:
        commands.stop()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
