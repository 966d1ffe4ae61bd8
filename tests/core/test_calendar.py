"""Calendars in time zones: the hour that spring leaves out and the one that autumn repeats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.calendar import next_time
from perenne.core.clock import DAY, HOUR, MINUTE, format_time, parse_time
from perenne.core.errors import Invalid
from perenne.projects import Cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def times(expression: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next times as texts without their seconds."""
    found, at = [], parse_time(after)
    for _ in range(count):
        following = next_time(expression, at, zone)
        assert following is not None
        at = following
        found.append(format_time(at)[:16])
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 3 * * *", BERLIN, "2026-01-10T12:00:00", ["2026-01-11T02:00", "2026-01-12T02:00"]),
        ("0 3 * * *", BERLIN, "2026-07-10T12:00:00", ["2026-07-11T01:00", "2026-07-12T01:00"]),
        ("0 22 * * 5", NEW_YORK, "2026-07-10T00:00:00", ["2026-07-11T02:00"]),  # Friday there is Saturday in UTC
        # Spring: 02:30 is left out on 29 March in Berlin, and comes an hour later.
        ("30 2 * * *", BERLIN, "2026-03-28T00:00:00", ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]),
        ("30 * * * *", BERLIN, "2026-03-29T00:00:00", ["2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T02:30"]),
        ("30 2 * * *", NEW_YORK, "2026-03-08T00:00:00", ["2026-03-08T07:30", "2026-03-09T06:30"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T10:00:00", ["2026-10-03T15:45", "2026-10-04T15:15"]),  # half an hour is left out
        # Autumn: 02:30 comes twice on 25 October in Berlin, and counts once ...
        ("30 2 * * *", BERLIN, "2026-10-24T12:00:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        # ... unless the calendar names every hour.
        ("30 * * * *", BERLIN, "2026-10-24T23:45:00", ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]),
    ],
)
def test_a_time_zone_is_kept_through_the_change_of_clocks(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(expression, zone, after, len(expected)) == expected


@given(st.integers(0, 4_000_000_000), st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC"]))
def test_every_quarter_of_an_hour_comes_every_quarter_of_an_hour_whatever_the_clocks_do(seconds: int, zone: str) -> None:
    at = seconds * 1_000_000
    for _ in range(8):
        following = next_time("*/15 * * * *", at, zone)
        assert following is not None and 0 < following - at <= 15 * MINUTE
        at = following


@given(st.integers(0, 4_000_000_000), st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]), st.integers(0, 23))
def test_a_daily_time_comes_once_a_day(seconds: int, zone: str, hour: int) -> None:
    at = next_time(f"30 {hour} * * *", seconds * 1_000_000, zone)
    assert at is not None
    for _ in range(3):
        following = next_time(f"30 {hour} * * *", at, zone)
        assert following is not None and DAY - HOUR <= following - at <= DAY + HOUR
        at = following


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    with pytest.raises(Invalid) as error:
        Cron("0 3 * * *", zone)
    assert error.value.code == "project.zone"
