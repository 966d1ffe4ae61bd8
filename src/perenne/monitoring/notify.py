"""Telling people: one message per version and window, delivered by jobs to every channel at least once."""

import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec

from perenne import data
from perenne.core.clock import format_time
from perenne.core.hashing import key_of
from perenne.monitoring import alert_store
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.events import AlertsChanged
from perenne.monitoring.model import Alert, Severity
from perenne.storage.database import Transaction
from perenne.storage.jobs import enqueue

DELIVER = "alert.deliver"
ATTEMPTS = 8

_log = logging.getLogger("perenne.alerts")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told. `key` stays the same when a message is delivered twice.

    Attributes
    ----------
    subject : str
        One line.
    lines : tuple of str
        One for each alert: what happened, and the causes by falling impact.
    alerts : tuple of str
        Their ids.
    """

    key: str
    deployment: str
    version: str
    window_start: int
    severity: Severity
    subject: str
    lines: tuple[str, ...]
    alerts: tuple[str, ...]


class Delivery(msgspec.Struct, frozen=True):
    """The payload of a delivery job: which channel gets which message."""

    channel: str
    message: Message


class Notifier(Protocol):
    """A way to reach people."""

    def send(self, message: Message) -> None:
        """Deliver a message, or raise; it may be called again with the same message."""
        ...


class LogNotifier:
    """Writes messages to the log."""

    def send(self, message: Message) -> None:
        """Write one line per alert."""
        level = logging.INFO if message.severity is Severity.INFO else logging.WARNING
        for line in message.lines:
            _log.log(level, "%s: %s", message.version or "perenne", line)


class WebhookNotifier:
    """Posts messages as signed JSON.

    Parameters
    ----------
    url : str
        Where to; private addresses and plain http are refused.
    secret : str
        The key of the signature.
    allow : frozenset of str
        `host:port` that may be private and may be asked by plain http.
    """

    def __init__(self, url: str, secret: str, allow: frozenset[str] = frozenset()) -> None:
        self._url = url
        self._secret = secret
        self._allow = allow

    def send(self, message: Message) -> None:
        """Post the message. Raises Unavailable if the receiver does not take it, Invalid or Denied if it may not be asked."""
        from perenne.net.egress import post_json

        post_json(self._url, message, secret=self._secret, identity=message.key, allow=self._allow)


class AlertDelivery:
    """Turns changed alerts into delivery jobs, one for each channel, and does them.

    Parameters
    ----------
    channels : mapping
        Names and notifiers.
    """

    def __init__(self, channels: Mapping[str, Notifier]) -> None:
        self._channels = dict(channels)

    def queue(self, tx: Transaction, event: AlertsChanged) -> None:
        """Queue a message about the alerts, in the transaction that delivers the event."""
        changes = [(alert, what) for identity, what in event.changes if (alert := alert_store.find_alert(tx, identity))]
        if not changes:
            return
        message = compose(changes, event.window_start)
        for channel in self._channels:
            enqueue(tx, DELIVER, Delivery(channel, message), key=f"{message.key}>{channel}", attempts_allowed=ATTEMPTS)

    def deliver(self, delivery: Delivery) -> None:
        """Send one message on one channel; one that is no longer configured is passed over."""
        notifier = self._channels.get(delivery.channel)
        if notifier is None:
            _log.warning("channel %s is gone; %s was not sent", delivery.channel, delivery.message.subject)
            return
        notifier.send(delivery.message)


def on_source_failed(tx: Transaction, event: data.ingest.events.SourceFailed) -> None:
    """Let an alert fire while rows do not come from where they came."""
    summary = f"{event.dataset} cannot be read from {event.uri}: {event.problem}"
    raise_alert(tx, "", "", _rule(event.dataset), summary, event.at)


def on_source_recovered(tx: Transaction, event: data.ingest.events.SourceRecovered) -> None:
    """Resolve the alert of a source that is read again."""
    alert = alert_store.open_alert(tx, "", "", _rule(event.dataset))
    if alert is not None:
        resolve_alert(tx, MONITOR, alert, "its source was read again", event.at)


def _rule(dataset: str) -> str:
    return f"source {dataset}"


def channels_from(environment: Mapping[str, str]) -> dict[str, Notifier]:
    """Return the log and, if `PERENNE_ALERT_WEBHOOK` names its URL, the webhook.

    `PERENNE_ALERT_SECRET` signs what it gets; `PERENNE_ALERT_ALLOW` lists, with commas, each `host:port` that may be private.

    >>> sorted(channels_from({"PERENNE_ALERT_WEBHOOK": "https://example.org/hook"}))
    ['log', 'webhook']
    """
    channels: dict[str, Notifier] = {"log": LogNotifier()}
    if url := environment.get("PERENNE_ALERT_WEBHOOK"):
        allow = frozenset(filter(None, environment.get("PERENNE_ALERT_ALLOW", "").split(",")))
        channels["webhook"] = WebhookNotifier(url, environment.get("PERENNE_ALERT_SECRET", ""), allow)
    return channels


def compose(changes: list[tuple[Alert, str]], window_start: int) -> Message:
    """Write the message about what happened to alerts of one version."""
    changes = sorted(changes, key=lambda change: -change[0].severity.level)
    worst = changes[0][0]
    what = " and ".join(sorted({what for _, what in changes}))
    named = worst.version.startswith(f"{worst.deployment}@")
    name = worst.version if named else f"{worst.deployment} {worst.version}".strip() or "perenne"
    return Message(
        key=key_of({(alert.id, what, alert.sent) for alert, what in changes}),
        deployment=worst.deployment,
        version=worst.version,
        window_start=window_start,
        severity=worst.severity,
        subject=f"[{worst.severity.value}] {name}: {what}",
        lines=tuple(_line(alert, what) for alert, what in changes),
        alerts=tuple(alert.id for alert, _ in changes),
    )


def _line(alert: Alert, what: str) -> str:
    show = f"; `perenne monitor show {alert.deployment}`" if alert.deployment else ""
    return f"{what} since {format_time(alert.since)}: {alert.summary}{show}"
