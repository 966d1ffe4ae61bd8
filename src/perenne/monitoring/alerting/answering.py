"""REST of alerts: what is open and one of them in full, what people say to it, silences, channels, the digest; and the screen."""

import asyncio
import os
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, sees
from perenne.auth.sealing import seal_of
from perenne.core import json
from perenne.core.clock import DAY, parse_duration
from perenne.core.paging import page_of
from perenne.monitoring import alert_store, alerts
from perenne.monitoring.alerting import channels, comments, digests, showing, silences
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.model import Channel, Comment, Options
from perenne.monitoring.alerting.targets import Target, check_remote
from perenne.monitoring.model import Alert, Severity
from perenne.monitoring.silencing import Silence, read_matcher
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Length = Annotated[str, msgspec.Meta(max_length=40)]
Short = Annotated[str, msgspec.Meta(max_length=500)]


class NothingMore(msgspec.Struct, forbid_unknown_fields=True):
    """A body without a field: the path says it all."""


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long nobody is to be told, such as `1h`, and why."""

    duration: Length = msgspec.field(name="for")
    reason: Text


class WideSilenceBody(SilenceBody, forbid_unknown_fields=True):
    """As a silence of an alert, and what is matched: a deployment, a rule, and `label=value`, `!=` or `=~` of labels."""

    deployment: Short = ""
    rule: Short = ""
    match: Annotated[list[Text], msgspec.Meta(max_length=20)] = []


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why."""

    reason: Short = ""


class CommentBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be said."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=comments.LONGEST)]


class ChannelBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A channel: its name, where it leads, the key of a webhook's signature, and its options; see `Options`."""

    name: Short
    target: Annotated[str, msgspec.Meta(min_length=1, max_length=4_000)]
    secret: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    at_least: Severity = Severity.INFO
    projects: Annotated[tuple[Short, ...], msgspec.Meta(max_length=200)] = ()
    escalations_only: bool = False
    escalate_to: Short = ""
    escalate_after: Length = ""
    quiet: Short = ""
    zone: Short = "UTC"
    digest: Short = ""
    digest_at: Short = "08:00"
    digest_below: Severity | None = None
    replace: bool = False

    def options(self) -> Options:
        """Return the options as they are kept."""
        values = {name: getattr(self, name) for name in Options.__struct_fields__}
        values["escalate_after"] = parse_duration(self.escalate_after) if self.escalate_after else 0
        return Options(**values)


