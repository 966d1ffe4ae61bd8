"""Delivering: an event becomes a job for each channel that hears of it, and the job reaches people at least once.

A message is tried again after 1, 5, 25 and 125 minutes, under the same key; each try is a job of its own, queued in the
transaction that notes how the one before went. A channel that does not work is itself an alert, on the others.
"""

import logging
import os
from collections.abc import Mapping, Sequence

import msgspec

from perenne.auth.sealing import seal_of
from perenne.core.clock import SECOND, Clock, SystemClock
from perenne.core.config import Settings
from perenne.core.errors import PerenneError
from perenne.core.redaction import redact_text
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import grouping, store
from perenne.monitoring.alerting.messages import Message, compose
from perenne.monitoring.alerting.model import DEAD_AFTER, RETRY_AFTER, Options, Told, ToldState, quiet_until
from perenne.monitoring.alerting.notifiers import LogNotifier, Notifier, WebhookNotifier, channels_from, notifier_of
from perenne.monitoring.alerting.routing import DEAD, heard, options_of
from perenne.monitoring.alerting.targets import Target
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.events import AlertsChanged
from perenne.monitoring.model import Alert, Severity
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job, enqueue
from perenne.storage.workspace import Workspace

__all__ = ["AlertDelivery", "Delivery", "LogNotifier", "Message", "Notifier", "WebhookNotifier", "channels_from"]

DELIVER = "alert.deliver"
ATTEMPTS = 8
"""How often one try may be begun anew because its worker was lost."""

GROUP_WAIT = 10 * SECOND
MAX_ERROR = 500
PAGES = "PERENNE_ALERT_URL"

_log = logging.getLogger("perenne.alerts")


class Delivery(msgspec.Struct, frozen=True):
    """The payload of a delivery job: which channel gets which message, and which try it is."""

    channel: str
    message: Message
    attempt: int = 1


