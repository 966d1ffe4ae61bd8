"""Cron expressions: five fields, in UTC, with lists, ranges and steps."""

from datetime import UTC, datetime, timedelta

from perenne.core.clock import SECOND
from perenne.core.errors import Invalid

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))

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
            raise Invalid(f"cron: {name} {text!r} is outside {low}-{high}", code="project.cron")
        values.update(range(start, end + 1, stride))
    return frozenset(values)


def next_time(expression: str, after: int) -> int | None:
    """Return the first instant of the calendar later than another, in microseconds; None if there is none in four years.

    As in Vixie cron, a day matches either day field when both restrict.
    """
    minutes, hours, days, months, weekdays, either = parse_cron(expression)
    day = datetime.fromtimestamp(after // SECOND, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for offset in range(4 * 366 + 1):
        date = day + timedelta(days=offset)
        in_days, in_week = date.day in days, date.isoweekday() % 7 in weekdays
        if date.month not in months or not (in_days or in_week if either else in_days and in_week):
            continue
        for hour in sorted(hours):
            for minute in sorted(minutes):
                instant = int(date.timestamp()) * SECOND + (hour * 60 + minute) * 60 * SECOND
                if instant > after:
                    return instant
    return None
