"""Times and durations in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.clock import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    ManualClock,
    SystemClock,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)
from perenne.core.errors import Invalid

FIRST, LAST = parse_time("0001-01-01"), parse_time("9999-12-31T23:59:59.999")


@given(st.integers(FIRST, LAST))
def test_a_written_time_is_read_again_to_the_millisecond(instant: int) -> None:
    text = format_time(instant)
    assert len(text) == 24
    assert parse_time(text) == instant // 1_000 * 1_000


@given(st.integers(FIRST, LAST), st.integers(FIRST, LAST))
def test_written_times_sort_like_times(one: int, other: int) -> None:
    assert (format_time(one) <= format_time(other)) == (one // 1_000 <= other // 1_000)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2013-01-01T05:15", 1_357_017_300 * SECOND),
    ],
)
def test_times_are_read_in_utc_unless_they_say_otherwise(text: str, instant: int) -> None:
    assert parse_time(text) == instant


@pytest.mark.parametrize("text", ["", "tomorrow", "2013-13-01", "2013-02-30", "13:00", "2013-01-01T25:00", "1357017300"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_time(text)
    assert error.value.code == "time.format"


@pytest.mark.parametrize(
    ("text", "duration"),
    [("250ms", 250_000), ("90s", 90 * SECOND), ("1.5h", 90 * MINUTE), ("1d12h", 36 * HOUR), ("2w", 14 * DAY)],
)
def test_durations_are_read(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "-1s", "1s!", "1y", "1e3s", "10m5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_duration(text)
    assert error.value.code == "time.duration"


@given(st.integers(0, 10_000).map(lambda minutes: minutes * MINUTE))
def test_a_written_duration_is_read_again_to_its_two_largest_units(duration: int) -> None:
    lost = MINUTE * 59 if duration >= DAY else 0
    assert 0 <= duration - parse_duration(format_duration(duration)) <= lost


def test_a_manual_clock_never_goes_back() -> None:
    clock = ManualClock(5)
    clock.advance_to(9)
    clock.advance_to(7)
    assert clock.now() == 9


def test_the_system_clock_counts_microseconds() -> None:
    before = SystemClock().now()
    assert before > parse_time("2024-01-01")
    assert SystemClock().now() >= before
