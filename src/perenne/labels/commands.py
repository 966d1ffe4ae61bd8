"""`perenne label`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.labels import sets
from perenne.labels.model import Definition, LabelClass, LabelSet, Order, TaskKind
from perenne.storage.workspace import Workspace


@click.group()
def label() -> None:
    """What people, rules and models say of rows: queues, agreement, weak labels, training sets."""


@label.command()
@click.argument("name")
@click.option("--project", default="", help="The project it is for.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in TaskKind]),
    default="multiclass",
    show_default=True,
    help="What a label says.",
)
@click.option("--class", "classes", multiple=True, metavar="NAME[=KEY]", help="A class, and the key that chooses it.")
@click.option(
    "--instructions",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of Markdown for labellers.",
)
@click.option(
    "--key", "keys", multiple=True, metavar="COLUMN", help="A column that identifies a row; else its whole content does."
)
@click.option("--show", "shown", multiple=True, metavar="COLUMN", help="A column that labellers see; else all.")
@click.option("--text", default="", metavar="COLUMN", help="The column that is shown large.")
@click.option("--image", default="", metavar="COLUMN", help="The column that holds the address of a picture.")
@click.option("--low", type=float, help="The least number.")
@click.option("--high", type=float, help="The greatest number.")
@click.option("--opinions", type=click.IntRange(1, 20), default=1, show_default=True, help="How many people label each item.")
@click.option(
    "--order",
    type=click.Choice([order.value for order in Order]),
    default="random",
    show_default=True,
    help="Which items come first.",
)
@click.pass_obj
def create(
    workspace: Workspace, /, name: str, project: str, classes: tuple[str, ...], path: Path | None, **said: Any
) -> LabelSet:
    """Make a label set.

    \b
    Examples:
      perenne label create lateness --project flights --kind binary --class "on time" --class late
      perenne label create tone --class good=g --class bad=b --text review --opinions 2
    """
    named = tuple(LabelClass(*text.rpartition("=")[::2]) if "=" in text else LabelClass(text) for text in classes)
    instructions = "" if path is None else path.read_text(encoding="utf-8")
    said |= {"kind": TaskKind(said["kind"]), "order": Order(said["order"])}
    definition = Definition(classes=named, instructions=instructions, **said)
    return workspace.database.write(lambda tx: sets.create(tx, local_principal(), name, definition, project=project))


@label.command("list")
@click.option(
    "--limit", type=click.IntRange(1, sets.ROWS), default=sets.ROWS, show_default=True, help="At most this many, by name."
)
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, limit: int, after: str) -> list[dict[str, Any]]:
    """List the label sets.

    \b
    Examples:
      perenne label list
      perenne label list --json
    """
    with workspace.database.read() as tx:
        found = sets.listed(tx, local_principal(), after=after, limit=limit)
    return [
        {
            "label set": item.name,
            "project": item.project,
            "kind": item.definition.kind.value,
            "dataset": item.dataset,
            "snapshot": item.snapshot[:12],
            "changed": format_time(item.changed),
        }
        for item in found
    ]


@label.command()
@click.argument("name")
@click.pass_obj
def show(workspace: Workspace, name: str) -> dict[str, Any]:
    """Show a label set.

    \b
    Examples:
      perenne label show lateness
    """
    with workspace.database.read() as tx:
        found = sets.get(tx, local_principal(), name)
    return msgspec.structs.asdict(found)
