"""`perenne model impact`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.registry import placing
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.projects import LoadedProject
    from perenne.training.model import Effect, Impact


@click.command()
@click.argument("snapshots", nargs=-1, metavar="SNAPSHOT…")
@click.option("--last", type=click.IntRange(2, 50), help="The last so many snapshots of the project's dataset, oldest first.")
@click.option("--leave-out", metavar="COLUMN", default="", help="All rows, then without those of each value of this column.")
@click.option("--parameters", metavar="JSON", help="For the model; those of the champion, or the first candidate, if not given.")
@click.option("--metric", "metrics", multiple=True, help="Measure this one; may be given more than once.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the page of plots to this file.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where project.py lies.")
@click.pass_obj
def impact(
    workspace: Workspace,
    snapshots: tuple[str, ...],
    last: int | None,
    leave_out: str,
    parameters: str | None,
    metrics: tuple[str, ...],
    html: Path | None,
    folder: Path,
) -> Result:
    """Hold the model fixed, change the data: what did each version, or each source, do to every metric and group?

    All variants are judged on the same rows, which none of them learned from: the newest of the last snapshot. What was fitted
    before is not fitted again. The study is kept as a run, with its plots.

    \b
    Examples:
      perenne model impact --last 5
      perenne model impact 044bc57e1967 8bf0aa02c1d4 --metric roc_auc
      perenne model impact --leave-out carrier --html impact.html
    """
    from perenne.projects import load_project
    from perenne.training import study_impact

    loaded = load_project(folder)
    found = study_impact(
        workspace, local_principal(), loaded, _chosen(workspace, loaded, snapshots, last, leave_out),
        leave_out=leave_out, parameters=_parameters(workspace, loaded, parameters), metrics=metrics, page=html,
    )  # fmt: skip
    return Result(found, note=_note(found.impact, found.run), shown=_lines(found.impact))


def _chosen(
    workspace: Workspace, loaded: "LoadedProject", named: tuple[str, ...], last: int | None, leave_out: str
) -> tuple[str, ...]:
    """Return the snapshots that were named, or the newest of the project's dataset, oldest first."""
    from perenne import data

    if named and last is not None:
        raise click.UsageError("name snapshots, or give --last")
    if named:
        return named
    dataset = loaded.project.only_model.dataset.name
    with workspace.database.read() as tx:
        newest = data.summary.newest(tx, dataset, limit=last or (1 if leave_out else 2))
    if not newest:
        raise Invalid(f"there is no snapshot of {dataset!r}", code="data.no_snapshot", hint="`perenne run` takes one")
    return tuple(snapshot.id for snapshot in reversed(newest))


def _parameters(workspace: Workspace, loaded: "LoadedProject", given: str | None) -> dict[str, Any] | None:
    """Return the parameters that were given, or those of the champion; None if there is no champion."""
    from perenne.training import report_of

    if given is not None:
        return json.decode(given.encode(), dict[str, Any], what="--parameters")
    with workspace.database.read() as tx:
        champion = placing.aliased(tx, loaded.project.name, "champion")
    told = report_of(workspace, champion.run) if champion is not None and champion.run else None
    return None if told is None or told.report is None else told.report.trials[told.report.best].parameters


def _note(found: "Impact", run: str) -> str:
    first = found.variants[0].variant.name
    lines = [f"{found.holdout:,} rows held out of {found.judged_on[:12]}; differences to {first}, above 0 is better"]
    lines.append(f"kept as run {run}, with its page of plots")
    lines += [f"{item.variant.name} lacks {', '.join(item.lacking)}" for item in found.variants if item.lacking]
    return "\n".join(lines)


def _lines(found: "Impact") -> list[dict[str, Any]]:
    """Return a line for every variant and figure: over all rows, and the groups that a variant changed."""
    return [
        {"variant": item.variant.name, "rows": item.rows, "metric": effect.metric, "where": _where(effect), **_figures(effect)}
        for item in found.variants
        for effect in item.effects
        if not effect.by or effect.verdict in ("better", "worse")
    ]


def _where(effect: "Effect") -> str:
    return f"{effect.by} = {effect.group}" if effect.by else ""


def _figures(effect: "Effect") -> dict[str, str]:
    if effect.value is None:
        return {"value": "", "difference": "", "interval": "", "verdict": "too few rows to tell"}
    if effect.difference is None or effect.difference_low is None or effect.difference_high is None:
        return {"value": f"{effect.value:.4g}", "difference": "", "interval": "", "verdict": ""}
    limits = f"{effect.difference_low:+.3g} to {effect.difference_high:+.3g}"
    return {
        "value": f"{effect.value:.4g}",
        "difference": f"{effect.difference:+.3g}",
        "interval": limits,
        "verdict": effect.verdict,
    }
