"""`perenne data catalogue|describe`."""

from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.data.catalogue import describing, finding
from perenne.data.catalogue.model import Change, Classification, Described, in_words
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("words", nargs=-1)
@click.option("--filter", "text", default="", help="In the filter language: classification = 'personal' AND tags.team = 'crm'.")
@click.option("--order", multiple=True, help="Such as 'rows DESC'; by name if not given.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=100, show_default=True, help="At most so many.")
@click.pass_obj
def catalogue(workspace: Workspace, words: tuple[str, ...], text: str, order: tuple[str, ...], limit: int) -> Result:
    """Find data sets by words in their names, their columns, and whatever people say of them.

    \b
    Examples:
      perenne data catalogue
      perenne data catalogue customers
      perenne data catalogue --filter "late = 1 OR classification = 'personal'" --order "rows DESC"
    """
    with workspace.database.read() as tx:
        found = finding.find(
            tx, local_principal(), " ".join(words), text, order, now=workspace.clock.now(), limit=limit
        )  # fmt: skip
    lines = [
        {
            "dataset": line.entry.dataset,
            "owner": line.entry.owner,
            "classification": line.entry.classification,
            "tags": _tags(line.entry.tags),
            "freshness": line.entry.state,
            "rows": line.rows,
            "columns": line.columns,
            "what it is": line.entry.text.partition("\n")[0][:80],
        }
        for line in found.rows
    ]
    note = "" if lines else "no data set fits" if words or text else "there are no data sets yet"
    return Result(found.rows, note=note, shown=lines)


def _tags(tags: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in tags.items())


@click.command()
@click.argument("dataset")
@click.option("--owner", help="Whom to ask.")
@click.option("--classification", type=click.Choice([each.value for each in Classification]), help="Who may see the rows.")
@click.option("--text", help="What it is, in Markdown.")
@click.option("--licence", help="Under what terms the rows came.")
@click.option("--freshness", metavar="SPAN", help="How old its newest rows may be, such as 26h; '' for any age.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Set a tag; KEY= removes it.")
@click.option("--column", "columns", multiple=True, metavar="NAME=MEANING", help="Say what a column means; NAME= removes it.")
@click.pass_obj
def describe(
    workspace: Workspace, /, dataset: str, tags: tuple[str, ...], columns: tuple[str, ...], **given: str | None
) -> Result:
    """Show what is said of a data set, or change it.

    \b
    Examples:
      perenne data describe customers
      perenne data describe customers --owner crm --classification personal --tag team=crm
      perenne data describe customers --column fee='monthly, in euros'
    """
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {name: _pairs(name, said) for name, said in (("tags", tags), ("columns", columns)) if said}
    actor, now = local_principal(), workspace.clock.now()
    if changes:
        asked = msgspec.convert(changes, Change)
        found = workspace.database.write(lambda tx: describing.change(tx, actor, dataset, asked, now))
    else:
        with workspace.database.read() as tx:
            found = describing.describe(tx, actor, dataset, now)
    return Result(found, shown=_shown(found, now))


def _pairs(field: str, said: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in said:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Invalid(f"{field}: {text[:50]!r} has no '='", code="catalogue.pair", hint="write KEY=VALUE")
        pairs[key] = value
    return pairs


def _shown(found: Described, now: int) -> dict[str, Any]:
    return {
        "dataset": found.dataset,
        "owner": found.owner,
        "classification": found.classification,
        "tags": _tags(found.tags),
        "freshness": in_words(found, now),
        "licence": found.licence,
        "text": found.text,
        **{f"column {name}": meaning for name, meaning in found.columns.items()},
    }
