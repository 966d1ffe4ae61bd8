"""`perenne policy backtest`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from perenne.automation.backtest import reports
from perenne.automation.backtest.model import Report, Track
from perenne.automation.backtest.running import REAL, SIMULATED, Asked, Hear, backtest, changed, folder_of
from perenne.core.clock import SECOND, format_duration, parse_duration, parse_time
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_UNKNOWN, Result
from perenne.projects import RetrainPolicy, get_project, load_project
from perenne.storage.workspace import Workspace


@click.command("backtest")
@click.argument("project")
@click.option("--policy", "file", type=click.Path(exists=True, path_type=Path), help="A folder with a project.py: its policy.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting of the policy; may be repeated.")
@click.option("--compare", is_flag=True, help="Replay the policy as it stands beside the changed one.")
@click.option("--from", "start", metavar="TIME", help="The first window begins no earlier.")
@click.option("--to", "end", metavar="TIME", help="The last window begins before.")
@click.option(
    "--train",
    type=click.Choice([REAL, SIMULATED]),
    default=SIMULATED,
    show_default=True,
    help="Do every round as of its time, or let past rounds stand for them.",
)
@click.option("--limit", default="10m", show_default=True, help="Stop after so long; the next try goes on from there.")
@click.option("--price", type=click.FloatRange(0), help="Of an hour of CPU; that of the policy if not given.")
@click.pass_obj
def backtest_(
    workspace: Workspace,
    project: str,
    file: Path | None,
    settings: tuple[str, ...],
    compare: bool,
    start: str | None,
    end: str | None,
    train: str,
    limit: str,
    price: float | None,
) -> Result:
    """Replay the past under a policy: what it would have retrained, promoted and cost, beside what happened.

    Nothing in the workspace changes. Exits 7 if the time limit came first.

    \b
    Examples:
      perenne policy backtest churn
      perenne policy backtest churn --set cooldown=7d --set alpha=0.01 --compare
      perenne policy backtest churn --set cooldown=7d --from 2026-01-01 --train real --limit 2h
    """
    asked = Asked(
        policies=_policies(workspace, project, file, settings, compare=compare),
        start=parse_time(start) if start else 0,
        end=parse_time(end) if end else 0,
        train=train,
        seconds=parse_duration(limit) / SECOND,
        price=price,
    )
    with _progress() as hear:
        report = backtest(workspace, project, asked, hear=hear)
    identity = reports.keep(folder_of(workspace, project), report)
    note = "\n".join([*report.notes, f"the page: /policy/{project}/backtest?report={identity}"])
    return Result(
        report, 0 if report.whole else EXIT_UNKNOWN, note=note, shown=[row_of(track, report) for track in report.tracks]
    )


def _policies(
    workspace: Workspace, project: str, file: Path | None, settings: tuple[str, ...], *, compare: bool
) -> tuple[tuple[str, RetrainPolicy], ...]:
    with workspace.database.read() as tx:
        own = get_project(tx, project).policy or RetrainPolicy()
    base = own if file is None else _stated(file)
    wanted = changed(base, settings)
    if not compare:
        return (("policy", wanted),)
    if wanted == own:
        raise Invalid(
            "there is nothing to compare with", code="backtest.compare", hint="add --set cooldown=7d, or --policy FOLDER"
        )
    return ("policy", own), ("changed", wanted)


def _stated(file: Path) -> RetrainPolicy:
    found = load_project(file if file.is_dir() else file.parent).project.policy
    if found is None:
        raise Invalid(f"{file} states no policy", code="backtest.policy", hint="project.retrain(…) states one")
    return found


def row_of(track: Track, report: Report) -> dict[str, Any]:
    """Return a rule's sums as a row of the table."""
    sums = track.sums
    share = f"{sums.below / sums.known:.0%}" if sums.known and report.limit is not None else ""
    return {
        "rule": track.name,
        "episodes": sums.opened,
        "trained": sums.trained,
        "promoted": sums.promoted,
        "rejected": sums.rejected,
        "rolled back": sums.rolled_back,
        "not needed": sums.unneeded,
        "wrong": f"{sums.wrong} of {sums.judged}",
        "missed": sums.missed,
        report.metric: sums.mean,
        "below": f"{format_duration(sums.below) or '0'} ({share})" if share else "",
        "CPU": format_duration(int(sums.cpu_seconds * SECOND)),
        "money": sums.money,
    }


@contextmanager
def _progress() -> Iterator[Hear]:
    """Say on a terminal which rule is at which window."""
    import sys

    context = click.get_current_context(silent=True)
    if context is None or not context.find_root().meta.get("perenne.progress"):
        yield lambda name, done, total: None
        return
    with click.progressbar(length=1, file=sys.stderr) as shown:

        def hear(name: str, done: int, total: int) -> None:
            shown.label, shown.length = name, total
            shown.update(done - shown.pos)

        yield hear
