"""The verbs of `perenne deploy` that change who answers, and show it: `perenne.cli.deploy` puts them together."""

from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from perenne import registry
from perenne.auth.principals import local_principal
from perenne.core.clock import SystemClock, format_duration, parse_duration
from perenne.serving import applying, service
from perenne.serving.live import forms
from perenne.serving.model import DEFAULT_WINDOW, Deployment, StopMode
from perenne.serving.status import ServerStatus, describe, read_statuses
from perenne.storage.workspace import Workspace

change, prepare, tell, constant_of = applying.change, applying.prepare, applying.tell, applying.constant_of


@click.command("list")
@click.argument("project", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, by name.")
@click.option("--after", default="", metavar="NAME", help="Go on after this one, the last of the page before.")
@click.pass_obj
def list_(workspace: Workspace, project: str | None, limit: int, after: str) -> list[dict[str, Any]]:
    """List deployments, of one project if named.

    \b
    Examples:
      perenne deploy list
      perenne deploy list churn
    """
    with workspace.database.read() as tx:
        found = service.deployments(tx, project, after=after, limit=limit)
    now = SystemClock().now()
    return [
        {
            "deployment": item.name,
            "state": "stopped" if item.stop else "serving",
            "champion": item.champion.version,
            "canaries": " ".join(f"{variant.version}={variant.weight:.1%}" for variant in item.canaries),
            "challengers": " ".join(variant.version for variant in item.challengers),
            "previous": item.previous.version if item.previous else "",
            "window": format_duration(item.window_length),
            "generation": item.generation,
            "servers": "; ".join(describe(status, now) for status in _servers(workspace, item.name, now)),
        }
        for item in found
    ]


@click.command()
@click.argument("name")
@click.pass_obj
def show(workspace: Workspace, name: str) -> dict[str, Any]:
    """Show a deployment with its variants, and how the model servers do that serve it.

    \b
    Examples:
      perenne deploy show churn
    """
    with workspace.database.read() as tx:
        deployment = service.get_deployment(tx, name)
        signed = registry.trust.recorded(tx, [variant.tree for variant in deployment.variants])
    now = SystemClock().now()
    servers = [
        {
            "url": status.url,
            "server": status.server,
            "state": describe(status, now),
            "dropped": status.dropped,
            "forms": forms(status.url, name),
            "signatures": _by_version(deployment, status.signatures),
        }
        for status in _servers(workspace, name, now)
    ]
    said = {tree: f"{found.state.value}: {found.detail}" for tree, found in signed.items()}
    shown: dict[str, Any] = to_builtins(deployment)
    return shown | {"signatures": _by_version(deployment, said), "servers": servers}


def _by_version(deployment: Deployment, said: dict[str, str]) -> dict[str, str]:
    """Return what is said of packages by the versions they are of."""
    return {variant.version: said[variant.tree] for variant in deployment.variants if variant.tree in said}


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--window", default=format_duration(DEFAULT_WINDOW), show_default=True, help="Length of a monitoring window.")
@click.option("--answer", help="What to answer if no model can: JSON, such as 0 or '\"on time\"'.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.option("--example", type=click.Path(path_type=Path), help="Real rows on which forms of a logged model are compared.")
@click.option("--trust", multiple=True, metavar="DIGEST", help="Vouch for code in a logged model: a pickle, a Python model.")
@click.pass_obj
def version(
    workspace: Workspace,
    name: str,
    version: str,
    window: str,
    answer: str | None,
    reason: str,
    example: Path | None,
    trust: tuple[str, ...],
) -> Deployment:
    """Make a version the champion; the deployment is made if there is none of that name.

    A version that a client of MLflow registered is packaged first: compiled where that is proven to answer alike.

    \b
    Examples:
      perenne deploy version churn churn@3
      perenne deploy version churn-eu churn@3 --window 6h --answer 0
    """
    length, constant = parse_duration(window), constant_of(answer)
    prepare(workspace, version, example=example, trust=trust, reason=reason)
    return change(
        workspace,
        lambda tx: service.deploy(tx, local_principal(), name, version, window_length=length, answer=constant, reason=reason),
    )


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--remove", is_flag=True, help="Take it out of the shadow.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def challenger(workspace: Workspace, name: str, version: str, remove: bool, reason: str) -> Deployment:
    """Let a version answer in shadow: logged and compared, and returned to nobody.

    \b
    Examples:
      perenne deploy challenger churn churn@4
      perenne deploy challenger churn churn@4 --remove
    """
    if not remove:
        prepare(workspace, version, reason=reason)
    step = service.remove_challenger if remove else service.set_challenger
    return change(workspace, lambda tx: step(tx, local_principal(), name, version, reason=reason))


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def promote(workspace: Workspace, name: str, version: str, reason: str) -> Deployment:
    """Make a challenger or canary the champion.

    \b
    Examples:
      perenne deploy promote churn churn@4 --reason "a week in shadow"
    """
    return change(workspace, lambda tx: service.promote(tx, local_principal(), name, version, reason=reason))


@click.command("roll-back")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def roll_back(workspace: Workspace, name: str, reason: str) -> Deployment:
    """Let the previous version answer again.

    \b
    Examples:
      perenne deploy roll-back churn --reason "complaints from the shop"
    """
    return change(workspace, lambda tx: service.roll_back(tx, local_principal(), name, reason=reason))


@click.command()
@click.argument("name")
@click.option("--answer", help="The constant to answer, as JSON; the deployment's own if not given.")
@click.option("--previous", is_flag=True, help="Let the previous version answer instead of a constant.")
@click.option("--person", is_flag=True, help="Let people answer, who work through a queue.")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@click.pass_obj
def stop(workspace: Workspace, name: str, answer: str | None, previous: bool, person: bool, reason: str) -> Deployment:
    """Stop the champion at once.

    \b
    Examples:
      perenne deploy stop churn --reason "wrong prices came in"
      perenne deploy stop churn --previous --reason "wrong prices came in"
      perenne deploy stop churn --person --reason "refusals look wrong"
    """
    if previous and person:
        raise click.UsageError("give --previous or --person")
    mode = StopMode.PREVIOUS if previous else StopMode.PERSON if person else StopMode.CONSTANT
    constant = constant_of(answer)
    return change(workspace, lambda tx: service.stop(tx, local_principal(), name, mode=mode, reason=reason, answer=constant))


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def resume(workspace: Workspace, name: str, reason: str) -> Deployment:
    """Let a stopped champion answer again.

    \b
    Examples:
      perenne deploy resume churn
    """
    return change(workspace, lambda tx: service.resume(tx, local_principal(), name, reason=reason))


def _servers(workspace: Workspace, name: str, now: int) -> list[ServerStatus]:
    return read_statuses(workspace.settings.spool, name, now)
