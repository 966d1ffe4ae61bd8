"""Digests: once a day or a week a channel is told what is open and what was resolved, in one message."""

from collections.abc import Sequence

import msgspec

from perenne.core.clock import format_time
from perenne.core.hashing import key_of
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.alerting.messages import MAX_LINE, Message, name_of, shown
from perenne.monitoring.alerting.model import Channel, digest_due
from perenne.monitoring.model import Alert, Severity
from perenne.storage.database import Transaction

MOST_LINES = 100


class Digest(msgspec.Struct, frozen=True):
    """What is open, and what was resolved since an instant; the most urgent first."""

    since: int
    until: int
    open: tuple[Alert, ...]
    resolved: tuple[Alert, ...]


def gather(tx: Transaction, since: int, until: int, projects: Sequence[str] = ()) -> Digest:
    """Gather what a digest tells, of some projects or of all."""

    def mine(alerts: list[Alert]) -> tuple[Alert, ...]:
        chosen = [alert for alert in alerts if not projects or alert.project in projects]
        return tuple(sorted(chosen, key=lambda alert: (-alert.severity.level, alert.since)))

    return Digest(since, until, mine(store.speaking(tx)), mine(store.speaking(tx, since=since)))


def message_of(digest: Digest, name: str) -> Message:
    """Write a digest for a channel."""
    lines = [*_lines("open", digest.open), *_lines("resolved", digest.resolved)]
    more = len(lines) - MOST_LINES
    counted = f"{len(digest.open)} open, {len(digest.resolved)} resolved"
    worst = digest.open[0].severity if digest.open else Severity.INFO
    return Message(
        key=key_of({("digest", name, digest.since, digest.until)}),
        deployment="",
        version="",
        window_start=digest.since,
        severity=worst,
        subject=f"[digest] perenne: {counted} since {format_time(digest.since)[:16]}",
        lines=(*lines[:MOST_LINES], *([f"and {more} more"] if more > 0 else []))
        or ("nothing is open, and nothing was resolved",),
        alerts=(),
        what="digest",
    )


def _lines(word: str, alerts: Sequence[Alert]) -> list[str]:
    return [
        shown(f"{word}: [{alert.severity.value}] {name_of(alert)}: {alert.summary}{_who(alert)}", MAX_LINE) for alert in alerts
    ]


def _who(alert: Alert) -> str:
    return f" ({alert.acknowledged_by} is on it)" if alert.open and alert.acknowledged_by else ""


def due(tx: Transaction, now: int) -> list[tuple[Channel, int]]:
    """Return the channels whose digest is due, and since when."""
    found = ((channel, digest_due(channel.options, channel.digested, now)) for channel in store.channels(tx))
    return [(channel, instant) for channel, instant in found if instant is not None]


def send(tx: Transaction, delivery: AlertDelivery, now: int) -> int:
    """Queue the digests that are due, each once whoever notices first; return how many."""
    count = 0
    for channel, instant in due(tx, now):
        digest = gather(tx, channel.digested, instant, channel.options.projects)
        store.update_channel(tx, channel.name, digested=instant)
        delivery.post(tx, channel.name, message_of(digest, channel.name))
        count += 1
    return count
