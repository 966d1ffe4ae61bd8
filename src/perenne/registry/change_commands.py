"""`perenne model approve|reject|clear|promote|alias|archive|restore|tag|comment`."""

from typing import Any

import click

from perenne.auth import comments
from perenne.auth.principals import local_principal
from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.registry import approvals, placing, registrations, service
from perenne.registry.model import Version
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

REASON = click.option("--reason", default="", help="Why; kept in the audit trail.")


@click.command()
@click.argument("version")
@REASON
@click.pass_obj
def approve(workspace: Workspace, version: str, reason: str) -> Any:
    """Approve a version whose evidence is complete.

    \b
    Examples:
      perenne model approve churn@3
      perenne model approve churn@3 --reason "better on every plan"
    """
    return workspace.database.write(lambda tx: approvals.decide(tx, local_principal(), version, approve=True, reason=reason))


@click.command()
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


@click.command()
@click.argument("version")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def clear(workspace: Workspace, version: str, reason: str) -> Version:
    """Take away the bar of a version that was rolled back: it may be promoted again.

    \b
    Examples:
      perenne model clear churn@3 --reason "the outage was the database's"
    """
    return workspace.database.write(lambda tx: approvals.clear(tx, local_principal(), version, reason=reason))


@click.command()
@click.argument("version")
@REASON
@click.pass_obj
def promote(workspace: Workspace, version: str, reason: str) -> Result:
    """Make a version the champion of its model, if its gate is open: what `alias VERSION champion` does.

    Deployments stay as they are: `perenne deploy version` changes what answers.

    \b
    Examples:
      perenne model promote churn@3 --reason "better on every plan"
    """
    return _aliased(workspace, version, "champion", reason)


@click.command()
@click.argument("version")
@click.argument("alias")
@click.option("--drop", is_flag=True, help="Take the alias away from the version.")
@REASON
@click.pass_obj
def alias(workspace: Workspace, version: str, alias: str, drop: bool, reason: str) -> Result:
    """Point an alias to a version, if its gate is open where the alias is guarded; clients load `models:/NAME@ALIAS`.

    \b
    Examples:
      perenne model alias churn@3 candidate
      perenne model alias churn@3 candidate --drop
    """
    if not drop:
        return _aliased(workspace, version, alias, reason)

    def take(tx: Transaction) -> Version:
        found = service.get_version(tx, version)
        present = placing.aliased(tx, found.model, alias)
        if present is None or present.id != found.id:
            raise Invalid(f"{version} has no alias {alias[:100]!r}", code="alias.absent", hint=f"`perenne model show {version}`")
        placing.drop_alias(tx, local_principal(), found.model, alias, reason=reason)
        return found

    found = workspace.database.write(take)
    return Result({"version": found.id, "alias": alias, "points_to": ""})


def _aliased(workspace: Workspace, version: str, name: str, reason: str) -> Result:
    def point(tx: Transaction) -> Version:
        found = service.get_version(tx, version)
        placing.set_alias(tx, local_principal(), found.model, name, version, reason=reason)
        return found

    found = workspace.database.write(point)
    return Result({"model": found.model, "alias": name, "points_to": found.id}, note=f"models:/{found.model}@{name}")


@click.command()
@click.argument("version")
@REASON
@click.pass_obj
def archive(workspace: Workspace, version: str, reason: str) -> Any:
    """Put a version into the archive: it stays, and is out of the way.

    \b
    Examples:
      perenne model archive churn@1 --reason "superseded"
    """
    return _staged(workspace, version, "Archived", reason)


@click.command()
@click.argument("version")
@click.option("--stage", default="None", show_default=True, help="The stage it goes to: None, Staging or Production.")
@REASON
@click.pass_obj
def restore(workspace: Workspace, version: str, stage: str, reason: str) -> Any:
    """Take a version out of the archive, or put it into a stage if its gate is open where the stage is guarded.

    \b
    Examples:
      perenne model restore churn@1
      perenne model restore churn@1 --stage Staging
    """
    return _staged(workspace, version, stage, reason)


def _staged(workspace: Workspace, version: str, stage: str, reason: str) -> dict[str, Any]:
    moved = workspace.database.write(lambda tx: placing.move_to_stage(tx, local_principal(), version, stage, reason=reason))
    return {"version": moved.id, "stage": moved.stage}


@click.command()
@click.argument("version")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE…")
@click.pass_obj
def tag(workspace: Workspace, version: str, tags: tuple[str, ...]) -> Any:
    """Give a version tags; `KEY=` with nothing behind it takes one away.

    \b
    Examples:
      perenne model tag churn@3 checked=yes ticket=CRM-17
      perenne model tag churn@3 checked=
    """
    pairs = [text.partition("=") for text in tags]
    for key, sign, _ in pairs:
        if not sign:
            raise Invalid(f"{key[:100]!r} is no tag", code="tag.form", hint="write KEY=VALUE")

    def change(tx: Transaction) -> dict[str, str]:
        found = service.get_version(tx, version)
        for key, _, value in pairs:
            if value:
                registrations.set_tag(tx, local_principal(), found.model, found.number, key, value)
            else:
                registrations.drop_tag(tx, local_principal(), found.model, found.number, key)
        return registrations.entries(tx, [found])[0].tags

    return {"version": version, "tags": " ".join(f"{k}={v}" for k, v in workspace.database.write(change).items())}


@click.command()
@click.argument("version")
@click.argument("text", required=False)
@click.pass_obj
def comment(workspace: Workspace, version: str, text: str | None) -> Any:
    """Say something about a version; without a text, list what was said, newest first.

    \b
    Examples:
      perenne model comment churn@3 "the weakest group got better"
      perenne model comment churn@3
    """
    if text is None:
        with workspace.database.read() as tx:
            return comments.of(tx, "version", service.get_version(tx, version).id)

    def say(tx: Transaction) -> comments.Comment:
        found = service.get_version(tx, version)
        return comments.add(tx, local_principal(), "version", found.id, text, project=found.project)

    return workspace.database.write(say)
