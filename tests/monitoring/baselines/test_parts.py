"""What is watched beside whole columns: groups, columns that come and go, skew, and windows that end by their rows."""

import msgspec
import numpy as np
import pytest
from tests.monitoring.baselines.conftest import DAY, HOUR, MONDAY, STREAM, Traffic, of_group
from tests.monitoring.conftest import CLASSES, DEPLOYMENT, FIELDS, Rows, events, make_rows

from perenne.core.events import Event
from perenne.monitoring import store
from perenne.monitoring.baselines.parts import list_measures, with_segments
from perenne.monitoring.baselines.retention import retire
from perenne.monitoring.baselines.store import drawn_since, part
from perenne.monitoring.drawing import draw_due
from perenne.monitoring.events import SchemaChanged
from perenne.monitoring.model import Cause, Watch, WindowKey
from perenne.monitoring.service import open_alerts
from perenne.projects import Monitoring, Retention
from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.drift import judge
from perenne.stats.layout import Watched
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace


@pytest.fixture(scope="session")
def grouped() -> Reference:
    """The reference, with its carriers watched each by itself."""
    rows = make_rows(8_000, 0)
    return Reference.fit(
        rows.columns,
        FIELDS,
        chunks=14,
        scores=rows.scores,
        predictions=rows.predictions,
        labels=rows.labels,
        task=Task.BINARY,
        classes=CLASSES,
        watched=Watched(segments=("carrier",), groups=2),
    )


@pytest.fixture
def groups(workspace: Workspace, watched: Watch, grouped: Reference) -> Traffic:
    digest = workspace.objects.put(grouped.to_bytes())
    traffic = Traffic(workspace, msgspec.structs.replace(watched, reference=digest), grouped)
    traffic.plan(Monitoring(segments=["carrier"]))  # type: ignore[arg-type]
    return traffic


def test_what_moves_in_one_group_is_named_by_it(groups: Traffic) -> None:
    rows = of_group(make_rows(3_000, 5), "DL", 0.35)
    (verdict,) = groups.days(1, lambda _: rows)
    assert verdict.state == "alarm"
    first = verdict.causes[0]
    assert "carrier=DL" in f"{first.where} {first.sentence}"
    with groups.workspace.database.read() as tx:
        (alert,) = open_alerts(tx)
    assert "carrier=DL" in alert.summary


def test_groups_that_come_more_or_less_often_and_stay_as_they_were_raise_nothing(groups: Traffic) -> None:
    """The silent case: days as ever, and one in which half of a group stays away."""
    days = groups.days(8, lambda day: make_rows(1_500, 100 + day))
    assert "alarm" not in {verdict.state.value for verdict in days}
    rows = make_rows(3_000, 7)
    kept = np.flatnonzero((rows.carrier != "AA") | (np.arange(3_000) % 2 == 0))
    fewer = Rows(*(getattr(rows, name)[kept] for name in Rows.__struct_fields__))
    (verdict,) = groups.days(1, lambda _: fewer, first=8)
    assert [(cause.feature, cause.segment) for cause in verdict.causes if cause.state == "alarm"] == [("carrier", "")]


def test_the_groups_of_a_column_add_up_to_the_whole(groups: Traffic, grouped: Reference) -> None:
    whole = sum(profile.counts for profile in grouped.segments.profiles)
    assert np.array_equal(whole, grouped.profile.counts)
    again = Reference.from_bytes(grouped.to_bytes())
    assert again.segments.names == ["carrier=AA", "carrier=DL", "carrier: others"]
    bands = [again.segments.standard(place).bands.js.tolist() for place in range(3)]
    assert bands == [one.js.tolist() for one in grouped.segments.bands]


def test_of_what_moved_as_a_whole_the_groups_are_named() -> None:
    whole = Cause("wind", "alarm", 0.1, 0.2, 0.3, "median 1 -> 2")
    parts = [Cause("wind", "alarm", size, 0.2, 0.3, "", segment=name) for name, size in (("a=x", 0.1), ("a=y", 0.3))]
    (found,) = with_segments([whole], parts)
    assert found.sentence == "median 1 -> 2, most in a=y, a=x"
    assert [cause.where for cause in with_segments([], parts)] == ["wind in a=x", "wind in a=y"]


def test_a_column_that_is_missing_or_new_is_a_finding_of_its_own(traffic: Traffic) -> None:
    traffic.plan(Monitoring())
    rows = make_rows(400, 1)
    traffic.count(rows, MONDAY, columns=("tariff",))
    traffic.judge()
    assert traffic.verdict(MONDAY).schema == ("'tariff' is new: the model does not use it",)
    rows.carrier[:] = ["17", "18"] * 200
    (verdict,) = traffic.days(1, lambda _: rows, first=1)
    assert verdict.schema_broken
    assert "none of its known levels" in verdict.schema[0]
    with traffic.workspace.database.read() as tx:
        assert {alert.rule for alert in open_alerts(tx)} == {"drift", "schema"}
    (event,) = events(traffic.workspace, SchemaChanged)
    assert isinstance(event, Event)
    traffic.days(2, lambda day: make_rows(400, day), first=2)
    with traffic.workspace.database.read() as tx:
        assert open_alerts(tx) == []