class AlertDelivery:
    """Turns changed alerts into delivery jobs, one for each channel, and does them.

    Parameters
    ----------
    channels : mapping
        Names and notifiers of the channels that the environment names; those that are declared are in the database.
    clock : Clock, optional
        By which quiet hours and times are told.
    pages : str
        Where the pages are, for links in messages.
    retries : sequence of int
        Microseconds to wait after each try that failed.

    Attributes
    ----------
    clock : Clock
        By which it tells.
    """

    def __init__(
        self,
        channels: Mapping[str, Notifier],
        clock: Clock | None = None,
        *,
        pages: str = "",
        retries: Sequence[int] = RETRY_AFTER,
    ) -> None:
        self._channels = dict(channels)
        self.clock = clock or SystemClock()
        self._pages = pages.rstrip("/")
        self._retries = tuple(retries)

    @classmethod
    def of(cls, workspace: Workspace, environment: Mapping[str, str] = os.environ) -> "AlertDelivery":
        """Return the delivery of a process, with the channels of its environment."""
        return cls(channels_from(environment), workspace.clock, pages=environment.get(PAGES) or _pages(workspace.settings))

    def queue(self, tx: Transaction, event: AlertsChanged) -> None:
        """Queue a message about the alerts for each channel that hears of it, in the transaction that delivers the event."""
        found = {alert.id: alert for alert in alert_store.some_alerts(tx, [identity for identity, _ in event.changes])}
        changes = [(found[identity], what) for identity, what in event.changes if identity in found]
        loud = grouping.spoken_for(tx, changes, self.clock.now())
        self.tell(tx, loud, event.window_start)

    def tell(self, tx: Transaction, changes: Sequence[tuple[Alert, str]], window_start: int) -> int:
        """Queue what happened to alerts for each channel that hears of it; return how many do."""
        if not changes:
            return 0
        known = options_of(store.channels(tx), self._channels)
        wait = GROUP_WAIT if any(grouping.shares_its_source(tx, alert) for alert, _ in changes) else 0
        count = 0
        for name, options in known.items():
            if told := heard(changes, name, options, known):
                self.tell_one(tx, name, options, told, window_start, wait=wait)
                count += 1
        return count

    def tell_one(
        self,
        tx: Transaction,
        name: str,
        options: Options,
        changes: Sequence[tuple[Alert, str]],
        window_start: int,
        *,
        wait: int = 0,
    ) -> None:
        """Queue a message for one channel; in its quiet hours what is not critical waits until they end."""
        now = self.clock.now()
        message = compose(changes, window_start, self._pages)
        until = now if message.severity is Severity.CRITICAL else quiet_until(options, now)
        state = ToldState.HELD if until > now else ToldState.WAITING
        rows = [
            Told(alert=alert.id, key=message.key, channel=name, what=what, queued=now, state=state, changed=now)
            for alert, what in changes
        ]
        if store.add_told(tx, rows):
            self.post(tx, name, message, delay=max(until - now, wait))

    def post(self, tx: Transaction, name: str, message: Message, *, delay: int = 0, attempt: int = 1) -> None:
        """Queue one try of a message on a channel."""
        key = f"{message.key}>{name}" + (f"#{attempt}" if attempt > 1 else "")
        enqueue(tx, DELIVER, Delivery(name, message, attempt), key=key, delay=delay, attempts_allowed=ATTEMPTS)

    def deliver(self, workspace: Workspace, job: Job) -> None:
        """Do one try; how it went, and the next try if there is one, are noted in one transaction."""
        delivery = msgspec.json.decode(job.payload, type=Delivery)
        problem = ""
        over = self._is_over(workspace, delivery)
        if not over:
            try:
                self.send(workspace, delivery.channel, delivery.message)
            except Exception as error:
                problem = _problem(error)
                _log.warning("channel %s did not take a message: %s", delivery.channel, problem)
        now = workspace.clock.now()
        workspace.database.write(lambda tx: self._note(tx, job, delivery, problem, now, over=over))

    def send(self, workspace: Workspace, name: str, message: Message) -> None:
        """Send a message on a channel now. Raises whatever keeps it from being taken."""
        notifier = self._channels.get(name) or _declared(workspace, name)
        if notifier is None:
            _log.warning("channel %s is gone; %s was not sent", name, message.subject)
            return
        notifier.send(message)

    def _is_over(self, workspace: Workspace, delivery: Delivery) -> bool:
        """Tell whether nobody needs to hear of it any more: it has ended before it was told, or another alert tells of it."""
        message = delivery.message
        if not message.alerts:
            return False
        with workspace.database.read() as tx:
            alerts = alert_store.some_alerts(tx, message.alerts)
            told = store.told_of(tx, message.alerts)
        mine = [row for rows in told.values() for row in rows if row.channel == delivery.channel]
        if alerts and all(alert.parent for alert in alerts):
            return True
        if message.what == "resolved":
            before = [row for row in mine if row.key != message.key and row.what != "resolved"]
            return bool(before) and all(row.state in (ToldState.DROPPED, ToldState.HELD) for row in before)
        held = any(row.state is ToldState.HELD for row in mine if row.key == message.key)
        return (held or delivery.attempt > 1) and bool(alerts) and not any(alert.open for alert in alerts)

    def _note(self, tx: Transaction, job: Job, delivery: Delivery, problem: str, now: int, *, over: bool) -> None:
        jobs.finish(tx, job)
        name, key, attempt = delivery.channel, delivery.message.key, delivery.attempt
        if over:
            store.mark_told(tx, key, name, state=ToldState.DROPPED, changed=now)
        elif not problem:
            store.mark_told(tx, key, name, state=ToldState.DELIVERED, attempts=attempt, changed=now, error="")
            dead = alert_store.open_alert(tx, "", "", DEAD + name)
            if dead is not None:
                resolve_alert(tx, MONITOR, dead, "it takes messages again", now)
        else:
            last = attempt > len(self._retries)
            state = ToldState.FAILED if last else ToldState.WAITING
            store.mark_told(tx, key, name, state=state, attempts=attempt, changed=now, error=problem)
            if not last:
                self.post(tx, name, delivery.message, delay=self._retries[attempt - 1], attempt=attempt + 1)
            if last or attempt >= DEAD_AFTER:
                _mourn(tx, name, problem, now)


def _mourn(tx: Transaction, name: str, problem: str, now: int) -> None:
    """Let an alert say, on the other channels, that one does not work."""
    raise_alert(tx, "", "", DEAD + name, f"channel {name} does not take messages: {problem}", now, severity=Severity.CRITICAL)


def _declared(workspace: Workspace, name: str) -> Notifier | None:
    with workspace.database.read() as tx:
        sealed = store.sealed_of(tx, name)
    if sealed is None:
        return None
    target = msgspec.json.decode(seal_of(workspace.settings.home).open(sealed), type=Target)
    return notifier_of(target)


def _problem(error: Exception) -> str:
    if isinstance(error, PerenneError):
        text = f"{error.message} ({error.code})" + (f": {error.hint}" if error.code == "egress.status" else "")
    else:
        text = type(error).__name__
    return redact_text(text)[:MAX_ERROR]


def _pages(settings: Settings) -> str:
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{settings.names[0] if settings.names else settings.host}:{settings.port}"
