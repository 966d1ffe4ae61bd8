"""Cron expressions: five fields with lists, ranges and steps, in UTC or another time zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from perenne.core.clock import SECOND
from perenne.core.errors import Invalid

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_HOURS = 24

Calendar = tuple[frozenset[int], frozenset[int], frozenset[int], frozenset[int], frozenset[int], bool]


def parse_cron(expression: str) -> Calendar:
    """Read an expression as the set of values of each field, and whether the two day fields both restrict.

    Raises
    ------
    Invalid
        If a field cannot be read; the message names it.

    >>> sorted(parse_cron("0 3 * * 1-5")[4])
    [1, 2, 3, 4, 5]
    """
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise Invalid(
            f"cron {expression!r} has {len(parts)} fields", code="project.cron", hint="five: minute hour day month weekday"
        )
    sets = [_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    either = parts[2] != "*" and parts[4] != "*"
    return (sets[0], sets[1], sets[2], sets[3], weekdays, either)


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        try:
            start = low if first == "*" else int(first)
            end = high if first == "*" or (step and not last) else int(last or first)
            stride = int(step) if step else 1
        except ValueError:
            raise Invalid(f"cron: {name} {text!r} cannot be read", code="project.cron", hint="for example 0 3 * * 1") from None
        if not (low <= start <= end <= high and stride > 0):
            raise Invalid(
                f"cron: {name} {text!r} is outside {low}-{high}",
                code="project.cron",
                hint="minute, hour, day, month, weekday: `0 3 * * 1` is Monday at three",
            )
        values.update(range(start, end + 1, stride))
    return frozenset(values)


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, such as ``Europe/Berlin``. Raises Invalid if it is not known on this machine."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:  # also ZoneInfoNotFoundError, a KeyError of the library's own
        raise _unknown_zone(name) from error
    except KeyError:
        raise _unknown_zone(name) from None


def _unknown_zone(name: str) -> Invalid:
    return Invalid(
        f"time zone {name[:60]!r} is not known here",
        code="project.zone",
        hint="a name such as Europe/Berlin; where the system has no list of zones, `pip install tzdata` brings one",
    )


def next_time(expression: str, after: int, zone: str = "UTC") -> int | None:
    """Return the first instant of the calendar later than another, in microseconds; None if there is none in four years.

    As in Vixie cron, a day matches either day field when both restrict, a time that a change to summer time leaves out comes as
    much later as the clock was put forward, and one that comes twice in autumn counts once, unless the calendar names every hour.

    >>> from perenne.core.clock import format_time, parse_time
    >>> format_time(next_time("30 2 * * *", parse_time("2026-03-28T12:00:00"), "Europe/Berlin"))
    '2026-03-29T01:30:00.000Z'
    """
    minutes, hours, days, months, weekdays, either = parse_cron(expression)
    place = zone_of(zone)
    day = datetime.fromtimestamp(after // SECOND, place).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    for offset in range(4 * 366 + 1):
        date = day + timedelta(days=offset)
        in_days, in_week = date.day in days, date.isoweekday() % 7 in weekdays
        if date.month not in months or not (in_days or in_week if either else in_days and in_week):
            continue
        for instant in _instants(date, sorted(hours), sorted(minutes)):
            if instant > after:
                return instant
    return None


def _instants(date: datetime, hours: list[int], minutes: list[int]) -> Iterator[int]:
    """Go through the instants of a day at which the clock on the wall shows one of the times."""
    for hour in hours:
        times = [date.replace(hour=hour, minute=minute) for minute in minutes]
        yield from (int(time.timestamp()) * SECOND for time in times)
        if len(hours) == _HOURS:
            again = [time.replace(fold=1) for time in times]
            yield from (int(late.timestamp()) * SECOND for time, late in zip(times, again, strict=True) if _twice(time, late))


def _twice(time: datetime, late: datetime) -> bool:
    """Tell whether a time of day comes a second time: the offset is smaller then; where it is larger, the time is left out."""
    first, second = time.utcoffset(), late.utcoffset()
    return first is not None and second is not None and second < first
