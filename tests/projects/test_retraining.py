"""What a project says of retraining: triggers alone and together, tests, limits, and hours in which nothing changes."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perenne as pn
from perenne.core.clock import DAY, HOUR, MINUTE, SECOND, parse_time
from perenne.core.errors import Invalid
from perenne.projects import AllOf, Blackout, Concept, Drift, Manual, Missed, Mode, NewData, RetrainPolicy
from perenne.projects.blackouts import blackout_end
from perenne.projects.wording import policy_words


def test_everything_a_policy_says_travels_as_json_and_is_said_in_words() -> None:
    policy = RetrainPolicy.of(
        on=[
            pn.drift(for_windows=2, of=3, features=("age",)),
            pn.concept("cusum"),
            pn.all_of(pn.missed("mae"), pn.new_data(versions=2), within="3d"),
        ],
        promote=pn.fresh(margin=0.02, alpha=0.01),
        slices=["region"],
        false_promotions_per_year=2,
        cpu_hours_per_month=5,
        money_per_month=10,
        cpu_hour_costs=0.05,
        blackout=[pn.Blackout(hours="22:00-06:00", days=("fri",), zone="Europe/Berlin")],
        canary=0.1,
        canary_time="2h",
        prove_live=True,
        approve_by="ops",
    )
    assert msgspec.json.decode(msgspec.json.encode(policy), type=RetrainPolicy) == policy
    told = " ".join(policy_words(policy))
    for words in (
        "age drifts in 2 of 3 windows", "by cusum", "mae is missed and 2 new versions of the data have arrived, within 3d",
        "on the older rows", "region", "At most 2 promotions a year", "5 CPU hours", "for 2h", "fri 22:00-06:00 (Europe/Berlin)",
    ):  # fmt: skip
        assert words in told, told


def test_a_policy_of_before_there_were_modes_is_held_to_what_it_meant() -> None:
    on = b'[{"type":"drift"},{"type":"missed","metric":""},{"type":"new_data","rows":5}]'
    old = b'{"on":' + on + b',"promote":{"alpha":0.1,"metric":""}}'
    policy = msgspec.json.decode(old, type=RetrainPolicy)
    assert policy.on == (Drift(), Missed(), NewData(5)) and policy.rule([Drift()]).mode is Mode.SUPERIOR


def test_what_opened_an_episode_decides_the_test_where_the_policy_leaves_it_open() -> None:
    policy = RetrainPolicy()
    assert policy.rule([Drift(), Concept()]).mode is Mode.FRESH
    assert policy.rule([AllOf((Drift(), Concept()))]).mode is Mode.FRESH
    assert policy.rule([Drift(), Missed()]).mode is policy.rule([]).mode is policy.rule([Manual()]).mode is Mode.SUPERIOR
    assert RetrainPolicy.of(promote=pn.non_inferior(0.01)).rule([Drift()]).mode is Mode.NON_INFERIOR


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pn.drift(for_windows=3, of=2), lambda: pn.drift(for_windows=0), NewData, lambda: NewData(1, 1),
        lambda: pn.all_of(pn.drift()), lambda: pn.all_of(pn.drift(), pn.drift()), lambda: pn.non_inferior(0.0),
        lambda: pn.superior(min_effect=-1), lambda: RetrainPolicy.of(minimum_labels=0), lambda: RetrainPolicy.of(shadow="soon"),
        lambda: RetrainPolicy.of(on=["drift"]), lambda: RetrainPolicy.of(money_per_month=3), lambda: RetrainPolicy.of(slices=[3]),
        lambda: RetrainPolicy.of(false_promotions_per_year=-1), lambda: RetrainPolicy.of(cpu_hours_per_month="many"),
        Blackout, lambda: Blackout(hours="8-9"), lambda: Blackout(hours="08:00-08:00"), lambda: Blackout(days=("x",)),
        lambda: Blackout(dates=("2026-02-30",)), lambda: Blackout(dates=("2026-02-03/2026-02-01",)),
        lambda: Blackout(hours="08:00-09:00", zone="Nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(Invalid):
        wrong()  # type: ignore[operator]


@given(
    st.integers(parse_time("2026-01-01") // MINUTE, parse_time("2027-01-01") // MINUTE),
    st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda pair: pair[0] != pair[1]),
    st.sets(st.sampled_from(["mon", "tue", "sat", "sun"]), max_size=3),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_a_blackout_holds_exactly_while_the_clock_on_the_wall_shows_its_hours(
    minute: int, hours: tuple[int, int], days: set[str], zone: str
) -> None:
    now = minute * MINUTE
    blackout = Blackout(hours=f"{hours[0]:02}:00-{hours[1]:02}:00", days=tuple(sorted(days)), zone=zone)
    wall = datetime.fromtimestamp(now // SECOND, ZoneInfo(zone))
    before = wall.hour < hours[1]
    inside = hours[0] <= wall.hour < hours[1] if hours[0] < hours[1] else wall.hour >= hours[0] or before
    began = (wall.weekday() - 1) % 7 if hours[0] > hours[1] and before else wall.weekday()
    inside = inside and (not days or ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[began] in days)
    end = blackout.until(now)
    assert (end is not None) == inside
    if end is not None:
        assert now < end <= now + DAY + HOUR and blackout.until(end) is None


def test_blackouts_that_meet_are_one() -> None:
    holidays, nights = Blackout(dates=("2026-12-24/2026-12-26",)), Blackout(hours="00:00-06:00")
    now = parse_time("2026-12-24T12:00:00")
    assert blackout_end((holidays, nights), now) == parse_time("2026-12-27T06:00:00")
    assert RetrainPolicy(blackout=(holidays,)).closed_until(parse_time("2026-12-27")) is None
