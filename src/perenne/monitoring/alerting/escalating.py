"""Escalation: what nobody acknowledges within a channel's time is told on the next one, once."""

from collections.abc import Iterator

from perenne.auth import audit
from perenne.core.clock import format_duration
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.model import Channel, Options
from perenne.monitoring.alerts import MONITOR
from perenne.monitoring.model import Alert
from perenne.monitoring.silencing import labels_of
from perenne.storage.database import Transaction

ESCALATED = "escalated"


def due(tx: Transaction, now: int) -> list[tuple[Channel, Alert]]:
    """Return the alerts that nobody answered in time, and the channel that was told of them."""
    return list(_due(tx, now))


def _due(tx: Transaction, now: int) -> Iterator[tuple[Channel, Alert]]:
    for channel in store.channels(tx):
        if not channel.options.escalate_to:
            continue
        waiting = store.unanswered(tx, channel.name, now - channel.options.escalate_after)
        alerts = alert_store.some_alerts(tx, waiting) if waiting else []
        told = store.told_of(tx, waiting) if waiting else {}
        for alert in alerts:
            known = [row for row in told.get(alert.id, ()) if row.channel == channel.options.escalate_to]
            if not any(row.what == ESCALATED for row in known) and not _silent(tx, alert, now):
                yield channel, alert


def _silent(tx: Transaction, alert: Alert, now: int) -> bool:
    return any(silence.quiets(labels_of(alert)) for silence in alert_store.silences(tx, alert.deployment, now))


def escalate(tx: Transaction, delivery: AlertDelivery, now: int) -> int:
    """Queue what is due; return how many alerts were told on another channel."""
    options = {channel.name: channel.options for channel in store.channels(tx)}
    count = 0
    for channel, alert in due(tx, now):
        target = channel.options.escalate_to
        delivery.tell_one(tx, target, options.get(target, Options()), [(alert, ESCALATED)], alert.latest)
        waited = format_duration(channel.options.escalate_after)
        named = {"deployment": alert.deployment, "rule": alert.rule, "channel": target}
        reason = f"nobody acknowledged it within {waited} on {channel.name}"
        audit.record(tx, MONITOR, "alert.escalate", "alert", alert.id, after=named, reason=reason)
        count += 1
    return count
