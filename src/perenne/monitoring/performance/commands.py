"""`perenne monitor performance|contributions|slices`."""

from typing import Any

import click

from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.performance import following, looking
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("deployment")
@click.option("--windows", type=click.IntRange(1), default=20, show_default=True, help="At most this many, the newest.")
@click.option("--version", default="", help="Of one version, in whatever part; else of whoever was champion.")
@click.pass_obj
def performance(workspace: Workspace, deployment: str, windows: int, version: str) -> Result:
    """Show how right answers were: estimated, realised, the gap between, labels, and detectors on their stream.

    Exits with 6 if the concept drifted in the newest window that has labels.

    \b
    Examples:
      perenne monitor performance churn
      perenne monitor performance churn --windows 60 --json
    """
    with workspace.database.read() as tx:
        looking.watched(tx, deployment)
        found = following.followed(tx, deployment, version=version, windows=windows)
    drifted = any(firing.window == found.chosen for firing in found.firings) or any(
        line.wide[place] for line in found.metrics for place, window in enumerate(found.windows) if window.start == found.chosen
    )
    return Result(found, EXIT_FINDINGS if drifted else 0, _note(found), _rows(found))


def _note(found: following.Following) -> str:
    totals = found.totals
    became = f"{totals.joined:,} found their prediction, {totals.waiting:,} wait, {totals.orphans:,} orphan"
    said = [f"labels: {totals.rows:,} came, {became}"]
    said += [
        f"{firing.detector.upper()} fired in the window from {format_time(firing.window)[:16]}"
        f"{f' in {firing.segment}' if firing.segment else ''}: mean loss {firing.before:.3g} -> {firing.after:.3g}"
        for firing in found.firings
    ]
    said += [f"estimates are unsure: {reason}" for reason in found.unsure]
    return "\n".join([*said, *([found.inside] if found.inside else [])])


def _rows(found: following.Following) -> list[dict[str, Any]]:
    """Return a line for each window and metric that is known both ways, or for whatever is known, newest first."""
    lines = [line for line in found.metrics if line.limit is not None] or list(found.metrics[:3])
    rows = []
    for place, window in reversed(list(enumerate(found.windows))):
        for line in lines:
            rows.append(
                {
                    "window": format_time(window.start)[:16].replace("T", " "),
                    "version": window.version,
                    "metric": line.metric,
                    "estimated": _span(line.estimated, place),
                    "realised": _span(line.realised, place),
                    "gap": _span(line.gap, place),
                    "wide": "wide" if line.wide[place] else "",
                    "labels": "" if window.coverage is None else f"{window.coverage:.0%}",
                    "newest label": "" if not window.watermark else format_time(window.watermark)[:16].replace("T", " "),
                }
            )
    return rows


def _span(values: following.Values, place: int) -> str:
    value, low, high = values.values[place], values.low[place], values.high[place]
    if value is None:
        return ""
    return f"{value:.3g}" if low is None or high is None else f"{value:.3g} ({low:.3g} to {high:.3g})"


@click.command()
@click.argument("deployment")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV: outcome, predictor, level, association, weight, fci.")
@click.option("--window", metavar="TIME", help="The window that holds an instant; the newest if not given.")
@click.pass_obj
def contributions(workspace: Workspace, deployment: str, as_csv: bool, window: str | None) -> Any:
    """Show how closely every input goes with the answers, in the reference and in a window; it needs no labels.

    \b
    Examples:
      perenne monitor contributions churn
      perenne monitor contributions churn --csv
    """
    rows = looking.contribution_rows(workspace, deployment, window)
    if as_csv:
        return Result(looking.as_csv(rows), shown=looking.as_csv(rows))
    return Result(rows, EXIT_FINDINGS if any(row.state == "alarm" for row in rows) else 0)


@click.command()
@click.argument("deployment")
@click.option("--pairs", is_flag=True, help="Look at pairs of columns too; that takes the rows.")
@click.option("--window", metavar="TIME", help="The window that holds an instant; the newest that has labels if not given.")
@click.pass_obj
def slices(workspace: Workspace, deployment: str, pairs: bool, window: str | None) -> Result:
    """Show where a model does worst, by its labels: slices that cost the most, beyond what chance brings.

    \b
    Examples:
      perenne monitor slices churn
      perenne monitor slices churn --pairs
    """
    found = looking.slices_of(workspace, deployment, window, pairs=pairs)
    note = "" if found else "no slice is worse than the rest beyond chance"
    return Result(found, note=note)
