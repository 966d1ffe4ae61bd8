"""`perenne label rules|errors|rank|import|export|version|versions|erase`: what works on many labels at once."""

import inspect
import runpy
from pathlib import Path
from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_time
from perenne.core.errors import Invalid, NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.labels import erasing, exchanging, rules, suspects, versions
from perenne.labels.rule_store import LabelVersion, Rule, RuleReport
from perenne.labels.rules import Function, Method
from perenne.labels.values import ALL_SOURCES
from perenne.storage.workspace import Workspace

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
SOURCE = click.Choice([each.value for each in ALL_SOURCES])
OUT = click.Path(dir_okay=False, path_type=Path)


@click.group("rules")
def rules_() -> None:
    """Weak labels: rules that say what a row likely is, or nothing."""


@rules_.command("add")
@click.argument("name")
@click.argument("rule")
@click.option("--when", required=True, metavar="SQL", help="A condition as after WHERE, over the columns of the rows.")
@click.option("--class", "value", required=True, help="The class of the rows that it is true of.")
@click.pass_obj
def add(workspace: Workspace, name: str, rule: str, when: str, value: str) -> Rule:
    """State a rule, in place of the one of its name.

    \b
    Examples:
      perenne label rules add lateness long-delay --when "dep_delay >= 30" --class late
    """
    return workspace.database.write(lambda tx: rules.add(tx, local_principal(), name, rule, when, value))


