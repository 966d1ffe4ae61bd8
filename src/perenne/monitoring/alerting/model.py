"""Channels, what was told on them, and what people wrote to an alert; when a channel rests and what it gathers: pure."""

import re
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

import msgspec

from perenne.core.calendar import zone_of
from perenne.core.clock import DAY, MINUTE, SECOND
from perenne.core.errors import Invalid
from perenne.monitoring.model import Severity

RETRY_AFTER = (1 * MINUTE, 5 * MINUTE, 25 * MINUTE, 125 * MINUTE)
"""How long a delivery waits after each try that failed; after the last one it is given up."""

DEAD_AFTER = 3
"""Tries of one message that fail before the channel is called dead."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
Every = Literal["", "daily", "weekly"]


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel hears of, and when.

    Attributes
    ----------
    at_least : Severity
        Nothing below this.
    projects : tuple of str
        Only alerts of these projects; all, if none is named.
    escalations_only : bool
        Only what nobody has acknowledged on another channel.
    escalate_to, escalate_after : str, int
        Which channel is told next, if nobody acknowledges for so many microseconds.
    quiet : str
        Hours in which only critical alerts are sent, as `22:00-07:00` by the clock of `zone`; the rest waits until they end.
    digest, digest_at : str
        `daily` or `weekly` (on Mondays): a summary of what is open and what was resolved, at this time of day.
    digest_below : Severity or None
        What is less urgent than this is not sent by itself: the digest tells of it.
    """

    at_least: Severity = Severity.INFO
    projects: tuple[str, ...] = ()
    escalations_only: bool = False
    escalate_to: str = ""
    escalate_after: int = 0
    quiet: str = ""
    zone: str = "UTC"
    digest: Every = ""
    digest_at: str = "08:00"
    digest_below: Severity | None = None

    def hears(self, severity: Severity, project: str, *, escalated: bool = False) -> bool:
        """Tell whether a message goes to it by itself, and not in a digest."""
        if self.escalations_only and not escalated:
            return False
        if self.projects and project not in self.projects:
            return False
        gathered = bool(self.digest) and self.digest_below is not None and severity.level < self.digest_below.level
        return severity.level >= self.at_least.level and (escalated or not gathered)


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A way to reach people, as it was declared.

    Attributes
    ----------
    kind : str
        `webhook`, `mail`, `log` or `apprise`.
    target : str
        Where it leads, without any secret.
    digested : int
        Up to when its digests have told.
    """

    name: str
    kind: str
    target: str
    options: Options = Options()
    created: int = 0
    created_by: str = ""
    digested: int = 0


class ToldState(StrEnum):
    """What became of telling somebody of an alert; `dropped`: it was over, or part of another, before its turn came."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """That a channel was, or is to be, told of an alert.

    Attributes
    ----------
    key : str
        Of the message.
    what : str
        `firing`, `continues`, `escalated` or `resolved`.
    queued, changed : int
        When it was decided, and when its state changed last.
    """

    alert: str
    key: str
    channel: str
    what: str
    queued: int
    state: ToldState = ToldState.WAITING
    attempts: int = 0
    changed: int = 0
    error: str = ""


class Comment(msgspec.Struct, frozen=True):
    """What somebody wrote to an alert."""

    id: str
    alert: str
    author: str
    at: int
    text: str


def check_options(name: str, options: Options) -> Options:
    """Return a channel's options if they go together. Raises Invalid, naming what does not."""
    zone_of(options.zone)
    checks = (
        (bool(options.quiet) and _SPAN.fullmatch(options.quiet) is None, "quiet", "is no span of hours", "22:00-07:00"),
        (_TIME.fullmatch(options.digest_at) is None, "digest_at", "is no time of day", "08:00"),
        (options.digest not in ("", "daily", "weekly"), "digest", "is neither daily nor weekly", "--digest daily"),
        (options.digest_below is not None and not options.digest, "digest_below", "needs a digest", "--digest daily"),
        (options.escalate_to == name, "escalate_to", "is the channel itself", "name another one"),
        (bool(options.escalate_to) != bool(options.escalate_after), "escalate", "needs both where to and after how long", "30m"),
        (not 0 <= options.escalate_after <= 30 * DAY, "escalate_after", "is longer than 30 days", "30m"),
    )
    for wrong, field, problem, hint in checks:
        if wrong:
            raise Invalid(f"{field}: {problem}", code="channel.options", hint=f"such as {hint}")
    return options


def quiet_until(options: Options, now: int) -> int:
    """Return when the quiet hours end in which an instant falls; the instant itself if it falls in none.

    >>> quiet_until(Options(quiet="22:00-07:00"), 23 * 60 * MINUTE) // (60 * MINUTE)
    31
    """
    span = _SPAN.fullmatch(options.quiet)
    if span is None:
        return now
    begin, end = time(int(span[1]), int(span[2])), time(int(span[3]), int(span[4]))
    here = datetime.fromtimestamp(now / SECOND, UTC).astimezone(zone_of(options.zone))
    at = here.time()
    inside = begin <= at < end if begin < end else at >= begin or at < end
    if begin == end or not inside:
        return now
    day = here.date() + timedelta(days=1 if at >= end else 0)
    return round(datetime.combine(day, end, here.tzinfo).timestamp() * SECOND)


def digest_due(options: Options, digested: int, now: int) -> int | None:
    """Return the newest instant at which a digest was due and has not been made; None if there is none.

    >>> digest_due(Options(digest="daily"), 0, 33 * 60 * MINUTE) // (60 * MINUTE)
    32
    """
    found = _TIME.fullmatch(options.digest_at)
    if not options.digest or found is None:
        return None
    here = datetime.fromtimestamp(now / SECOND, UTC).astimezone(zone_of(options.zone))
    due = datetime.combine(here.date(), time(int(found[1]), int(found[2])), here.tzinfo)
    if due > here:
        due = datetime.combine(here.date() - timedelta(days=1), due.time(), here.tzinfo)
    if options.digest == "weekly":
        due = datetime.combine(due.date() - timedelta(days=due.weekday()), due.time(), here.tzinfo)
    instant = round(due.timestamp() * SECOND)
    return instant if digested < instant <= now else None
