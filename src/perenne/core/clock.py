"""Time. Everywhere inside perenne an instant is an ``int`` of microseconds since 1970 in UTC.

A `Clock` is passed to whatever decides by time, so that a replay of last year's traffic runs through the same code as today's.
"""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from perenne.core.errors import Invalid

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_LONGEST_TEXT = 40
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


class Clock(Protocol):
    """Tells the time by which the loop decides."""

    def now(self) -> int:
        """Return microseconds since 1970, UTC."""
        ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> int:
        """Return microseconds since 1970, UTC."""
        return time.time_ns() // 1_000


class ManualClock:
    """A clock that stands still until it is moved: for replays of recorded traffic and for tests.

    >>> clock = ManualClock(parse_time("2013-04-01"))
    >>> clock.advance_to(parse_time("2013-04-02"))
    >>> format_time(clock.now())
    '2013-04-02T00:00:00.000Z'
    """

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        """Return the instant it was last moved to."""
        return self._now

    def advance_to(self, instant: int) -> None:
        """Move forward; a replayed row that is older than the newest one does not move the clock back."""
        self._now = max(self._now, instant)


def parse_duration(text: str) -> int:
    """Read ``"90s"``, ``"10m"``, ``"1d"`` or ``"1h30m"`` as microseconds.

    Raises
    ------
    Invalid
        If the text is not a duration.

    >>> parse_duration("1h30m") // MINUTE
    90
    """
    parts = _DURATION.findall(text) if len(text) <= _LONGEST_TEXT else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Invalid(
            f"{text[:_LONGEST_TEXT]!r} is not a duration",
            code="time.duration",
            hint="write a number and a unit: 30s, 10m, 6h, 1d, 2w",
        )
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


def format_duration(microseconds: int) -> str:
    """Write a duration with its two largest units.

    >>> format_duration(90 * MINUTE), format_duration(1_500_000), format_duration(40_000)
    ('1h30m', '1.5s', '40ms')
    """
    if microseconds < SECOND:
        return f"{microseconds / 1_000:.3g}ms"
    if microseconds < MINUTE:
        return f"{microseconds / SECOND:.3g}s"
    left, parts = microseconds, []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def parse_time(text: str) -> int:
    """Read an ISO 8601 date or time; without a zone it is taken as UTC.

    Raises
    ------
    Invalid
        If the text is not a date or time.

    >>> parse_time("1970-01-01T00:00:01Z")
    1000000
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{text!r} is not a date or time", code="time.format", hint="write it as 2013-04-01 or 2013-04-01T12:30:00Z"
        ) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    delta = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def format_time(microseconds: int) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds.

    >>> format_time(1_234_567)
    '1970-01-01T00:00:01.234Z'
    """
    instant = datetime(1970, 1, 1) + timedelta(milliseconds=microseconds // 1_000)  # noqa: DTZ001
    return f"{instant.isoformat(timespec='milliseconds')}Z"
