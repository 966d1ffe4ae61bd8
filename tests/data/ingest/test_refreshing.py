"""Sources with a calendar: read when it is time, once whoever notices, by jobs that may be killed; and from a project."""

import threading
from pathlib import Path

import pytest
from tests.asked import ask, seen
from tests.data.ingest.conftest import Ingest

from perenne import data
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import ManualClock, parse_time
from perenne.core.errors import Conflict, NotFound, PerenneError
from perenne.data.ingest import declared
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.monitoring import alert_store
from perenne.projects import Sql
from perenne.storage import jobs, outbox
from perenne.storage.workspace import Workspace


def counted(workspace: Workspace) -> list[int]:
    with workspace.database.read() as tx:
        return [snapshot.rows for snapshot in data.summary.newest(tx, "rows", limit=50)]


def test_a_source_is_read_when_its_time_has_come_and_not_while_it_is_paused(
    workspace: Workspace, actor: Principal, clock: ManualClock, read: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id\n1\n")
    read(str(file), every=declared.calendar_of("1h"))
    platform = Platform(workspace)
    platform.loop.turn()
    assert platform.trainer.drain() == 0
    file.write_text("id\n1\n2\n")
    clock.advance_to(parse_time("2013-04-01T01:00:01Z"))
    platform.loop.turn()
    Platform(workspace).loop.turn()
    assert platform.trainer.drain() == 1
    assert counted(workspace) == [2, 1]
    workspace.database.write(lambda tx: declared.pause(tx, actor, "rows", paused=True, now=clock.now()))
    file.write_text("id\n1\n2\n3\n")
    clock.advance_to(parse_time("2013-04-01T05:00:00Z"))
    platform.loop.turn()
    assert platform.trainer.drain() == 0 and counted(workspace) == [2, 1]


def alerts(workspace: Workspace) -> list[tuple[str, str]]:
    with workspace.database.read() as tx:
        return [(alert.rule, alert.state) for alert in alert_store.list_alerts(tx)]


def test_a_source_that_fails_again_and_again_is_told_and_left_alone_for_a_while(
    workspace: Workspace, clock: ManualClock, read: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id\n1\n")
    read(str(file), every="* * * * *")
    file.unlink()
    platform, told = Platform(workspace), []
    for minute in range(1, 12):
        clock.advance_to(parse_time(f"2013-04-01T00:{minute:02}:01Z"))
        told.append(data.ingest.queue_due(workspace))
        for job in take(workspace):
            with pytest.raises(NotFound):
                data.ingest.refresh_job(workspace, job)
        platform.loop.turn()
    assert alerts(workspace) == [("source rows", "firing")]
    assert told[:5] == [1] * 5 and told[5:] == [0] * 6
    file.write_text("id\n1\n2\n")
    clock.advance_to(parse_time("2013-04-01T01:00:01Z"))
    assert data.ingest.queue_due(workspace) == 1
    for job in take(workspace):
        data.ingest.refresh_job(workspace, job)
    platform.loop.turn()
    assert alerts(workspace) == [("source rows", "resolved")] and counted(workspace) == [2, 1]
    with workspace.database.read() as tx:
        names = [event.name for event in outbox.events(tx, limit=200)]
    assert names.count("source.recovered") == 1 and names.count("data.arrived") == 2


def test_columns_that_changed_under_a_calendar_are_told_at_once(
    workspace: Workspace, clock: ManualClock, read: Ingest, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id\n1\n")
    read(str(file), every="* * * * *")
    file.write_text("other\n1\n")
    clock.advance_to(parse_time("2013-04-01T00:01:01Z"))
    platform = Platform(workspace)
    platform.loop.turn()
    assert platform.trainer.drain() == 1
    platform.loop.turn()
    assert alerts(workspace) == [("source rows", "firing")] and counted(workspace) == [1]


def take(workspace: Workspace) -> list[jobs.Job]:
    """Claim the refreshes that are due for the first time."""
    job = workspace.database.write(lambda tx: jobs.claim(tx, "somebody", [data.ingest.REFRESH_JOB]))
    return [] if job is None else [job]


def test_a_job_that_was_done_twice_adds_its_rows_once(
    workspace: Workspace, clock: ManualClock, read: Ingest, tmp_path: Path
) -> None:
    """As after a kill between keeping the rows and ending the job: both are one transaction, so the second finds it ended."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    read(str(tmp_path / "*.csv"), mode="append", every="0 * * * *")
    (tmp_path / "b.csv").write_text("id\n2\n")
    clock.advance_to(parse_time("2013-04-01T01:00:01Z"))
    assert data.ingest.queue_due(workspace) == 1
    job = workspace.database.write(lambda tx: jobs.claim(tx, "first", [data.ingest.REFRESH_JOB]))
    assert job is not None
    data.ingest.refresh_job(workspace, job)
    with pytest.raises(PerenneError):
        data.ingest.refresh_job(workspace, job)
    assert counted(workspace) == [2, 1]


def test_of_two_that_read_at_once_one_adds_the_rows(workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    read(str(tmp_path / "*.csv"), mode="append")
    (tmp_path / "b.csv").write_text("id\n2\n3\n")
    ready, came = threading.Barrier(4), []

    def work() -> None:
        ready.wait()
        try:
            came.append(refresh(workspace, actor, "rows").refresh.outcome)
        except Conflict:
            came.append(Outcome.FAILED)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came.count(Outcome.NEW) == 1 and counted(workspace) == [3, 1]


def test_whatever_is_done_to_a_source_is_in_the_trail_and_its_snapshots_stay(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    read(str(tmp_path / "a.csv"), every="0 * * * *")
    for paused in (True, False):
        workspace.database.write(lambda tx, paused=paused: declared.pause(tx, actor, "rows", paused=paused, now=0))  # type: ignore[misc]
    workspace.database.write(lambda tx: declared.remove(tx, actor, "rows"))
    with workspace.database.read() as tx:
        done = [record.action for record in audit.trail(tx) if record.action.startswith("source.")]
    assert sorted(done) == ["source.declare", "source.pause", "source.remove", "source.resume"]
    assert counted(workspace) == [1]


def test_a_project_may_name_a_query_a_folder_or_a_pattern(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table t as select 1 as id union select 2")
    connection.close()
    (tmp_path / "d").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "d" / f"{name}.csv").write_text("id\n1\n")
    sources = (Sql(f"sqlite:{tmp_path}/shop.db", "select * from t"), tmp_path / "d", f"{tmp_path}/d/[ab].csv")
    taken = [data.take_snapshot(workspace.database, workspace.objects, actor, source, dataset="rows") for source in sources]
    assert [snapshot.rows for snapshot in taken] == [2, 3, 2]
    assert taken[0].source == f"sqlite:{tmp_path}/shop.db"


def test_sources_are_read_and_held_by_rest(workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    read(str(tmp_path / "a.csv"), every="0 * * * *")
    [line] = seen(workspace, actor, "/api/data/sources")
    assert (line["dataset"], line["outcome"], line["every"]) == ("rows", "new", "0 * * * *") and "sealed" not in line
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    assert ask(workspace, actor, "POST", "/api/data/sources/refresh", json={"dataset": "rows"}).status_code == 202
    assert Platform(workspace).trainer.drain() == 1 and counted(workspace) == [2, 1]
    assert [each["outcome"] for each in seen(workspace, actor, "/api/data/sources/readings?dataset=rows")] == ["new", "new"]
    held = {"dataset": "rows", "paused": True}
    assert ask(workspace, actor, "POST", "/api/data/sources/pause", json=held).json()["paused"] is True
    assert ask(workspace, actor, "POST", "/api/data/sources/refresh", json={"dataset": "rows"}).status_code == 409
    assert ask(workspace, actor, "POST", "/api/data/sources/refresh", json={"dataset": "none"}).status_code == 404


def test_a_source_that_cannot_be_read_leaves_no_calendar_and_what_it_was_to_replace(
    workspace: Workspace, actor: Principal, clock: ManualClock, read: Ingest, tmp_path: Path
) -> None:
    with pytest.raises(PerenneError):
        read(str(tmp_path / "none.csv"), every="0 * * * *")
    clock.advance_to(parse_time("2013-04-01T03:00:00Z"))
    assert data.ingest.queue_due(workspace) == 0
    (tmp_path / "a.csv").write_text("id\n1\n")
    read(str(tmp_path / "*.csv"), mode="append", every="0 * * * *")
    with workspace.database.read() as tx:
        known = declared.get_source(tx, actor, "rows")
    with pytest.raises(PerenneError):
        read(str(tmp_path / "none.csv"), replace=True, every="30 * * * *")
    with workspace.database.read() as tx:
        assert declared.get_source(tx, actor, "rows") == known
    (tmp_path / "b.csv").write_text("id\n2\n")
    assert refresh(workspace, actor, "rows").refresh.added == 1
    clock.advance_to(parse_time("2013-04-01T04:00:01Z"))
    assert data.ingest.queue_due(workspace) == 1
