"""`perenne model list|show|search|diff|card`."""

from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.registry import card, card_html, card_text, comparing, finding, models, service
from perenne.registry.model import GateState
from perenne.storage.workspace import Workspace


@click.command("list")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many, newest first.")
@click.option("--before", metavar="VERSION", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, name: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
    """List versions, newest first: those of rounds and those that clients registered.

    \b
    Examples:
      perenne model list
      perenne model list churn --limit 5
    """
    with workspace.database.read() as tx:
        found = service.dossiers(tx, service.versions(tx, name, limit=limit, before=before))
    return [
        {
            "version": item.version.id,
            "alias": " ".join(item.aliases),
            "stage": "" if item.version.stage == "None" else item.version.stage,
            "state": item.version.state.value,
            "gate": item.gate.state.value,
            "created": format_time(item.version.created),
            "by": item.version.created_by,
        }
        for item in found
    ]


@click.command()
@click.argument("version")
@click.pass_obj
def show(workspace: Workspace, version: str) -> Result:
    """Show a version: gate, evidence, decisions. Exits with 6 if its gate is closed.

    \b
    Examples:
      perenne model show churn@3
    """
    with workspace.database.read() as tx:
        found = service.dossier(tx, version)
    return Result(found, EXIT_FINDINGS if found.gate.state is GateState.CLOSED else 0)


@click.command()
@click.argument("text", metavar="FILTER", default="")
@click.option("--versions", is_flag=True, help="Look for versions, not for models.")
@click.option(
    "--order", multiple=True, metavar="KEY", help='Sort by this, such as "last_updated_timestamp DESC"; again for ties.'
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many.")
@click.option("--after", default="", metavar="TOKEN", help="Go on where the page before ended.")
@click.pass_obj
def search(workspace: Workspace, text: str, versions: bool, order: tuple[str, ...], limit: int, after: str) -> Result:
    """Find models or versions by name, tags and whatever else is known, in the language of runs' filters.

    \b
    Examples:
      perenne model search "name LIKE 'fraud%'"
      perenne model search "tags.team = 'risk' OR description LIKE '%credit%'"
      perenne model search --versions "aliases.champion IS NOT NULL" --order "creation_timestamp DESC"
    """
    actor = local_principal()
    with workspace.database.read() as tx:
        if versions:
            found = finding.find_versions(tx, actor, text, order, limit=limit, token=after)
            rows, token = [_version_row(item) for item in found.versions], found.token
        else:
            page = finding.find_models(tx, actor, text, order, limit=limit, token=after)
            rows, token = [_model_row(entry) for entry in models.entries(tx, page.models)], page.token
    return Result(rows, note=f"there are more: --after {token}" if token else "")


def _version_row(version: Any) -> dict[str, Any]:
    return {
        "version": version.id,
        "stage": "" if version.stage == "None" else version.stage,
        "state": version.state.value,
        "run": version.run,
        "created": format_time(version.created),
        "by": version.created_by,
        "description": version.description or "",
    }


def _model_row(entry: models.ModelEntry) -> dict[str, Any]:
    newest = max(entry.latest, key=lambda version: version.number, default=None)
    return {
        "model": entry.model.name,
        "newest": newest.id if newest else "",
        "aliases": " ".join(f"{name}={identity.rpartition('@')[2]}" for name, identity in entry.aliases.items()),
        "project": entry.model.project,
        "updated": format_time(entry.model.updated),
        "description": entry.model.description or "",
    }


@click.command()
@click.argument("version")
@click.argument("other", metavar="VERSION")
@click.pass_obj
def diff(workspace: Workspace, version: str, other: str) -> list[comparing.Difference]:
    """Show what differs between two versions: metrics, parameters, evidence, data, code, environment, files.

    \b
    Examples:
      perenne model diff churn@2 churn@3
    """
    return comparing.compare(workspace, version, other)


@click.command("card")
@click.argument("version")
@click.option("--html", is_flag=True, help="As a page of HTML that stands by itself.")
@click.pass_obj
def card_(workspace: Workspace, version: str, html: bool) -> Result:
    """Write the model card of a version: purpose, data, figures, limits, approvals. In Markdown, HTML, or with --json as data.

    \b
    Examples:
      perenne model card churn@3 > card.md
      perenne model card churn@3 --html > card.html
      perenne model card churn@3 --json
    """
    found = card.card(workspace, version)
    text = card_text.markdown(found)
    return Result(found, shown=(card_html.page(text, found.version) if html else text).rstrip())
