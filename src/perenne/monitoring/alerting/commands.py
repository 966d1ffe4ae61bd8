"""`perenne alert list|show|acknowledge|unacknowledge|silence|unsilence|silences|comment|digest|test`."""

import os
from typing import Any

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.core.clock import format_time, parse_duration
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring import alert_store, alerts
from perenne.monitoring.alerting import channels, comments, digests, showing, silences
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.messages import name_of
from perenne.monitoring.model import Alert, Severity
from perenne.monitoring.silencing import Silence, read_matcher
from perenne.storage.workspace import Workspace


@click.command("list")
@click.option("--deployment", help="Only alerts of this deployment, also those that another alert speaks for.")
@click.option("--severity", type=click.Choice([item.value for item in Severity]), help="Only alerts that are so urgent.")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def list_alerts(
    workspace: Workspace, deployment: str | None, severity: str | None, every: bool, limit: int
) -> list[dict[str, Any]]:
    """List open alerts, newest first.

    \b
    Examples:
      perenne alert list
      perenne alert list --deployment churn --all
    """
    with workspace.database.read() as tx:
        found = alert_store.list_alerts(tx, deployment, only_open=not every, limit=limit)
    chosen = [item for item in found if (deployment or not item.parent) and severity in (None, item.severity)]
    return [_line(item) for item in chosen]


@click.command()
@click.argument("alert_id")
@click.pass_obj
def show(workspace: Workspace, alert_id: str) -> Result:
    """Show an alert in full: causes, history, who was told and how it went, comments. Exits 6 while it is firing.

    \b
    Examples:
      perenne alert show 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    with workspace.database.read() as tx:
        found = showing.detail(tx, local_principal(), alert_id, workspace.clock.now())
    return Result(found, EXIT_FINDINGS if found.alert.state.value == "firing" else 0, shown=_told(found))


@click.command()
@click.argument("alert_id")
@click.pass_obj
def acknowledge(workspace: Workspace, alert_id: str) -> Alert:
    """Say that somebody is on it.

    \b
    Examples:
      perenne alert acknowledge 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    return workspace.database.write(lambda tx: alerts.acknowledge(tx, local_principal(), alert_id))


@click.command()
@click.argument("alert_id")
@click.pass_obj
def unacknowledge(workspace: Workspace, alert_id: str) -> Alert:
    """Take an acknowledgement back: nobody is on it after all.

    \b
    Examples:
      perenne alert unacknowledge 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    return workspace.database.write(lambda tx: alerts.unacknowledge(tx, local_principal(), alert_id))


@click.command()
@click.argument("alert_id", required=False)
@click.option("--deployment", default="", help="In place of an alert: everything of this deployment.")
@click.option("--rule", default="", help="In place of an alert: this rule, such as drift.")
@click.option("--match", "matches", multiple=True, metavar="LABEL=VALUE", help="What must hold: =, != or =~ with * and ?.")
@click.option("--for", "duration", default="1d", show_default=True, help="How long, such as 6h or 2d.")
@click.option("--reason", required=True, help="Why nobody needs to be told.")
@click.pass_obj
def silence(
    workspace: Workspace,
    alert_id: str | None,
    deployment: str,
    rule: str,
    matches: tuple[str, ...],
    duration: str,
    reason: str,
) -> Silence:
    """Tell nobody about an alert's rule in its deployment for a while, or about all alerts that match.

    Labels are deployment, model, version, project, rule, kind, severity, source and feature.

    \b
    Examples:
      perenne alert silence 01M8GQSGBA1NHC8Y45EHH2NB3J --for 2d --reason "a known campaign"
      perenne alert silence --match project=churn --match "severity!=critical" --reason "it moves"
    """
    now, actor = workspace.clock.now(), local_principal()
    until, matchers = now + parse_duration(duration), [read_matcher(text) for text in matches]
    if alert_id:
        if deployment or rule or matchers:
            hint = "leave out the alert, or the matchers"
            raise Invalid("an alert says itself what is silenced", code="alert.matcher", hint=hint)
        return workspace.database.write(lambda tx: alerts.silence(tx, actor, alert_id, until=until, reason=reason, now=now))
    return workspace.database.write(
        lambda tx: silences.add(
            tx, actor, until=until, reason=reason, now=now, deployment=deployment, rule=rule, matchers=matchers
        )
    )


@click.command()
@click.argument("silence_id")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def unsilence(workspace: Workspace, silence_id: str, reason: str) -> Silence:
    """End a silence before its time.

    \b
    Examples:
      perenne alert unsilence 01M8GQSGBA1NHC8Y45EHH2NB3J
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: silences.end(tx, local_principal(), silence_id, now, reason))


