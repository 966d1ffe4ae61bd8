"""Hours, days and weeks as the clock on a wall has them: a day has 23 or 25 hours where the clocks are changed."""

import math
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from perenne.core.calendar import zone_of
from perenne.core.clock import DAY, HOUR, MINUTE, SECOND

UNITS = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
"""How long each usually is."""

_SAMPLED_YEARS = (2020, 2040)


def span_of(instant: int, unit: str, zone: str = "UTC") -> tuple[int, int]:
    """Return when the hour, day or week (from Monday) that holds an instant starts in a time zone, and how long it is.

    Hours are those of UTC in every zone.

    >>> from perenne.core.clock import format_time, parse_time
    >>> start, length = span_of(parse_time("2026-03-29T12:00Z"), "day", "Europe/Berlin")
    >>> format_time(start), length // HOUR
    ('2026-03-28T23:00:00.000Z', 23)
    """
    if unit == "hour":
        return instant // HOUR * HOUR, HOUR
    day = day_of(instant, zone)
    first = day - timedelta(days=day.weekday()) if unit == "week" else day
    start, end = (_midnight(one, zone) for one in (first, first + timedelta(days=7 if unit == "week" else 1)))
    return start, end - start


def day_of(instant: int, zone: str = "UTC") -> date:
    """Return the date that a calendar on the wall shows."""
    return datetime.fromtimestamp(instant // SECOND, zone_of(zone)).date()


def hour_of(instant: int, zone: str = "UTC") -> int:
    """Return the hour that a clock on the wall shows.

    >>> hour_of(0, "Asia/Tokyo")
    9
    """
    return datetime.fromtimestamp(instant // SECOND, zone_of(zone)).hour


@lru_cache(maxsize=64)
def grain_of(zone: str) -> int:
    """Return the longest window that fits into hours of UTC and into the days of a time zone.

    >>> [grain_of(zone) // MINUTE for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu")]
    [60, 60, 30, 15]
    """
    found = 60
    for year in range(*_SAMPLED_YEARS):
        for month in range(1, 13):
            offset = datetime(year, month, 15, tzinfo=UTC).astimezone(zone_of(zone)).utcoffset() or timedelta()
            found = math.gcd(found, int(offset.total_seconds()) // 60)
    return found * MINUTE


@lru_cache(maxsize=4_096)
def _midnight(day: date, zone: str) -> int:
    """Return the first instant of a day; where midnight is left out, the first one after it."""
    local = datetime.combine(day, time(), zone_of(zone))
    instant = int(local.timestamp())
    while datetime.fromtimestamp(instant - 1, zone_of(zone)).date() == day:  # midnight came twice, or never
        instant -= int(grain_of(zone) / SECOND)
    return instant * SECOND
