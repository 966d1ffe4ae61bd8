"""No rows came: a deployment that was asked for answers falls silent for longer than it ever was of late.

A model that nobody asks at night is silent every night. So the limit is twice the longest silence among its newest windows, and
two windows at least; a project may set another one. What has been silent for very long is history, and alarms no more.
"""

from itertools import pairwise

import msgspec

from perenne import serving
from perenne.core.clock import DAY, format_duration, format_time
from perenne.monitoring import own_rules, recent_store, store
from perenne.monitoring.alerting import store as telling
from perenne.monitoring.alerts import MONITOR, raise_alert, resolve_alert
from perenne.monitoring.model import Severity, Watch
from perenne.monitoring.recent_store import RecentWindow
from perenne.storage.database import Transaction

RULE = "no_data"
LEAST_WINDOWS = 3
LOOKED_BACK = 60
TIMES = 2
REACH = 7 * DAY


class Missing(msgspec.Struct, frozen=True):
    """A deployment without rows: since when, and how long it may be silent."""

    watch: Watch
    since: int
    limit: int
    longest: int

    @property
    def summary(self) -> str:
        """What people are told."""
        before = f"; its longest silence before was {format_duration(self.longest)}" if self.longest else ""
        return f"no rows since {format_time(self.since)}{before}"


def find(tx: Transaction, now: int) -> tuple[list[Missing], list[str]]:
    """Return the deployments that are silent for too long, and those whose alert about that is over."""
    ends = store.newest_ends(tx)
    suspects = [name for name, (end, length) in ends.items() if end + length < now]
    opened = [alert.deployment for alert in telling.open_of_rule(tx, RULE)]
    if not suspects and not opened:
        return [], []
    stopped = serving.service.stopped(tx)
    watches: dict[str, Watch] = {}
    for watch in store.watches_in(tx, suspects):
        watches.setdefault(watch.deployment, watch)
    recent = recent_store.windows(tx, watches, LOOKED_BACK)
    judged = [silent_of(watch, recent.get(name, []), now) for name, watch in watches.items() if name not in stopped]
    silent = [item for item in judged if item is not None]
    quiet = {item.watch.deployment for item in silent}
    reached = [item for item in silent if now - item.since <= item.limit + REACH or item.watch.deployment in opened]
    return reached, [name for name in opened if name not in quiet]


def silent_of(watch: Watch, windows: list[RecentWindow], now: int) -> Missing | None:
    """Judge whether a deployment is silent for too long, given its newest windows, oldest first."""
    filled = [window for window in windows if window.rows]
    own = own_rules.of_rule(watch, RULE)
    if len(filled) < LEAST_WINDOWS or (own is not None and own.off):
        return None
    since = max(window.start + window.length for window in filled)
    longest = max((after.start - before.start - before.length for before, after in pairwise(filled)), default=0)
    limit = TIMES * max(watch.window_length, longest)
    if own is not None and own.above is not None:
        limit = round(own.above * watch.window_length)
    return Missing(watch, since, limit, max(0, longest)) if now - since > limit else None


def move(tx: Transaction, now: int) -> int:
    """Bring the alerts about silent deployments up to date; return how many moved."""
    silent, over = find(tx, now)
    opened = {alert.deployment: alert for alert in telling.open_of_rule(tx, RULE)}
    for item in silent:
        own = own_rules.of_rule(item.watch, RULE)
        severity = Severity(own.severity) if own is not None and own.severity else Severity.WARNING
        channels = own.channels if own is not None else ()
        raise_alert(
            tx, item.watch.deployment, "", RULE, item.summary, now, severity=severity, project=item.watch.project,
            channels=channels,
        )  # fmt: skip
    for name in over:
        resolve_alert(tx, MONITOR, opened[name], "rows come again, or nobody asks for them", now)
    return len(silent) + len(over)