@rules_.command("list")
@click.argument("name")
@click.pass_obj
def list_(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """List the rules with what they said when they were run last.

    \b
    Examples:
      perenne label rules list lateness
    """
    with workspace.database.read() as tx:
        found = rules.listed(tx, local_principal(), name)
    return [{"rule": each.name, "class": each.value, "text": each.text.strip(), **_figures(each.report)} for each in found]


def _figures(report: RuleReport | None) -> dict[str, Any]:
    if report is None:
        return dict.fromkeys(("covered", "overlaps", "conflicts", "right", "estimated"), "")
    return {
        "covered": report.covered,
        "overlaps": report.overlaps,
        "conflicts": report.conflicts,
        "right": f"{report.right}/{report.checked}" if report.checked else "",
        "estimated": "" if report.estimated is None else f"{report.estimated:.3f}",
    }


@rules_.command("remove")
@click.argument("name")
@click.argument("rule")
@click.pass_obj
def remove(workspace: Workspace, name: str, rule: str) -> dict[str, str]:
    """Remove a rule; what it said is taken back when the rules are run again.

    \b
    Examples:
      perenne label rules remove lateness long-delay
    """
    workspace.database.write(lambda tx: rules.remove(tx, local_principal(), name, rule))
    return {"removed": rule}


@rules_.command("run")
@click.argument("name")
@click.option("--python", "path", type=OUT, help="A file of functions that get a row as a dict and return a class or None.")
@click.option(
    "--method", type=click.Choice([each.value for each in Method]), default="dawid-skene", show_default=True,
    help="How what they say is combined.",
)  # fmt: skip
@click.pass_obj
def run(workspace: Workspace, name: str, path: Path | None, method: str) -> Result:
    """Run the rules, combine what they say, and keep it as labels whose source is `rule`, with a confidence.

    \b
    Examples:
      perenne label rules run lateness
      perenne label rules run tone --python rules.py --method majority
    """
    functions = {} if path is None else functions_of(path)
    done = rules.run(
        workspace.database, workspace.objects, local_principal(), name, method=Method(method), functions=functions
    )  # fmt: skip
    note = f"{done.labelled:,} of {done.items:,} items have a label by rules; {done.changed:,} labels changed"
    return Result(done, note=note, shown=[{"rule": rule, **_figures(report)} for rule, report in done.rules])


def functions_of(path: Path) -> dict[str, tuple[Function, str]]:
    """Return the functions that a file states, with their source; its own code runs.

    Raises
    ------
    NotFound, Invalid
        If there is no such file, it fails, or states none.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path.name}", code="label.file", hint="name one that states functions")
    try:
        stated = runpy.run_path(str(path))
    except Exception as error:
        raise Invalid(f"{path.name}: {type(error).__name__}: {error}", code="label.rule", hint="it is run as it is") from error
    found = {name: value for name, value in stated.items() if inspect.isfunction(value) and not name.startswith("_")}
    own = {name: value for name, value in found.items() if value.__code__.co_filename == str(path)}
    if not own:
        raise Invalid(f"{path.name} states no function", code="label.rule", hint="def name(row): return a class, or None")
    return {name: (value, inspect.getsource(value)) for name, value in own.items()}


@click.command()
@click.argument("name")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="In how many parts rows are judged.")
@click.option("--seed", type=int, default=0, show_default=True, help="Names how they are parted.")
@click.pass_obj
def errors(workspace: Workspace, name: str, folds: int, seed: int) -> Result:
    """Look for labels that are likely wrong: they come into the queue `suspect`. Exits with 6 if there are any.

    \b
    Examples:
      perenne label errors lateness
      perenne label errors lateness --folds 10
    """
    done = suspects.find(workspace.database, workspace.objects, local_principal(), name, folds=folds, seed=seed)
    return Result(done, EXIT_FINDINGS if done.suspects else 0)


@click.command()
@click.argument("name")
@click.argument("file", type=FILE)
@click.pass_obj
def rank(workspace: Workspace, name: str, file: Path) -> dict[str, int]:
    """Order the queue `uncertain` by what a model says: a file with the key columns and a column of probabilities for each class.

    \b
    Examples:
      perenne label rank lateness scores.parquet
    """
    from perenne import data

    table = data.read_source(file)
    return {"ranked": workspace.database.write(lambda tx: suspects.rank(tx, local_principal(), name, table))}


@click.command("import")
@click.argument("name")
@click.argument("file", type=FILE)
@click.option("--value", default="value", show_default=True, metavar="COLUMN", help="The column of a table that holds labels.")
@click.option("--labeller", default="", help="Who said it, if the table has no column `labeller`.")
@click.option("--control", default="", help="The control of Label Studio that is meant, if several could be.")
@click.pass_obj
def import_(workspace: Workspace, name: str, file: Path, value: str, labeller: str, control: str) -> exchanging.Brought:
    """Keep labels from elsewhere: Label Studio's export (.json), or a table (.csv, .parquet, .jsonl) with the key columns.

    \b
    Examples:
      perenne label import tone export.json
      perenne label import lateness labels.csv --value late --labeller ada
    """
    from perenne import data
    from perenne.formats.label_studio import read_tasks

    database, objects = workspace.database, workspace.objects
    if file.suffix == ".json":
        tasks = read_tasks(file.read_bytes(), file.name)
        return exchanging.bring_tasks(database, objects, local_principal(), name, tasks, control=control)
    table = data.read_source(file)
    return exchanging.bring_table(database, objects, local_principal(), name, table, value=value, labeller=labeller)


@click.command()
@click.argument("name")
@click.option("--out", required=True, type=OUT, help="The file: .parquet, .csv, .jsonl, or .json for Label Studio.")
@click.option("--all", "every", is_flag=True, help="Every label that counts, by labeller; else rows with their label.")
@click.option("--version", default="", metavar="VERSION", help="A version of the labels; else the newest.")
@click.option("--snapshot", default="", metavar="SNAPSHOT", help="The rows; else those that the version labels.")
@click.option("--seed", type=int, default=0, show_default=True, help="Names an order of the rows; 0 keeps theirs.")
@click.option("--column", default="label", show_default=True, help="What the label is called.")
@click.option("--control", default="label", show_default=True, help="What the answer is called in Label Studio.")
@click.pass_obj
def export(
    workspace: Workspace, name: str, out: Path, every: bool, version: str, snapshot: str, seed: int, column: str, control: str
) -> Any:
    """Write a training set, every label, or tasks for Label Studio.

    A training set is a data version, a label version and a seed: the same three give the same file.

    \b
    Examples:
      perenne label export lateness --out train.parquet --seed 7
      perenne label export lateness --all --out labels.csv
      perenne label export tone --out tasks.json
    """
    database, objects, actor = workspace.database, workspace.objects, local_principal()
    if out.suffix == ".json":
        from perenne.core import json

        tasks = exchanging.tasks_of(database, objects, actor, name, control=control)
        out.write_bytes(json.encode(tasks))
        return {"tasks": len(tasks), "file": str(out)}
    if every:
        import pyarrow as pa

        with database.read() as tx:
            table = pa.Table.from_pylist(exchanging.label_rows(tx, actor, name))
        _write(table, out)
        return {"labels": table.num_rows, "file": str(out)}
    made, table = versions.training_set(
        database, objects, actor, name, version=version, snapshot=snapshot, seed=seed, column=column
    )  # fmt: skip
    _write(table, out)
    return made


def _write(table: Any, out: Path) -> None:
    if out.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, out)
    elif out.suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, out)
    elif out.suffix in (".jsonl", ".ndjson"):
        from perenne.core import json

        out.write_bytes(b"".join(json.encode(row) + b"\n" for row in table.to_pylist()))
    else:
        raise Invalid(
            f"{out.name} has an ending that is not written", code="label.export", hint=".parquet, .csv, .jsonl or .json"
        )


@click.command()
@click.argument("name")
@click.option("--known", default="", metavar="TIME", help="Only what was known by then counts, such as 2026-03-01.")
@click.option(
    "--source", "sources", multiple=True, type=click.Choice([each.value for each in ALL_SOURCES]), help="Who counts; else all."
)
@click.pass_obj
def version(workspace: Workspace, name: str, known: str, sources: tuple[str, ...]) -> LabelVersion:
    """Keep what counts as a version, which its content names: the same labels are the same version.

    \b
    Examples:
      perenne label version lateness
      perenne label version lateness --source person --source import --known 2026-03-01
    """
    instant = parse_time(known) if known else None
    return versions.freeze(
        workspace.database, workspace.objects, local_principal(), name, known=instant, sources=sources or ALL_SOURCES
    )  # fmt: skip


@click.command("versions")
@click.argument("name")
@click.pass_obj
def versions_(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """List the versions of a label set, newest first.

    \b
    Examples:
      perenne label versions lateness
    """
    with workspace.database.read() as tx:
        found = versions.listed(tx, local_principal(), name)
    return [
        {
            "version": each.id[:12],
            "labels": each.labels,
            "classes": " ".join(f"{key}={number}" for key, number in each.classes.items()),
            "snapshot": each.snapshot[:12],
            "known": format_time(each.known),
            "by": each.created_by,
        }
        for each in found
    ]


@click.command()
@click.argument("name")
@click.argument("items", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def erase(workspace: Workspace, name: str, items: tuple[str, ...], reason: str) -> erasing.Erased:
    """Remove items for good, with everything that was said of them: what a person asks for whose row it is.

    \b
    Examples:
      perenne label erase tone 17 --reason "asked for by the customer"
    """
    return workspace.database.write(lambda tx: erasing.erase(tx, local_principal(), name, items, reason=reason))


bulk: tuple[click.Command, ...] = (rules_, errors, rank, import_, export, version, versions_, erase)
