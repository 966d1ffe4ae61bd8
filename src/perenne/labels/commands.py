"""`perenne label`."""

from pathlib import Path
from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.labels import agreeing, choosing, labelling, queues, sets
from perenne.labels.bulk_commands import bulk
from perenne.labels.choosing import Chosen
from perenne.labels.labelling import Kept, Said
from perenne.labels.model import Definition, LabelClass, LabelSet, Order, Role, TaskKind
from perenne.labels.values import from_text
from perenne.storage.transaction import Transaction
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
    """Show a label set, and how far it is.

    \b
    Examples:
      perenne label show lateness
    """
    with workspace.database.read() as tx:
        found = sets.get(tx, local_principal(), name)
        progress = queues.progress(tx, local_principal(), name)
    return msgspec.structs.asdict(found) | {"progress": progress}


@label.command()
@click.argument("name")
@click.argument("snapshot")
@click.pass_obj
def rows(workspace: Workspace, name: str, snapshot: str) -> Chosen:
    """Choose the rows that are labelled: a snapshot, or a file, of which one is taken.

    In a later snapshot, rows with the same content in the key columns keep what was said of them.

    \b
    Examples:
      perenne label rows lateness flights.csv
      perenne label rows lateness 3f1c
    """
    from perenne import data

    database, objects, actor = workspace.database, workspace.objects, local_principal()
    path = Path(snapshot)
    if path.is_file():
        with database.read() as tx:
            project = sets.get(tx, actor, name).project
        snapshot = data.take_snapshot(database, objects, actor, path, dataset=path.stem, project=project).id
    return choosing.choose(database, objects, actor, name, snapshot)


@label.command("next")
@click.argument("name")
@click.option("--count", type=click.IntRange(1, queues.MOST_AT_ONCE), default=1, show_default=True, help="How many items.")
@click.option(
    "--order", type=click.Choice([order.value for order in Order]), help="Which come first; else as the label set says."
)
@click.pass_obj
def next_(workspace: Workspace, name: str, count: int, order: str | None) -> list[dict[str, Any]]:
    """Take the next items: they are kept for you for a while.

    \b
    Examples:
      perenne label next lateness
      perenne label next lateness --order suspect --count 5
    """
    wanted = Order(order) if order else None
    found, items = workspace.database.write(lambda tx: queues.take(tx, local_principal(), name, count=count, order=wanted))
    return [{"item": each.item} | each.fields for each in queues.shown(workspace.objects, found, items)]


@label.command("set")
@click.argument("name")
@click.argument("item")
@click.argument("value")
@click.option("--note", default="", help="Why, or what was unclear.")
@click.option("--gold", is_flag=True, help="It is known, and labellers are held against it.")
@click.pass_obj
def set_(workspace: Workspace, name: str, item: str, value: str, note: str, gold: bool) -> Kept:
    """Say what an item is: it is named by its id, or by the value of its key column.

    \b
    Examples:
      perenne label set lateness 17 late
      perenne label set topics 17 "sport|politics" --note "both"
    """
    return _say(workspace, name, item, value, note, Role.GOLD if gold else Role.OPINION)


@label.command()
@click.argument("name")
@click.argument("item", required=False)
@click.argument("value", required=False)
@click.option("--note", default="", help="Why.")
@click.pass_obj
def adjudicate(workspace: Workspace, name: str, item: str | None, value: str | None, note: str) -> Any:
    """Decide what an item is, whatever others said; without an item, list what they differ on.

    \b
    Examples:
      perenne label adjudicate lateness
      perenne label adjudicate lateness 17 late --note "the rule of 15 minutes"
    """
    if item is not None and value is not None:
        return _say(workspace, name, item, value, note, Role.DECISION)
    if item is not None:
        raise Invalid("value: it is missing", code="label.value", hint="say what the item is")
    with workspace.database.read() as tx:
        found = queues.disputed(tx, local_principal(), name)
    return [
        {"item": each.item} | each.fields | {one.labeller: one.value for one in each.opinions}
        for each in queues.disputes(workspace.objects, found)
    ]


def _say(workspace: Workspace, name: str, item: str, value: str, note: str, role: Role) -> Kept:
    def say(tx: Transaction) -> Kept:
        found = sets.get(tx, local_principal(), name)
        which = queues.find_item(tx, local_principal(), name, item)
        said = Said(which, from_text(found.definition, value), note=note)
        return labelling.say(tx, local_principal(), name, [said], role=role)[0]

    return workspace.database.write(say)


@label.command()
@click.argument("name")
@click.pass_obj
def undo(workspace: Workspace, name: str) -> labelling.Undone:
    """Take back what you said last, or that you skipped it.

    \b
    Examples:
      perenne label undo lateness
    """
    return workspace.database.write(lambda tx: labelling.undo(tx, local_principal(), name))


@label.command()
@click.argument("name")
@click.argument("item")
@click.pass_obj
def skip(workspace: Workspace, name: str, item: str) -> dict[str, str]:
    """Leave an item to others.

    \b
    Examples:
      perenne label skip lateness 17
    """

    def leave(tx: Transaction) -> str:
        which = queues.find_item(tx, local_principal(), name, item)
        labelling.skip(tx, local_principal(), name, which)
        return which

    return {"skipped": workspace.database.write(leave)}


@label.command()
@click.argument("name")
@click.pass_obj
def agreement(workspace: Workspace, name: str) -> Result:
    """Tell how far people agree: Krippendorff's alpha, Fleiss' and Cohen's kappa, and how good each labeller seems to be.

    \b
    Examples:
      perenne label agreement lateness
      perenne label agreement lateness --json
    """
    with workspace.database.read() as tx:
        found = agreeing.agreement(tx, local_principal(), name)
    alpha = found.alpha
    note = "" if alpha.value is None else f"Krippendorff's alpha {alpha.value:.3f}"
    if alpha.low is not None and alpha.high is not None:
        note += f", from {alpha.low:.3f} to {alpha.high:.3f}; {found.items:,} items with two opinions or more"
    return Result(found, note=note or "nothing was labelled by two people yet", shown=list(found.labellers))


for _command in bulk:
    label.add_command(_command)
