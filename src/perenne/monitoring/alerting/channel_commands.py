"""`perenne alert channel add|list|test|remove`."""

import os
from typing import Any, Literal, cast

import click

from perenne.auth.principals import local_principal
from perenne.auth.sealing import seal_of
from perenne.core.clock import format_duration, parse_duration
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring.alerting import channels
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.model import Channel, Options
from perenne.monitoring.alerting.targets import Target
from perenne.monitoring.model import Severity
from perenne.storage.workspace import Workspace

SEVERITIES = [item.value for item in Severity]


@click.command("add")
@click.argument("name")
@click.argument("target")
@click.option("--secret", default="", help="The key that signs what a webhook gets: $NAME, ${/path} or the key itself.")
@click.option("--at-least", type=click.Choice(SEVERITIES), default="info", show_default=True, help="Nothing less urgent.")
@click.option("--project", "projects", multiple=True, help="Only alerts of this project; may be given several times.")
@click.option("--escalate-to", default="", metavar="CHANNEL", help="Who is told next if nobody acknowledges.")
@click.option("--escalate-after", default="", metavar="DURATION", help="After how long, such as 30m.")
@click.option("--escalations-only", is_flag=True, help="Hear only of what nobody acknowledged elsewhere.")
@click.option("--quiet", default="", metavar="HH:MM-HH:MM", help="Hours in which only critical alerts are sent.")
@click.option("--zone", default="UTC", show_default=True, help="The time zone of hours and digests.")
@click.option("--digest", type=click.Choice(("daily", "weekly")), help="Also send a summary.")
@click.option("--digest-at", default="08:00", show_default=True, metavar="HH:MM", help="When; weekly ones on Mondays.")
@click.option("--digest-below", type=click.Choice(SEVERITIES), help="What is less urgent than this comes in the digest only.")
@click.option("--replace", is_flag=True, help="Take the place of the channel of that name.")
@click.pass_obj
def add(workspace: Workspace, /, name: str, target: str, secret: str, replace: bool, **given: Any) -> Channel:
    """Declare a channel: https://…, smtp://user@host:587?to=…, smtps://…, apprise:SCHEME://… or log:

    Secrets: $NAME and ${NAME} are taken from the environment of the control plane, ${/path} from a file, each time something is
    sent; whatever stands in the target itself is kept sealed and never shown.

    \b
    Examples:
      perenne alert channel add ops "https://hooks.example.org/T0" --secret '$OPS_KEY'
      perenne alert channel add post 'smtp://ops:$PW@mail.example.org?to=ops@example.org'
      perenne alert channel add pager 'apprise:pagerduty://$PAGER_KEY' --escalations-only
    """
    options = _options(given)
    now, seal = workspace.clock.now(), seal_of(workspace.settings.home)
    return workspace.database.write(
        lambda tx: channels.add(tx, local_principal(), name, Target(target, secret), options, seal=seal, now=now, replace=replace)
    )


def _options(given: dict[str, Any]) -> Options:
    below, after = given["digest_below"], given["escalate_after"]
    return Options(
        at_least=Severity(given["at_least"]),
        projects=tuple(given["projects"]),
        escalations_only=given["escalations_only"],
        escalate_to=given["escalate_to"],
        escalate_after=parse_duration(after) if after else 0,
        quiet=given["quiet"],
        zone=given["zone"],
        digest=cast("Literal['', 'daily', 'weekly']", given["digest"] or ""),
        digest_at=given["digest_at"],
        digest_below=Severity(below) if below else None,
    )


@click.command("list")
@click.pass_obj
def list_(workspace: Workspace) -> Result:
    """List the channels, without their secrets.

    \b
    Examples:
      perenne alert channel list
    """
    with workspace.database.read() as tx:
        found = channels.listed(tx, os.environ)
    return Result(found, shown=[_line(item) for item in found])


@click.command()
@click.argument("name")
@click.pass_obj
def test(workspace: Workspace, name: str) -> Result:
    """Send an example to a channel now. Exits 6 if it does not work.

    \b
    Examples:
      perenne alert channel test ops
    """
    tried = channels.try_out(workspace, local_principal(), AlertDelivery.of(workspace), name)
    return Result(tried, 0 if tried.taken else EXIT_FINDINGS)


@click.command()
@click.argument("name")
@click.pass_obj
def remove(workspace: Workspace, name: str) -> dict[str, str]:
    """Forget a channel; what it was told stays in the alerts' history.

    \b
    Examples:
      perenne alert channel remove ops
    """
    now = workspace.clock.now()
    workspace.database.write(lambda tx: channels.remove(tx, local_principal(), name, now))
    return {"removed": name}


def _line(item: Channel) -> dict[str, Any]:
    options = item.options
    hears = "escalations only" if options.escalations_only else f"{options.at_least.value} and above"
    digest = f"{options.digest} at {options.digest_at}" if options.digest else ""
    next_one = f"{options.escalate_to} after {format_duration(options.escalate_after)}" if options.escalate_to else ""
    return {
        "channel": item.name,
        "kind": item.kind,
        "target": item.target,
        "hears": hears + (f" of {', '.join(options.projects)}" if options.projects else ""),
        "quiet": options.quiet,
        "digest": digest,
        "escalates_to": next_one,
    }
