"""What windows are compared with: production once it is known, and the same phase of the weeks before."""

import pytest
from tests.monitoring.baselines.conftest import DAY, HOUR, MONDAY, Traffic, make_rows, seasonal
from tests.monitoring.conftest import DEPLOYMENT, VERSION

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.core.errors import Denied, Invalid
from perenne.monitoring.baselines.choosing import weekday
from perenne.monitoring.baselines.production import get_baselines, set_baseline
from perenne.monitoring.service import open_alerts
from perenne.projects import BaselineKind, Monitoring


def test_seven_clean_days_become_the_baseline_of_what_differs_from_training_by_design(traffic: Traffic) -> None:
    traffic.plan(Monitoring(baseline="production"))  # type: ignore[arg-type]
    shifted = [make_rows(400, day, shift=0.8) for day in range(12)]
    traffic.count(make_rows(400, 99, shift=0.8), MONDAY - DAY, dropped=200)  # a gap is no member
    traffic.judge()
    learning = traffic.days(7, lambda day: shifted[day])
    assert {(verdict.state.value, verdict.baseline) for verdict in learning} == {("warn", "training")}
    settled = traffic.days(3, lambda day: shifted[day], first=7)
    assert {(verdict.state.value, verdict.baseline) for verdict in settled} == {("ok", "production")}
    assert "2026-06-01 to 2026-06-07" in settled[0].baseline_words
    (found,) = traffic.days(1, lambda day: make_rows(400, day, shift=1.6), first=10)
    assert found.state == "alarm"
    assert found.causes[0].feature == "wind"
    with traffic.workspace.database.read() as tx:
        (baseline,) = get_baselines(tx, DEPLOYMENT, VERSION)
        assert (baseline.windows, baseline.start, baseline.set_by) == (7, MONDAY, "monitoring")
        trail = audit.trail(tx, entity="deployment", entity_id=DEPLOYMENT)
        assert [record.actor for record in trail if record.action == "monitor.baseline"] == ["monitoring"]
        assert [alert.rule for alert in open_alerts(tx)] == ["drift"]


def test_missing_values_alarm_even_while_production_is_getting_to_be_known(traffic: Traffic) -> None:
    traffic.plan(Monitoring(baseline="production"))  # type: ignore[arg-type]
    rows = make_rows(400, 1)
    rows.wind[:] = float("nan")
    (verdict,) = traffic.days(1, lambda _: rows)
    assert verdict.state == "alarm"
    assert verdict.schema_broken
    assert "'wind' is missing in 100 % of the rows" in verdict.schema


def test_a_weekly_season_raises_nothing_and_a_shift_within_it_is_found(traffic: Traffic, actor: Principal) -> None:
    traffic.plan(Monitoring(baseline="phase"))  # type: ignore[arg-type]
    before = traffic.days(21, seasonal)
    assert {verdict.state.value for verdict in before[5:7]} == {"alarm"}  # the reference knows no weekend
    end = MONDAY + 21 * DAY
    traffic.workspace.database.write(
        lambda tx: set_baseline(
            tx, actor, DEPLOYMENT, VERSION, BaselineKind.PHASE, start=MONDAY, end=end, reason="weekends are like that", now=end
        )
    )
    after = traffic.days(7, seasonal, first=21)
    assert {(verdict.state.value, verdict.baseline) for verdict in after} == {("ok", "phase")}
    assert after[5].baseline_words == "3 Saturdays before"
    weekday_as_weekend, weekend = traffic.days(1, lambda day: seasonal(day + 5), first=28) + traffic.days(
        1, lambda day: seasonal(day, shift=0.8), first=33
    )
    assert (weekday_as_weekend.state, weekend.state) == ("alarm", "alarm")


def test_a_window_that_alarmed_never_enters_its_phase(traffic: Traffic) -> None:
    traffic.plan(Monitoring(baseline="phase"))  # type: ignore[arg-type]
    traffic.days(21, lambda day: make_rows(400, day, shift=2.0 if day == 7 else 0.0))
    (monday, tuesday) = traffic.days(2, lambda day: make_rows(400, day), first=21)
    assert monday.baseline_words == "20 clean windows of any day, for its phase has too few"
    assert (tuesday.baseline_words, tuesday.state) == ("3 Tuesdays before", "ok")


def test_holidays_are_like_sundays_and_hours_have_a_phase_of_their_own(traffic: Traffic) -> None:
    traffic.plan(Monitoring(baseline="phase", holidays=["2026-06-23"], zone="Asia/Tokyo"))  # type: ignore[arg-type]
    watch = traffic.watched
    assert [weekday(watch, MONDAY + day * DAY) for day in (0, 6, 21, 22)] == [0, 6, 0, 6]
    traffic.plan(Monitoring(baseline="phase", zone="Asia/Tokyo"), HOUR)  # type: ignore[arg-type]
    starts = [MONDAY + week * 7 * DAY + hour * HOUR for week in range(4) for hour in range(2)]
    for number, start in enumerate(starts):
        traffic.count(make_rows(300, number), start, HOUR)
        traffic.judge()
    words = [traffic.verdict(start, HOUR).baseline_words for start in starts[-2:]]
    assert words == ["3 Mondays at 09:00", "3 Mondays at 10:00"]


@pytest.mark.parametrize(
    ("kind", "reason", "expected"),
    [
        (BaselineKind.TRAINING, "why", "training"),
        (BaselineKind.PHASE, " ", "reason"),
        (BaselineKind.PRODUCTION, "why", "windows"),
    ],
)
def test_a_baseline_is_set_by_somebody_who_may_with_a_reason(
    traffic: Traffic, actor: Principal, kind: BaselineKind, reason: str, expected: str
) -> None:
    traffic.plan(Monitoring())
    traffic.days(1, lambda day: make_rows(300, day))

    def put(who: Principal) -> None:
        traffic.workspace.database.write(
            lambda tx: set_baseline(tx, who, DEPLOYMENT, VERSION, kind, start=MONDAY, end=MONDAY + DAY, reason=reason, now=MONDAY)
        )

    with pytest.raises(Invalid, match=expected):
        put(actor)
    with pytest.raises(Denied):
        put(Principal("guest", PrincipalKind.USER, frozenset({Role.VIEWER})))
    with traffic.workspace.database.read() as tx:
        assert get_baselines(tx, DEPLOYMENT, VERSION) == []
