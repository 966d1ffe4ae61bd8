"""When a project wants no change: hours of the day, days of the week and dates, by the clock of a time zone."""

import re
from datetime import date, datetime, timedelta, tzinfo

import msgspec

from perenne.core.calendar import zone_of
from perenne.core.clock import SECOND
from perenne.core.errors import Invalid

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
_LONGEST = 400


class Blackout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hours, days or dates in which nothing is trained and nobody is promoted; a rollback waits for nothing.

    Attributes
    ----------
    hours : str
        From when to when, such as `08:00-18:00`; over midnight if it ends before it begins; the whole day if empty.
    days : tuple of str
        Days of the week, such as `mon`; every day if none is named and no date either.
    dates : tuple of str
        Days of the calendar, such as `2026-12-24`, or from one to another: `2026-12-20/2026-12-31`.
    zone : str
        Whose clock it is.

    >>> Blackout(hours="22:00-06:00", days=("fri", "sat")).zone
    'UTC'
    """

    hours: str = ""
    days: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    zone: str = "UTC"

    def __post_init__(self) -> None:
        zone_of(self.zone)
        if self.hours and (_SPAN.fullmatch(self.hours) is None or self.hours.split("-")[0] == self.hours.split("-")[1]):
            raise _wrong("hours", self.hours)
        for day in self.days:
            if day not in _WEEK:
                raise _wrong("days", day)
        for text in self.dates:
            _span(text)
        if not (self.hours or self.days or self.dates):
            raise _wrong("hours", "")

    def until(self, now: int) -> int | None:
        """Return when a blackout ends that holds at an instant; None if none does.

        >>> from perenne.core.clock import format_time, parse_time
        >>> office = Blackout(hours="08:00-18:00", days=("mon",), zone="Europe/Berlin")
        >>> format_time(office.until(parse_time("2026-03-30T12:00:00")))
        '2026-03-30T16:00:00.000Z'
        >>> office.until(parse_time("2026-03-31T12:00:00")) is None
        True
        """
        place, end = zone_of(self.zone), now
        for _ in range(_LONGEST):
            found = self._end(end, place)
            if found is None or found <= end:
                break
            end = found
        return end if end > now else None

    def _end(self, instant: int, place: tzinfo) -> int | None:
        today = datetime.fromtimestamp(instant // SECOND, place).date()
        for day in (today - timedelta(days=1), today):
            if self._counts(day):
                begin, end = self._on(day, place)
                if begin <= instant < end:
                    return end
        return None

    def _counts(self, day: date) -> bool:
        dated = any(first <= day <= last for first, last in map(_span, self.dates))
        return dated or _WEEK[day.weekday()] in self.days or not (self.days or self.dates)

    def _on(self, day: date, place: tzinfo) -> tuple[int, int]:
        first, last = (_minutes(text) for text in self.hours.split("-")) if self.hours else (0, 24 * 60)
        after = timedelta(days=1) if last <= first else timedelta()
        return _instant(day, first, place), _instant(day + after, last, place)


def blackout_end(blackouts: tuple[Blackout, ...], now: int) -> int | None:
    """Return when the blackouts that hold at an instant are over, one passing into another; None if none holds."""
    end = now
    while (later := max((found for item in blackouts if (found := item.until(end)) is not None), default=None)) is not None:
        end = later
        if end - now > _LONGEST * 86_400 * SECOND:
            break
    return end if end > now else None


def _instant(day: date, minutes: int, place: tzinfo) -> int:
    """Return the instant of a time of day as the clock on the wall shows it."""
    days, rest = divmod(minutes, 24 * 60)
    at = datetime(day.year, day.month, day.day, rest // 60, rest % 60, tzinfo=place) + timedelta(days=days)
    return int(at.timestamp()) * SECOND


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _span(text: str) -> tuple[date, date]:
    first, _, last = text.partition("/")
    try:
        found = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise _wrong("dates", text) from None
    if found[1] < found[0]:
        raise _wrong("dates", text)
    return found


def _wrong(what: str, value: str) -> Invalid:
    return Invalid(
        f"Blackout({what}={value[:60]!r}) is no {what}",
        code="project.blackout",
        hint='pn.Blackout(hours="08:00-18:00", days=("mon", "fri"), dates=("2026-12-24",), zone="Europe/Berlin")',
    )