@click.command("silences")
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@click.pass_obj
def list_silences(workspace: Workspace, every: bool) -> list[dict[str, Any]]:
    """List the silences that last, those that end last first.

    \b
    Examples:
      perenne alert silences
    """
    with workspace.database.read() as tx:
        found = silences.listed(tx, local_principal(), workspace.clock.now(), ended=every)
    return [
        {
            "silence": item.id,
            "deployment": item.deployment,
            "rule": item.rule,
            "matchers": ", ".join(map(str, item.matchers)),
            "until": format_time(item.until),
            "owner": item.owner,
            "reason": item.reason,
            "ended_by": item.ended_by,
        }
        for item in found
    ]


@click.command()
@click.argument("alert_id")
@click.argument("text")
@click.pass_obj
def comment(workspace: Workspace, alert_id: str, text: str) -> Any:
    """Write to an alert what others should know.

    \b
    Examples:
      perenne alert comment 01M8GQSGBA1NHC8Y45EHH2NB3J "the weather feed is down; it is back at noon"
    """
    now = workspace.clock.now()
    return workspace.database.write(lambda tx: comments.add(tx, local_principal(), alert_id, text, now))


@click.command()
@click.option("--for", "duration", default="1d", show_default=True, help="How far back, such as 1d or 1w.")
@click.option("--channel", help="Send it there as well, now.")
@click.pass_obj
def digest(workspace: Workspace, duration: str, channel: str | None) -> Result:
    """Tell in one list what is open and what was resolved of late. Exits 6 while something is open.

    \b
    Examples:
      perenne alert digest
      perenne alert digest --for 1w --channel ops
    """
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        if channel is not None and channel not in channels.GIVEN:
            channels.get(tx, channel)
        found = digests.gather(tx, now - parse_duration(duration), now)
    if channel is not None:
        AlertDelivery.of(workspace).send(workspace, channel, digests.message_of(found, channel))
    lines = [{"what": word} | _line(item) for word in ("open", "resolved") for item in getattr(found, word)]
    return Result(found, EXIT_FINDINGS if found.open else 0, "" if lines else "nothing is open, nothing was resolved", lines)


@click.command("test")
@click.pass_obj
def try_all(workspace: Workspace) -> Result:
    """Send an example to every channel now and say how each went. Exits 6 if one does not work.

    \b
    Examples:
      perenne alert test
    """
    with workspace.database.read() as tx:
        names = [item.name for item in channels.listed(tx, os.environ)]
    delivery, actor = AlertDelivery.of(workspace), local_principal()
    tried = [channels.try_out(workspace, actor, delivery, name) for name in names]
    return Result(tried, 0 if all(item.taken for item in tried) else EXIT_FINDINGS)


def _line(item: Alert) -> dict[str, Any]:
    return {
        "alert": item.id,
        "deployment": item.deployment,
        "version": item.version,
        "state": item.state.value,
        "severity": item.severity.value,
        "since": format_time(item.since),
        "what": item.summary if item.deployment else f"{name_of(item)}: {item.summary}",
        "acknowledged_by": item.acknowledged_by,
    }


class _Shown(msgspec.Struct, frozen=True):
    """An alert in full, in lines."""

    alert: str
    state: str
    what: str
    since: str
    acknowledged_by: str
    speaks_for: str
    causes: tuple[dict[str, Any], ...]
    told: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...]
    comments: tuple[dict[str, Any], ...]


def _told(found: showing.AlertDetail) -> _Shown:
    row = found.alert
    return _Shown(
        row.id,
        f"{row.state.value}, {row.severity.value}",
        f"{row.version or row.deployment or row.rule}: {row.summary}",
        format_time(row.since),
        row.acknowledged_by,
        ", ".join(name for _, name in row.members),
        tuple({"feature": cause.feature, "impact": cause.impact, "what": cause.sentence} for cause in row.causes),
        tuple(
            {
                "at": format_time(item.changed),
                "channel": item.channel,
                "what": item.what,
                "state": item.state.value,
                "tries": item.attempts,
                "error": item.error,
            }
            for item in found.told
        ),
        tuple({"at": format_time(item.at), "who": item.who, "did": item.did, "why": item.why} for item in found.history),
        tuple({"at": format_time(item.at), "who": item.author, "text": item.text} for item in found.comments),
    )