def test_what_differs_from_the_first_window_on_is_called_skew(traffic: Traffic) -> None:
    traffic.plan(Monitoring())
    first, second = traffic.days(2, lambda day: make_rows(400, day, shift=1.0))
    assert first.skew
    assert second.skew
    with traffic.workspace.database.read() as tx:
        assert "training-serving skew" in open_alerts(tx)[0].summary
    traffic.days(1, lambda day: make_rows(400, day), first=2)
    (later,) = traffic.days(1, lambda day: make_rows(400, day, shift=1.0), first=3)
    assert later.state == "alarm"
    assert not later.skew


def test_windows_that_end_by_their_rows_wait_for_them(traffic: Traffic) -> None:
    traffic.plan(Monitoring(every_rows=1_000))
    found = traffic.days(11, lambda day: make_rows(100, day))
    assert [verdict.state.value for verdict in found] == ["too_few"] * 9 + ["ok", "too_few"]
    assert found[9].rows == 1_000
    assert found[9].span_start == MONDAY


def test_a_window_of_no_rows_says_so(traffic: Traffic) -> None:
    traffic.plan(Monitoring())
    (verdict,) = traffic.days(1, lambda _: make_rows(0, 1))
    assert verdict.state == "no_data"


def test_days_are_judged_and_their_hours_drawn(traffic: Traffic) -> None:
    traffic.plan(Monitoring(windows="day", draw="hour", zone="Europe/Berlin"), HOUR)
    start = MONDAY - 2 * HOUR
    for hour in range(3):
        traffic.count(make_rows(300, hour, shift=3.0 if hour == 2 else 0.0), start + hour * HOUR, HOUR)
    assert draw_due(traffic.workspace, MONDAY + DAY) == 3
    assert draw_due(traffic.workspace, MONDAY + DAY) == 0
    with traffic.workspace.database.read() as tx:
        hours = drawn_since(tx, DEPLOYMENT, "champion", 0, 10)
        assert [hour.state.value for hour in hours] == ["ok", "ok", "alarm"]
        assert open_alerts(tx) == []
    traffic.judge()
    assert traffic.verdict(start).rows == 900


def totals(workspace: Workspace, reference: Reference) -> tuple[int, list[int]]:
    """All rows that are kept in windows, and per carrier cell; those of a day and of its hours are the same rows."""
    import sqlalchemy as sa

    with workspace.database.read() as tx:
        blobs = [row.profile for table in (store.window, part) for row in tx.execute(sa.select(table.c.profile))]
    profiles = [Profile.from_bytes(blob, reference) for blob in blobs]
    counts = sum((profile.counts[1] for profile in profiles), np.zeros(64, np.int64))
    return sum(profile.rows for profile in profiles), counts.tolist()


def test_hours_end_in_their_day_whoever_is_killed_in_between(
    traffic: Traffic, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic.plan(Monitoring(keep=Retention(hours=30 * DAY, sums=7 * DAY)), HOUR)
    for hour in range(30):
        traffic.count(make_rows(20, hour), MONDAY + hour * HOUR, HOUR)
    before, workspace = totals(traffic.workspace, reference), traffic.workspace
    assert retire(workspace, MONDAY + 10 * DAY).windows == 30  # sums
    assert retire(workspace, MONDAY + 10 * DAY).windows == 0
    assert totals(workspace, reference) == before
    honest, steps = type(workspace.database).write, 0

    def dying(self: object, work: object, **options: object) -> object:
        nonlocal steps
        steps += 1
        if steps % 4 == 0:
            raise KeyboardInterrupt
        return honest(self, work, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(type(workspace.database), "write", dying)
        for _ in range(20):
            try:
                retire(workspace, MONDAY + 40 * DAY)
            except KeyboardInterrupt:
                assert totals(workspace, reference) == before
    assert totals(workspace, reference) == before
    with workspace.database.read() as tx:
        days = [store.find_window(tx, WindowKey(STREAM, MONDAY + day * DAY, DAY), part) for day in range(2)]
    assert [day.rows for day in days if day is not None] == [480, 120]
    assert retire(workspace, MONDAY + 2_000 * DAY).windows == 2
    assert totals(workspace, reference)[0] == 0


def test_lists_of_items_have_features_and_figures() -> None:
    """One alarm when the lists narrow, and silence when other callers get other lists of the same catalogue."""
    rng = np.random.default_rng(1)

    def lists(count: int, steepness: float) -> dict[str, object]:
        weights = 1 / np.arange(1, 201) ** steepness
        drawn = [rng.choice(200, 5, replace=False, p=weights / weights.sum()) for _ in range(count)]
        return {"items": np.array([[f"film {item}" for item in row] for row in drawn], object)}

    reference = Reference.fit(lists(3_000, 0.8), (), chunks=12, task=Task.OUTPUTS, watched=Watched(lists=("items",)))  # type: ignore[arg-type]
    states, coverage = [], []
    for steepness in (0.8, 0.8, 0.8, 1.3):
        window = Profile.empty(reference)
        window.add(lists(800, steepness))  # type: ignore[arg-type]
        states.append(judge(reference, window).state)
        coverage.append(list_measures(Reference.from_bytes(reference.to_bytes()), window)["coverage_items"].value)
    assert "alarm" not in states[:3]
    assert states[3] == "alarm"
    assert min(coverage[:3]) > max(0.95, coverage[3])  # type: ignore[type-var, operator]
    assert list_measures(reference, window)["gini_items"].value > 0.6  # type: ignore[operator]
