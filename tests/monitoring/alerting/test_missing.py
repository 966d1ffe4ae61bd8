"""Deployments that fall silent: longer than they ever were, and not at night; sources and versions that others report."""

from typing import Any

import pytest
from tests.monitoring.alerting.conftest import Desk
from tests.monitoring.conftest import DEPLOYMENT, Spool, make_rows

import perenne as pn
from perenne import data
from perenne.core.clock import DAY, HOUR, ManualClock
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import reports
from perenne.monitoring.alerting.missing import silent_of
from perenne.monitoring.alerting.tending import tend
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Watch, WindowState
from perenne.monitoring.recent_store import RecentWindow
from perenne.storage.workspace import Workspace


def windows(*starts: int) -> list[RecentWindow]:
    return [RecentWindow(start * HOUR, HOUR, "late@1", WindowState.OK, 100, 0, ()) for start in starts]


def watch(**values: Any) -> Watch:
    return Watch(deployment="d", version="late@1", project="p", reference="0" * 64, window_length=HOUR, **values)


@pytest.mark.parametrize(
    ("starts", "now", "silent"),
    [
        (range(10), 12, False),
        (range(10), 12.1, True),
        ((*range(8), *range(20, 28)), 28 + 24, False),  # silent for twelve hours every night
        ((*range(8), *range(20, 28)), 28 + 24.1, True),
        (range(2), 1_000, False),  # too little is known of it
    ],
)
def test_silent_is_what_lasts_twice_as_long_as_ever(starts: Any, now: float, silent: bool) -> None:
    assert (silent_of(watch(), windows(*starts), round(now * HOUR)) is not None) == silent


def test_a_project_may_set_the_limit_or_switch_it_off() -> None:
    rule = pn.Monitoring(alerts=(pn.Alert("no_data", above=6),))
    assert silent_of(watch(plan=rule), windows(*range(5)), 11 * HOUR) is None
    assert silent_of(watch(plan=rule), windows(*range(5)), 11 * HOUR + 1) is not None
    assert silent_of(watch(plan=pn.Monitoring(alerts=(pn.Alert("no_data", off=True),))), windows(*range(5)), DAY) is None


def test_a_deployment_that_falls_silent_alarms_once_and_ends_when_rows_come(
    workspace: Workspace, spool: Spool, desk: Desk, clock: ManualClock
) -> None:
    begin = clock.now() // HOUR
    for number in range(4):
        spool.leave(make_rows(250, number), begin + number)

    def turn(hours: float) -> None:
        clock.advance_to((begin * HOUR) + round(hours * HOUR))
        collect(workspace)
        judge_due(workspace, clock.now())
        tend(workspace, desk.delivery)
        desk.post()

    turn(5)
    assert desk.boxes["mail"].messages == []
    turn(6.5)
    turn(7)
    assert desk.boxes["mail"].subjects == [f"[warning] {DEPLOYMENT}: firing"]
    assert desk.boxes["mail"].messages[0].lines[0].partition(": ")[2].startswith("no rows since 2013-04-01T04:00:00")
    spool.leave(make_rows(250, 9), begin + 7)
    turn(8.1)
    assert desk.boxes["mail"].subjects[1:] == [f"[warning] {DEPLOYMENT}: resolved"]


def test_rows_that_were_there_long_ago_are_history(workspace: Workspace, spool: Spool, desk: Desk) -> None:
    for number in range(4):
        spool.leave(make_rows(250, number), number)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    assert tend(workspace, desk.delivery) == 0


def test_sources_that_fail_and_rows_that_come_late_alert_until_they_do_not(workspace: Workspace, desk: Desk) -> None:
    told = data.ingest.events
    failed = told.SourceFailed(dataset="flights", uri="https://x/", problem="gone", at=1, project="p")
    late = told.RowsLate(dataset="flights", uri="https://x/", note="3 rows came later than their watermark", at=2, project="p")
    workspace.database.write(lambda tx: reports.on_source_failed(tx, failed))
    workspace.database.write(lambda tx: reports.on_rows_late(tx, late))
    desk.post()
    assert sorted(desk.boxes["mail"].subjects) == ["[warning] late flights: firing", "[warning] source flights: firing"]
    with workspace.database.read() as tx:
        assert {alert.project for alert in alert_store.list_alerts(tx)} == {"p"}
    recovered = told.SourceRecovered(dataset="flights", at=3)
    workspace.database.write(lambda tx: reports.on_source_recovered(tx, recovered))
    in_time = told.RowsLate(dataset="flights", uri="https://x/", note="", at=4, project="p")
    workspace.database.write(lambda tx: reports.on_rows_late(tx, in_time))
    desk.post()
    assert sorted(desk.boxes["mail"].subjects[2:]) == ["[warning] late flights: resolved", "[warning] source flights: resolved"]
