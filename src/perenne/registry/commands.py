"""`perenne model list|show|card|approve|reject`."""

from typing import Any

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.registry import approvals, card, card_text, service
from perenne.registry.model import GateState
from perenne.storage.workspace import Workspace


@click.group()
def model() -> None:
    """Versions of models: evidence, gate, decisions."""


@model.command("list")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most this many, newest first.")
@click.option("--before", metavar="VERSION", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, name: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
    """List versions, newest first.

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
            "state": item.version.state.value,
            "gate": item.gate.state.value,
            "created": format_time(item.version.created),
            "by": item.version.created_by,
        }
        for item in found
    ]


@model.command()
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


@model.command("card")
@click.argument("version")
@click.pass_obj
def card_(workspace: Workspace, version: str) -> Result:
    """Write the model card of a version: purpose, data, figures, limits, approvals. In Markdown, or with --json as data.

    \b
    Examples:
      perenne model card churn@3 > card.md
      perenne model card churn@3 --json
    """
    found = card.card(workspace, version)
    return Result(found, shown=card_text.markdown(found).rstrip())


@model.command()
@click.argument("version")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def approve(workspace: Workspace, version: str, reason: str) -> Any:
    """Approve a version whose evidence is complete.

    \b
    Examples:
      perenne model approve churn@3
      perenne model approve churn@3 --reason "better on every plan"
    """
    return workspace.database.write(lambda tx: approvals.decide(tx, local_principal(), version, approve=True, reason=reason))


@model.command()
@click.argument("version")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def reject(workspace: Workspace, version: str, reason: str) -> Any:
    """Reject a version for good.

    \b
    Examples:
      perenne model reject churn@3 --reason "too slow for the shop"
    """
    return workspace.database.write(lambda tx: approvals.decide(tx, local_principal(), version, approve=False, reason=reason))
