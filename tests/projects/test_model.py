"""Bounds, windows, policies and cron expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.calendar import next_time
from perenne.core.clock import DAY, HOUR, MINUTE, parse_time
from perenne.core.errors import Invalid
from perenne.projects import Cron, Drift, Guardrail, NewData, Objective, Promotion, RetrainPolicy, Window


@pytest.mark.parametrize(("low", "high"), [(None, None), (1.0, 2.0)])
def test_a_bound_needs_exactly_one_limit(low: float | None, high: float | None) -> None:
    with pytest.raises(Invalid, match="exactly one"):
        Objective("roc_auc", at_least=low, at_most=high)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_met_on_its_own_side(limit: float, value: float) -> None:
    assert Objective("m", at_least=limit).met(value) is (value >= limit)
    assert Guardrail("m", at_most=limit).met(value) is (value <= limit)


def test_a_missing_figure_meets_nothing_and_misses_nothing() -> None:
    assert Objective("m", at_least=0).met(None) is None
    assert Objective("m", at_least=0).met(float("nan")) is None


def test_a_policy_reads_durations_and_names_unknown_settings() -> None:
    policy = RetrainPolicy.of(on=[Drift(), NewData(10)], cooldown="1d12h", holdout="14d", approve_by="ops")
    assert (policy.cooldown, policy.holdout, policy.approve_by) == (36 * HOUR, 14 * DAY, "ops")
    with pytest.raises(Invalid, match="cool_down"):
        RetrainPolicy.of(cool_down="1d")


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0])
def test_alpha_is_a_small_share(alpha: float) -> None:
    with pytest.raises(Invalid, match="alpha"):
        Promotion(alpha=alpha)


def test_a_window_gives_naive_utc_times() -> None:
    window = Window(parse_time("2013-04-01"), parse_time("2013-04-02T12:00:00"))
    assert window.start_at.isoformat() == "2013-04-01T00:00:00"
    assert window.end_at.tzinfo is None
    assert window.length == 36 * HOUR


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 3 * * 1", "2013-04-01T02:59:00", "2013-04-01T03:00:00"),
        ("0 3 * * 1", "2013-04-01T03:00:00", "2013-04-08T03:00:00"),
        ("*/15 * * * *", "2013-04-01T00:01:00", "2013-04-01T00:15:00"),
        ("0 0 29 2 *", "2013-04-01", "2016-02-29"),
        ("0 0 1,15 * 5", "2013-04-02", "2013-04-05"),
        ("30 23 31 12 *", "2013-12-31T23:30:00", "2014-12-31T23:30:00"),
        ("0 0 * * 7", "2013-04-01", "2013-04-07"),
    ],
)
def test_cron(expression: str, after: str, expected: str) -> None:
    assert next_time(expression, parse_time(after)) == parse_time(expected)


@given(st.integers(0, 2_000_000_000), st.sampled_from(["5 4 * * *", "0 */6 * * 2,4", "10-20/5 0 1 * *"]))
def test_the_next_time_is_the_first_minute_that_matches(seconds: int, expression: str) -> None:
    after = seconds * 1_000_000
    found = next_time(expression, after)
    assert found is not None
    assert found > after
    assert found % MINUTE == 0
    assert next_time(expression, found - 1) == found


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * *", "a * * * *", "5-1 * * * *", "*/0 * * * *"])
def test_a_bad_cron_expression_is_named(expression: str) -> None:
    with pytest.raises(Invalid, match="cron"):
        Cron(expression)


def test_a_day_that_never_comes_gives_none() -> None:
    assert next_time("0 0 30 2 *", 0) is None
