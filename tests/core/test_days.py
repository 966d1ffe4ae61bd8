"""Days and weeks by the calendar of a time zone."""

import pytest

from perenne.core.clock import DAY, HOUR, format_time, parse_time
from perenne.core.days import day_of, grain_of, hour_of, span_of

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu")


@pytest.mark.parametrize("zone", ZONES)
def test_days_follow_each_other_without_gap_through_every_change_of_the_clocks(zone: str) -> None:
    start, length = span_of(parse_time("2017-01-01"), "day", zone)
    while start < parse_time("2018-01-02"):
        assert length % grain_of(zone) == start % grain_of(zone) == 0
        assert span_of(start + length - 1, "day", zone) == (start, length)
        following = span_of(start + length, "day", zone)
        assert following[0] == start + length
        start, length = following


def test_a_day_has_23_or_25_hours_where_the_clocks_are_changed() -> None:
    days = [
        span_of(parse_time(day), "day", "Europe/Berlin") for day in ("2026-03-29T10:00", "2026-10-25T10:00", "2026-07-01T10:00")
    ]
    assert [length // HOUR for _, length in days] == [23, 25, 24]
    assert [format_time(start)[:16] for start, _ in days] == ["2026-03-28T23:00", "2026-10-24T22:00", "2026-06-30T22:00"]


def test_a_week_begins_on_monday_and_has_the_hour_that_was_left_out() -> None:
    start, length = span_of(parse_time("2026-03-29T10:00"), "week", "Europe/Berlin")
    assert (format_time(start)[:16], length) == ("2026-03-22T23:00", 7 * DAY - HOUR)
    assert day_of(start, "Europe/Berlin").isoformat() == "2026-03-23"
    assert hour_of(start, "Europe/Berlin") == 0
