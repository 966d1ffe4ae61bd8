"""`perenne pipeline run`: the stages of a dvc.yaml."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne import data
from perenne.core.errors import PerenneError
from perenne.core.results import Result
from perenne.protocols.dvc.bringing import Outcome, Selection, dry_run, reproduce, stage_in_git
from perenne.protocols.dvc.reproducing import Done, Wishes

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

FAILED = 1


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path), help="A dvc.yaml, in place of that of the present folder.")
@click.option("-f", "--force", is_flag=True, help="Run also what did not change.")
@click.option("--dry", is_flag=True, help="Only say what would be run.")
@click.option("--downstream", is_flag=True, help="The targets and what follows from them.")
@click.option("-s", "--single-item", is_flag=True, help="Only the stages named, not what they need.")
@click.option("--pull", is_flag=True, help="Bring what is missing from a remote.")
@click.option("--no-run-cache", is_flag=True, help="Do not look for earlier results.")
@click.option("--no-commit", is_flag=True, help="Do not put outputs into the cache.")
@click.option("-k", "--keep-going", is_flag=True, help="After a failure do what does not depend on it.")
@click.option("--jobs", default=0, help="How many stages may run at once; as many as there are processors if not given.")
@click.option("--set-param", multiple=True, metavar="NAME=VALUE", help="Write a parameter first: lr=0.1, other.yaml:a.b=2.")
def run(targets: tuple[str, ...], file: Path | None, dry: bool, set_param: tuple[str, ...], **flags: Any) -> Result:
    """Bring the stages of dvc.yaml up to date, independent branches at the same time.

    What did not change is left alone; what was made of the same before comes out of the cache. `dvc status` then says that
    all is up to date. TARGETS are stages, groups made by foreach or matrix, files of stages.

    \b
    Examples:
      perenne pipeline run
      perenne pipeline run train --set-param train.lr=0.01
      perenne pipeline run prep --downstream --jobs 4
    """
    repository = data.versions.open_repository()
    selection = Selection(targets=_named(targets, file), downstream=flags["downstream"], single=flags["single_item"])
    wishes = Wishes(
        force=flags["force"],
        run_cache=not flags["no_run_cache"],
        commit=not flags["no_commit"],
        pull=flags["pull"],
        keep_going=flags["keep_going"],
        jobs=flags["jobs"],
    )
    if set_param and not dry:
        from perenne.protocols.dvc.editing import set_params

        set_params(Path.cwd() if file is None else file.parent, set_param)
    if dry:
        return Result([_row(done) for done in dry_run(repository, selection, wishes, _say)])
    with _recorded(repository) as workspace:
        outcome = reproduce(repository, selection, wishes, workspace, _say, output=sys.stderr)
    return _answer(outcome, stage_in_git(repository, outcome))


def _named(targets: tuple[str, ...], file: Path | None) -> list[str]:
    if file is None:
        return list(targets)
    return [f"{file}:{target}" for target in targets] or [str(file)]


def _say(line: str) -> None:
    from perenne.cli.terminal import WISHES

    if not WISHES.quiet or line.startswith("WARNING"):
        click.echo(line, err=True)


@contextmanager
def _recorded(repository: "data.versions.Repository") -> Iterator[Any]:
    """Give what opens the workspace when it is asked."""
    opened: list[Workspace] = []

    def workspace() -> "Workspace":
        from perenne.protocols.dvc.recording import own_workspace

        if not opened:
            opened.append(own_workspace(repository, make=True))
        return opened[0]

    try:
        yield workspace
    finally:
        for one in opened:
            one.close()


def _answer(outcome: Outcome, staged: bool) -> Result:
    rows = [_row(done) for done in outcome.done]
    if outcome.failure is not None:
        text = outcome.failure.message if isinstance(outcome.failure, PerenneError) else str(outcome.failure)
        return Result(rows, FAILED, f"error[dvc.stage_failed]: stage {outcome.failed!r}: {text}")
    if not outcome.changed:
        return Result(rows, 0, "everything is up to date")
    written = " ".join(os.path.relpath(file) for file in outcome.tracked)
    note = f"look at it: `perenne pipeline show {outcome.run}`, `perenne runs show {outcome.record}`"
    return Result(rows, 0, note if staged else f"{note}\nwhat belongs into Git: git add {written}")


def _row(done: Done) -> dict[str, Any]:
    took = f"{done.seconds:.2f}s" if done.seconds else ""
    return {"stage": done.stage, "state": done.state, "took": took, "why": "; ".join(done.reasons), "error": done.error}
