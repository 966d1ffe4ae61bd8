"""One call that brings stages up to date: chooses them, finds out what changed, and runs the engine only if something did."""

import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

import msgspec

from perenne import data
from perenne.protocols.dvc.choosing import chosen
from perenne.protocols.dvc.recording import is_installed, settings_of
from perenne.protocols.dvc.reproducing import FAILED, LEFT, UNCHANGED, Done, Reproduction, Wishes, plan_lines
from perenne.protocols.dvc.running import Commands
from perenne.protocols.dvc.stages import Stage, Stages

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent
    from perenne.storage.workspace import Workspace

Say = Callable[[str], None]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which stages are brought up to date.

    Attributes
    ----------
    targets : list of str
        See `choosing`; the dvc.yaml of the present folder if there are none.
    downstream : bool
        What follows from them, instead of what they need.
    single : bool
        They alone.
    pipeline, every : bool
        Everything that hangs together with them; everything there is.
    """

    targets: list[str] = []
    downstream: bool = False
    single: bool = False
    pipeline: bool = False
    every: bool = False
    glob: bool = False
    recursive: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it went.

    Attributes
    ----------
    run : str
        The id of the pipeline run; empty if nothing had to be done.
    tracked : list of str
        Files that were written and belong into Git.
    record : str
        The id of the tracked run; empty if it was not tracked.
    failure : BaseException or None
        What the first stage that failed raised, and which stage that was.
    """

    run: str
    done: list[Done]
    tracked: list[str]
    record: str = ""
    failure: BaseException | None = None
    failed: str = ""

    @property
    def changed(self) -> bool:
        """Whether any stage was done."""
        return any(done.state not in (UNCHANGED, LEFT, FAILED) for done in self.done)


def selected(stages: Stages, selection: Selection) -> list[Stage]:
    """Return the stages of a selection, in the order in which they are done."""
    graph = stages.graph
    if selection.every:
        return graph.order()
    wanted = chosen(stages, selection.targets, glob=selection.glob, recursive=selection.recursive)
    if selection.single:
        return wanted
    if selection.pipeline:
        return graph.connected(wanted)
    return graph.order(wanted, downstream=selection.downstream)


def reproduce(
    repository: "data.versions.Repository",
    selection: Selection,
    wishes: Wishes,
    workspace: "Callable[[], Workspace]",
    say: Say,
    *,
    output: IO[str] | None = None,
    hear: "Callable[[StepEvent], None] | None" = None,
) -> Outcome:
    """Bring stages up to date.

    Parameters
    ----------
    workspace : callable
        Opens where the run is recorded; asked only if something has to be done.
    say : callable
        Hears what happens, line by line.
    output : file, optional
        Where what the commands print goes; standard error if not given.

    Returns
    -------
    Outcome
        Also of a run in which a stage failed.
    """
    stages = Stages(repository)
    order = selected(stages, selection)
    commands = Commands(str(repository.root), output or sys.stderr)
    reproduction = Reproduction(stages, order, wishes, commands, lambda line: commands.undisturbed(say, line))
    pending = reproduction.settle()
    jobs = min(wishes.jobs or os.cpu_count() or 1, stages.graph.width(pending))
    commands.apart, reproduction.together = jobs > 1, jobs > 1
    run = ""
    if pending:
        from perenne.protocols.dvc import engine

        reproduction.saving.expect(pending)
        done = engine.run(workspace(), stages, reproduction, pending, commands, targets=selection.targets, jobs=jobs, hear=hear)
        run = done.id
        if reproduction.failure is None:
            reproduction.failure = done.error
    reproduction.finish()
    reproduction.leave(order)
    record = ""
    if pending and is_installed(settings_of(repository)):
        from perenne.protocols.dvc import lineage

        record = lineage.record(workspace(), stages, reproduction, run)
    return Outcome(
        run=run,
        record=record,
        done=[reproduction.done[stage] for stage in order],
        tracked=sorted(reproduction.saving.tracked),
        failure=reproduction.failure,
        failed=reproduction.failed.said(os.getcwd()) if reproduction.failed is not None else "",
    )


def stage_in_git(repository: "data.versions.Repository", outcome: Outcome) -> bool:
    """Add what was written to Git's index if `core.autostage` says so; tell whether nothing is left to be added."""
    if repository.git is None or not outcome.tracked:
        return True
    if repository.config.get("core", {}).get("autostage", "").lower() not in ("true", "yes", "on", "1"):
        return False
    repository.git.add(outcome.tracked)
    return True


def dry_run(repository: "data.versions.Repository", selection: Selection, wishes: Wishes, say: Say) -> list[Done]:
    """Say what would be done, and do nothing; what a stage would make anew counts as it is now."""
    stages = Stages(repository)
    order = selected(stages, selection)
    reproduction = Reproduction(stages, order, wishes, Commands(str(repository.root), sys.stderr), say)
    would: list[Done] = []
    for stage in order:
        changes = reproduction.comparing.changes(stage)
        if changes or wishes.force:
            for line in plan_lines(stage):
                say(line)
            would.append(Done(stage.address, "would run", 0.0, changes.reasons() or ["it was asked for"]))
        else:
            say(f"Stage '{stage.said(os.getcwd())}' didn't change, skipping")
            would.append(Done(stage.address, UNCHANGED))
    return would