def project_of_alert(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of what an alert is about; empty for the whole installation."""
    return alerts.project_of(tx, alerts.get_alert(tx, path["alert"]))


def _now(request: Request) -> int:
    workspace: Workspace = request.app.state.workspace
    return workspace.clock.now()


@needs(Action.READ, filters=True, returns=list[Alert])
async def get_alerts(request: Request) -> Response:
    """List open alerts, newest first, of one `deployment` if named; with `all=1` also those that have ended."""
    query = request.query_params
    deployment, limit = query.get("deployment"), page_of(query).limit

    def listed(tx: Transaction, actor: Principal) -> list[Alert]:
        found = alert_store.list_alerts(tx, deployment, only_open=query.get("all") != "1", limit=limit)
        projects = alerts.projects_of(tx, {alert.deployment for alert in found})
        return [alert for alert in found if sees(actor, projects.get(alert.deployment, alert.project))]

    return await answers.read(request, listed)


@needs(Action.READ, project=project_of_alert, returns=showing.AlertDetail)
async def get_alert(request: Request) -> Response:
    """Give one alert in full: its causes, its history, who was told of it and how that went, and comments."""
    identity, now = request.path_params["alert"], _now(request)
    return await answers.read(request, lambda tx, actor: showing.detail(tx, actor, identity, now))


@needs(Action.COMMENT, project=project_of_alert, body=NothingMore, example={}, returns=Alert)
async def acknowledge(request: Request) -> Response:
    """Say that somebody is on it."""
    json.decode(await request.body(), NothingMore, what="acknowledgement")
    return await answers.write(request, lambda tx, actor: alerts.acknowledge(tx, actor, request.path_params["alert"]))


@needs(Action.COMMENT, project=project_of_alert, body=NothingMore, example={}, returns=Alert)
async def unacknowledge(request: Request) -> Response:
    """Take an acknowledgement back."""
    json.decode(await request.body(), NothingMore, what="acknowledgement")
    return await answers.write(request, lambda tx, actor: alerts.unacknowledge(tx, actor, request.path_params["alert"]))


@needs(
    Action.COMMENT,
    project=project_of_alert,
    body=SilenceBody,
    example={"for": "6h", "reason": "known outage of the feed"},
    returns=Silence,
)
async def silence(request: Request) -> Response:
    """Tell nobody about this alert's rule in its deployment for a while."""
    body, alert = json.decode(await request.body(), SilenceBody, what="silence"), request.path_params["alert"]
    now = _now(request)
    until = now + parse_duration(body.duration)
    return await answers.write(
        request, lambda tx, actor: alerts.silence(tx, actor, alert, until=until, reason=body.reason, now=now)
    )


@needs(
    Action.COMMENT, project=project_of_alert, body=CommentBody, example={"text": "the feed is down"}, returns=Comment, status=201
)
async def comment(request: Request) -> Response:
    """Write to an alert."""
    body, alert, now = json.decode(await request.body(), CommentBody, what="comment"), request.path_params["alert"], _now(request)
    return await answers.write(request, lambda tx, actor: comments.add(tx, actor, alert, body.text, now), 201)


@needs(Action.READ, filters=True, returns=list[Silence])
async def get_silences(request: Request) -> Response:
    """List the silences that last; with `all=1` also those that have ended."""
    now, ended = _now(request), request.query_params.get("all") == "1"
    return await answers.read(request, lambda tx, actor: silences.listed(tx, actor, now, ended=ended))


@needs(
    Action.COMMENT,
    filters=True,
    body=WideSilenceBody,
    example={"for": "2h", "reason": "the feed moves", "match": ["project=churn", "severity!=critical"]},
    returns=Silence,
    status=201,
)
async def add_silence(request: Request) -> Response:
    """Tell nobody of alerts that match, for a while."""
    body, now = json.decode(await request.body(), WideSilenceBody, what="silence"), _now(request)
    until, matchers = now + parse_duration(body.duration), [read_matcher(words) for words in body.match]

    def add(tx: Transaction, actor: Principal) -> Silence:
        return silences.add(
            tx, actor, until=until, reason=body.reason, now=now, deployment=body.deployment, rule=body.rule, matchers=matchers
        )

    return await answers.write(request, add, 201)


@needs(Action.COMMENT, filters=True, body=ReasonBody, example={"reason": "it is over"}, returns=Silence)
async def end_silence(request: Request) -> Response:
    """Let a silence end now."""
    body, identity, now = json.decode(await request.body(), ReasonBody, what="end"), request.path_params["silence"], _now(request)
    return await answers.write(request, lambda tx, actor: silences.end(tx, actor, identity, now, body.reason))


@needs(Action.READ, returns=list[Channel])
async def get_channels(request: Request) -> Response:
    """List the channels, without their secrets."""
    return await answers.read(request, lambda tx, _: channels.listed(tx, os.environ))


@needs(
    Action.ADMINISTER,
    body=ChannelBody,
    example={"name": "ops", "target": "https://hooks.example.org/T0", "secret": "$PERENNE_ALERT_OPS", "at_least": "warning"},
    returns=Channel,
    status=201,
)
async def add_channel(request: Request) -> Response:
    """Declare a channel. Secrets may come from variables of the server whose names begin with `PERENNE_ALERT_`."""
    workspace: Workspace = request.app.state.workspace
    body, now = json.decode(await request.body(), ChannelBody, what="channel"), _now(request)
    target = Target(check_remote(body.target), check_remote(body.secret))
    options, seal = body.options(), seal_of(workspace.settings.home)
    return await answers.write(
        request,
        lambda tx, actor: channels.add(tx, actor, body.name, target, options, seal=seal, now=now, replace=body.replace),
        201,
    )


@needs(Action.ADMINISTER, returns=dict[str, str])
async def remove_channel(request: Request) -> Response:
    """Forget a channel."""
    name, now = request.path_params["channel"], _now(request)

    def remove(tx: Transaction, actor: Principal) -> dict[str, str]:
        channels.remove(tx, actor, name, now)
        return {"removed": name}

    return await answers.write(request, remove)


@needs(Action.ADMINISTER, body=NothingMore, example={}, returns=channels.Tried)
async def test_channel(request: Request) -> Response:
    """Send an example to a channel now, and say how it went."""
    json.decode(await request.body(), NothingMore, what="test")
    workspace: Workspace = request.app.state.workspace
    actor, name = request.state.actor, request.path_params["channel"]
    delivery = AlertDelivery.of(workspace)
    return answers.answer(await asyncio.to_thread(channels.try_out, workspace, actor, delivery, name))


@needs(Action.READ, filters=True, returns=digests.Digest)
async def get_digest(request: Request) -> Response:
    """Give what is open, and what was resolved within `for`, a day if it is not given."""
    length = text(request, "for") or "1d"
    now = _now(request)
    since = now - min(parse_duration(length), 366 * DAY)
    return await answers.read(request, lambda tx, actor: digests.gather(tx, since, now, sorted(actor.projects)))


@needs(Action.READ, filters=True, returns=showing.AlertsView)
async def view_alerts(request: Request) -> Response:
    """Show alerts, of one `state`, `severity` or `deployment` if named; `alert` is one to show in full."""
    page, now = page_of(request.query_params), _now(request)
    asked: dict[str, Any] = {name: text(request, name) for name in ("state", "severity", "deployment", "alert")}

    def show(tx: Transaction, actor: Principal) -> showing.AlertsView:
        return showing.alerts_view(tx, actor, page, now=now, channels=channels.listed(tx, os.environ), **asked)

    return await answers.view(request, show)


routes = [
    Route("/api/alert", get_alerts, methods=["GET"]),
    Route("/api/alert/digest", get_digest, methods=["GET"]),
    Route("/api/alert/silences", get_silences, methods=["GET"]),
    Route("/api/alert/silences", add_silence, methods=["POST"]),
    Route("/api/alert/silences/{silence}/end", end_silence, methods=["POST"]),
    Route("/api/alert/channels", get_channels, methods=["GET"]),
    Route("/api/alert/channels", add_channel, methods=["POST"]),
    Route("/api/alert/channels/{channel}", remove_channel, methods=["DELETE"]),
    Route("/api/alert/channels/{channel}/test", test_channel, methods=["POST"]),
    Route("/api/alert/{alert}", get_alert, methods=["GET"]),
    Route("/api/alert/{alert}/acknowledge", acknowledge, methods=["POST"]),
    Route("/api/alert/{alert}/unacknowledge", unacknowledge, methods=["POST"]),
    Route("/api/alert/{alert}/silence", silence, methods=["POST"]),
    Route("/api/alert/{alert}/comment", comment, methods=["POST"]),
]

view_routes = [Route("/api/view/alert", view_alerts, methods=["GET"])]
