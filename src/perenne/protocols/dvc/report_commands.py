"""`perenne dvc params|metrics|plots`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from perenne import data
from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.formats.dvc.answers import text_of
from perenne.protocols.dvc import reporting
from perenne.protocols.dvc.revisions import WORKSPACE, Revision

Command = Callable[..., Any]


def _compared(command: Command) -> Command:
    """Add the arguments that commands comparing two revisions have in common."""
    for option in (
        click.argument("b_rev", default=WORKSPACE),
        click.argument("a_rev", default="HEAD"),
        click.option("--targets", multiple=True, help="Only these files."),
        click.option("--all", "unchanged", is_flag=True, help="Also what is the same."),
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        click.option("--md", "markdown", is_flag=True, help="As a table in Markdown."),
        click.option("--no-path", is_flag=True, help="Without the path of the file."),
    ):
        command = option(command)
    return command


@click.group()
def params() -> None:
    """Parameters."""


@params.command("diff")
@_compared
@click.option("--deps", "deps_only", is_flag=True, help="Only those that stages take.")
def params_diff(deps_only: bool, **given: Any) -> Result:
    """Tell which parameters differ between two revisions, or a revision and the workspace.

    \b
    Examples:
      perenne dvc params diff
      perenne dvc params diff v1 v2 --json
    """
    return _difference("Param", partial(reporting.params_of, deps_only=deps_only), False, None, given)


@click.group()
def metrics() -> None:
    """Metrics."""


@metrics.command("diff")
@_compared
@click.option("--precision", default=reporting.PRECISION, show_default=True, help="Digits behind the point.")
def metrics_diff(precision: int, **given: Any) -> Result:
    """Tell which metrics differ between two revisions, or a revision and the workspace.

    \b
    Examples:
      perenne dvc metrics diff
      perenne dvc metrics diff v1 v2 --json
    """
    return _difference("Metric", reporting.metrics_of, True, precision, given)


def _difference(title: str, read: Any, change: bool, precision: int | None, given: dict[str, Any]) -> Result:
    repository = data.versions.open_repository()
    wanted = reporting.targets_of(repository, given["targets"])
    old, new = given["a_rev"], given["b_rev"]
    found = reporting.between(repository, lambda revision: read(revision, wanted), old, new, unchanged=given["unchanged"])
    if given["as_json"]:
        return Result(text_of(found))
    shown = reporting.difference_table(
        found, title, old, new, change=change, path=not given["no_path"], markdown=given["markdown"], precision=precision
    )
    return Result(found, shown=shown)


@metrics.command("show")
@click.argument("targets", nargs=-1)
@click.option("-a", "--all-branches", is_flag=True, help="Of every branch.")
@click.option("-T", "--all-tags", is_flag=True, help="Of every tag.")
@click.option("-A", "--all-commits", is_flag=True, help="Of every commit.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("--md", "markdown", is_flag=True, help="As a table in Markdown.")
@click.option("--precision", default=reporting.PRECISION, show_default=True, help="Digits behind the point.")
def metrics_show(
    targets: tuple[str, ...], all_branches: bool, all_tags: bool, all_commits: bool, as_json: bool, markdown: bool, precision: int
) -> Result:
    """Show metrics of the workspace, or of many revisions.

    \b
    Examples:
      perenne dvc metrics show
      perenne dvc metrics show --all-tags --md
    """
    repository = data.versions.open_repository()
    wanted = reporting.targets_of(repository, targets)
    names = [WORKSPACE, *_revisions(repository, all_branches, all_tags, all_commits)]
    found = {name: reporting.metrics_of(Revision(repository, name), wanted) for name in names}
    unread = [name for name, files in found.items() if any("error" in values for values in files.values())]
    if unread:
        click.echo(f"DVC failed to load some metrics for following revisions: '{', '.join(unread)}'.", err=True)
    if as_json:
        return Result(text_of(reporting.shown(repository, found)))
    here = {name: {reporting.said(repository, path): values for path, values in files.items()} for name, files in found.items()}
    return Result(
        reporting.shown(repository, found),
        shown=reporting.values_table(here, revisions=len(names) > 1, markdown=markdown, precision=precision),
    )


def _revisions(repository: "data.versions.Repository", branches: bool, tags: bool, commits: bool) -> list[str]:
    if not (branches or tags or commits):
        return []
    if repository.git is None:
        raise Invalid("this repository is not in Git, so there are no revisions", code="dvc.no_git")
    found: dict[str, None] = {}
    for name in repository.git.references():
        if branches and name.startswith("refs/heads/"):
            found[name.removeprefix("refs/heads/")] = None
        if tags and name.startswith("refs/tags/"):
            found[name.removeprefix("refs/tags/")] = None
    if commits:
        found.update(dict.fromkeys(commit.id for commit in repository.git.commits("--all")))
    return list(found)


@click.group()
def plots() -> None:
    """Plots."""


def _page(revisions: list[Revision], targets: tuple[str, ...], out: Path) -> Result:
    from perenne.protocols.dvc.plots import plots_page

    repository = revisions[0].repository
    names = {plot for revision in revisions for plot in _asked(revision)}
    wanted = [target if target in names else reporting.targets_of(repository, [target])[0] for target in targets]
    page, troubles = plots_page(revisions, wanted)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "index.html"
    file.write_text(page, encoding="utf-8")
    for trouble in troubles:
        click.echo(f"WARNING: {trouble}", err=True)
    return Result({"page": str(file), "unread": troubles}, shown=file.resolve().as_uri())


def _asked(revision: Revision) -> list[str]:
    from perenne.protocols.dvc.plot_data import asked_of

    return list(asked_of(revision))


@plots.command("show")
@click.argument("targets", nargs=-1)
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("dvc_plots"), show_default=True, help="A folder.")
def plots_show(targets: tuple[str, ...], out: Path) -> Result:
    """Draw the plots of dvc.yaml, or of some files, on a page of HTML that loads nothing.

    \b
    Examples:
      perenne dvc plots show
      perenne dvc plots show losses.csv
    """
    return _page([Revision(data.versions.open_repository(), WORKSPACE)], targets, out)


@plots.command("diff")
@click.argument("revisions", nargs=-1)
@click.option("--targets", multiple=True, help="Only these plots.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("dvc_plots"), show_default=True, help="A folder.")
def plots_diff(revisions: tuple[str, ...], targets: tuple[str, ...], out: Path) -> Result:
    """Draw the plots of several revisions into one another; of HEAD and the workspace if none is named.

    \b
    Examples:
      perenne dvc plots diff v1 v2
    """
    repository = data.versions.open_repository()
    names = revisions if len(revisions) > 1 else (*(revisions or ("HEAD",)), WORKSPACE)
    return _page([Revision(repository, name) for name in names], targets, out)
