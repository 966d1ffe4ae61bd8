"""`perenne dvc repro|dag|stage|freeze|unfreeze`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from perenne import data
from perenne.core.errors import PerenneError
from perenne.core.results import Result
from perenne.protocols.dvc import drawing, editing, tables
from perenne.protocols.dvc.bringing import Outcome, Selection, dry_run, reproduce, stage_in_git
from perenne.protocols.dvc.choosing import chosen, named
from perenne.protocols.dvc.recording import own_workspace
from perenne.protocols.dvc.reproducing import UNCHANGED, Wishes
from perenne.protocols.dvc.stages import PIPELINE, Stage, Stages
from perenne.protocols.dvc.status import UP_TO_DATE

FAILED = 255
_SHOWN = 80


def _say(line: str) -> None:
    """Write a line at once: what the commands print stands behind it."""
    warning = line.startswith("WARNING: ")
    click.echo(line, err=warning)


def _repository() -> "data.versions.Repository":
    return data.versions.open_repository()


@click.command()
@click.argument("targets", nargs=-1)
@click.option("-f", "--force", is_flag=True, help="Run also what did not change.")
@click.option("-s", "--single-item", is_flag=True, help="Only the stages named, not what they need.")
@click.option("-p", "--pipeline", is_flag=True, help="Everything that hangs together with the targets.")
@click.option("-P", "--all-pipelines", is_flag=True, help="Every stage of the repository.")
@click.option("-R", "--recursive", is_flag=True, help="Every stage below a folder.")
@click.option("--downstream", is_flag=True, help="The targets and what follows from them.")
@click.option("--force-downstream", is_flag=True, help="Run also what follows from a stage that ran.")
@click.option("--pull", is_flag=True, help="Bring what is missing from a remote.")
@click.option("--allow-missing", is_flag=True, help="Do not mind missing data if nothing else changed.")
@click.option("--dry", is_flag=True, help="Only say what would be run.")
@click.option("-k", "--keep-going", is_flag=True, help="After a failure do what does not depend on it.")
@click.option("--glob", is_flag=True, help="Targets may have wildcards.")
@click.option("--no-commit", is_flag=True, help="Do not put outputs into the cache.")
@click.option("--no-run-cache", is_flag=True, help="Do not look for earlier results.")
@click.option("--jobs", default=1, show_default=True, help="How many stages may run at once; 0 for a stage a processor.")
def repro(targets: tuple[str, ...], dry: bool, **flags: Any) -> Result | None:
    """Bring stages up to date, as `dvc repro`.

    \b
    Examples:
      perenne dvc repro
      perenne dvc repro train --downstream
    """
    repository = _repository()
    selection = Selection(
        targets=list(targets),
        downstream=flags["downstream"],
        single=flags["single_item"],
        pipeline=flags["pipeline"],
        every=flags["all_pipelines"],
        glob=flags["glob"],
        recursive=flags["recursive"],
    )
    wishes = Wishes(
        force=flags["force"],
        force_downstream=flags["force_downstream"],
        run_cache=not flags["no_run_cache"],
        commit=not flags["no_commit"],
        allow_missing=flags["allow_missing"],
        pull=flags["pull"],
        keep_going=flags["keep_going"],
        jobs=flags["jobs"],
    )
    if dry:
        would = dry_run(repository, selection, wishes, _say)
        done = all(item.state == UNCHANGED for item in would)
        return Result(UP_TO_DATE if done else "Use `dvc push` to send your updates to remote storage.")
    with _recorded(repository) as workspace:
        outcome = reproduce(repository, selection, wishes, workspace, _say, output=sys.stdout)
    tracked_hint(repository, outcome)
    if outcome.failure is not None:
        text = outcome.failure.message if isinstance(outcome.failure, PerenneError) else str(outcome.failure)
        click.echo(f"ERROR: failed to reproduce '{outcome.failed}': {text}", err=True)
        return Result(None, FAILED)
    return Result("Use `dvc push` to send your updates to remote storage." if outcome.changed else UP_TO_DATE)


class _recorded:  # noqa: N801  (reads as a verb: `with _recorded(repository):`)
    """Give what opens the workspace when it is asked, and close it behind."""

    def __init__(self, repository: "data.versions.Repository") -> None:
        self._repository = repository
        self._opened: Any = None

    def __enter__(self) -> Any:
        def opened() -> Any:
            if self._opened is None:
                self._opened = own_workspace(self._repository, make=False)
            return self._opened

        return opened

    def __exit__(self, *exception: object) -> None:
        if self._opened is not None:
            self._opened.close()


def tracked_hint(repository: "data.versions.Repository", outcome: Outcome) -> None:
    """Stage what was written, if `core.autostage` says so; otherwise say what belongs into Git."""
    if stage_in_git(repository, outcome):
        return
    files = [os.path.relpath(file) for file in outcome.tracked]
    click.echo(f"\nTo track the changes with git, run:\n\n\tgit add {' '.join(files)}")
    click.echo("\nTo enable auto staging, run:\n\n\tdvc config core.autostage true")


@click.command()
@click.argument("target", required=False)
@click.option("--dot", is_flag=True, help="For Graphviz.")
@click.option("--mermaid", is_flag=True, help="For Mermaid.")
@click.option("--md", "markdown", is_flag=True, help="For Mermaid, in a block of Markdown.")
@click.option("-o", "--outs", is_flag=True, help="Outputs in place of stages.")
@click.option("--full", is_flag=True, help="Everything that hangs together with the target.")
@click.option("--collapse-foreach-matrix", "collapse", is_flag=True, help="The stages of a foreach or matrix as one.")
def dag(target: str | None, dot: bool, mermaid: bool, markdown: bool, outs: bool, full: bool, collapse: bool) -> Result:
    """Show which stage takes what another makes.

    \b
    Examples:
      perenne dvc dag
      perenne dvc dag --mermaid train
    """
    graph = drawing.graph_of(Stages(_repository()), target, outs=outs, full=full, collapse=collapse)
    if dot:
        return Result(graph, shown=drawing.dot(graph))
    if mermaid or markdown:
        return Result(graph, shown=drawing.mermaid(graph, markdown=markdown))
    return Result(graph, shown=drawing.tree(graph))


@click.group()
def stage() -> None:
    """Stages: add one, list them."""


@stage.command("list")
@click.argument("targets", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Those of every dvc.yaml and `.dvc` file.")
@click.option("--name-only", is_flag=True, help="Names alone.")
@click.option("-R", "--recursive", is_flag=True, help="Those below a folder.")
def list_(targets: tuple[str, ...], every: bool, name_only: bool, recursive: bool) -> Result:
    """List stages.

    \b
    Examples:
      perenne dvc stage list --all
    """
    stages = Stages(_repository())
    found = stages.all if every else chosen(stages, targets, recursive=recursive)
    rows = [(one.said(os.getcwd()), "" if name_only else _about(one)) for one in found]
    return Result([{"stage": name, "about": about} for name, about in rows], shown=tables.plain([], rows) if rows else "")


def _about(one: Stage) -> str:
    """Return the description of a stage, or what it makes."""
    text = next((line.strip() for line in (one.definition.desc or "").splitlines() if line), "") or _made(one)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _made(one: Stage) -> str:
    if not one.products:
        needs = [*(dep.path for dep in one.deps), *(params.path for params in one.params)]
        return f"Depends on {', '.join(needs)}" if needs else "No outputs or dependencies"
    outs = [product.path for product in one.products if product.out.kind == "out"]
    reports = [product.path for product in one.products if product.out.kind != "out"]
    said = [f"Outputs {', '.join(outs)}"] if outs else []
    return "; ".join([*said, *([f"Reports {', '.join(reports)}"] if reports else [])])


_MADE = {
    "outs": ("outs", {}),
    "outs_no_cache": ("outs", {"cache": False}),
    "outs_persist": ("outs", {"persist": True}),
    "outs_persist_no_cache": ("outs", {"cache": False, "persist": True}),
    "metrics": ("metrics", {}),
    "metrics_no_cache": ("metrics", {"cache": False}),
    "plots": ("plots", {}),
    "plots_no_cache": ("plots", {"cache": False}),
}


@stage.command("add", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-n", "--name", required=True, help="What it is called.")
@click.option("-d", "--deps", multiple=True, help="What it needs.")
@click.option("-p", "--params", multiple=True, help="Parameters: name,name or file:name,name.")
@click.option("-o", "--outs", multiple=True, help="What it makes.")
@click.option("-O", "--outs-no-cache", multiple=True, help="What it makes, and Git keeps.")
@click.option("--outs-persist", multiple=True, help="What it makes, and finds again when it runs.")
@click.option("--outs-persist-no-cache", multiple=True, help="Both.")
@click.option("-m", "--metrics", multiple=True, help="A file of metrics.")
@click.option("-M", "--metrics-no-cache", multiple=True, help="A file of metrics that Git keeps.")
@click.option("--plots", multiple=True, help="A file of points to draw.")
@click.option("--plots-no-cache", multiple=True, help="A file of points that Git keeps.")
@click.option("-w", "--wdir", default="", help="Where it runs.")
@click.option("-f", "--force", is_flag=True, help="Replace a stage of the same name.")
@click.option("--always-changed", is_flag=True, help="It runs each time.")
@click.option("--desc", default="", help="What it is for.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def add(name: str, command: tuple[str, ...], force: bool, **given: Any) -> None:
    """Write a stage into dvc.yaml.

    \b
    Examples:
      perenne dvc stage add -n train -d train.py -p lr -o model.bin python train.py
    """
    repository = _repository()
    kinds: dict[str, list[str]] = {"outs": [], "metrics": [], "plots": []}
    flags: dict[str, dict[str, Any]] = {}
    for option, (kind, said) in _MADE.items():
        kinds[kind] += given[option]
        flags.update({path: dict(said) for path in given[option]})
    new = editing.NewStage(
        name=name,
        cmd=_typed(command),
        wdir=given["wdir"],
        deps=given["deps"],
        params=given["params"],
        flags=flags,
        desc=given["desc"],
        always_changed=given["always_changed"],
        **kinds,
    )
    file = editing.add_stage(Stages(repository), new, force=force)
    click.echo(f"Added stage '{name}' in '{PIPELINE}'")
    ignored = _ignored(repository, file, name)
    tracked_hint(repository, Outcome(run="", done=[], tracked=sorted({str(file), *ignored})))


def _ignored(repository: "data.versions.Repository", file: Path, name: str) -> list[str]:
    """Have Git pass over what the new stage will make."""
    files, written = data.versions.Pieces(repository), []
    made = next(one for one in Stages(repository).of(str(file)) if one.name == name)
    for product in made.products:
        if product.out.cache and os.path.isdir(os.path.dirname(product.place)):
            written.append(files.ignore(product.place))
    return [path for path in written if path]


def _typed(command: tuple[str, ...]) -> str:
    """Put what was typed together again: a word with blanks in quotes."""
    if len(command) < 2:
        return " ".join(command)
    return " ".join('""' if not word else f'"{word}"' if " " in word and '"' not in word else word for word in command)


@click.command()
@click.argument("targets", nargs=-1, required=True)
def freeze(targets: tuple[str, ...]) -> None:
    """Keep stages from running for what they need.

    \b
    Examples:
      perenne dvc freeze train
    """
    _frozen(targets, True)


@click.command()
@click.argument("targets", nargs=-1, required=True)
def unfreeze(targets: tuple[str, ...]) -> None:
    """Let frozen stages run again.

    \b
    Examples:
      perenne dvc unfreeze train
    """
    _frozen(targets, False)


def _frozen(targets: tuple[str, ...], frozen: bool) -> None:
    repository = _repository()
    written = editing.set_frozen(Stages(repository), targets, frozen)
    for one in (named(Stages(repository), target) for target in targets):
        if one.meta is None:
            click.echo(f"Modifying stage '{one.said(os.getcwd())}' in '{os.path.relpath(one.file)}'")
    stage_in_git(repository, Outcome(run="", done=[], tracked=[str(file) for file in written]))
