"""Rows that lie in tables: read incrementally, each counted once, and watched like our own."""

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.asked import seen
from tests.monitoring.elsewhere.conftest import START, leave, served

from perenne.auth.principals import Principal
from perenne.cli.monitor import monitor
from perenne.core.clock import DAY, ManualClock
from perenne.core.errors import Conflict, NotFound
from perenne.core.results import Result
from perenne.monitoring.elsewhere import reading, row_logging, service
from perenne.monitoring.elsewhere.model import Foreign, Roles
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise
from perenne.monitoring.service import deployment_health
from perenne.storage.workspace import Workspace

ROLES = Roles(time="at", prediction="answer", score=("p",), label="truth", identity="order")


def add(workspace: Workspace, actor: Principal, uri: str, **values: object) -> Foreign:
    new = Foreign(name="fees", project="fees", version="fees@1", uri=uri, roles=ROLES)
    from msgspec.structs import replace

    return service.add(workspace, actor, replace(new, **{name: value for name, value in values.items() if name != "reference"}),
                       reference=values.get("reference"))  # fmt: skip


def counted(workspace: Workspace) -> dict[int, int]:
    """How many rows each day's window holds."""
    with workspace.database.read() as tx:
        health = deployment_health(tx, "fees", windows=50)
    return {(verdict.window_start - START) // DAY: verdict.rows for stream in health.streams for verdict in stream.windows}


def turn(workspace: Workspace, clock: ManualClock, day: int) -> None:
    clock.advance_to(START + day * DAY)
    row_logging.log_counted(workspace)
    judge_due(workspace, clock.now())


def test_files_are_watched_like_what_is_served_here(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    for day in range(8):
        leave(folder, day)
    clock.advance_to(START + 8 * DAY)
    assert add(workspace, actor, str(folder)).signature.reference == ""
    assert reading.read_now(workspace, actor, "fees").rows == 2_400
    with workspace.database.read() as tx:
        known = service.get(tx, actor, "fees")
    assert [field.name for field in known.signature.fields] == ["wind", "carrier"]
    assert known.signature.classes == ("no", "yes")
    leave(folder, 8)
    leave(folder, 9, shift=1.0)
    clock.advance_to(START + 10 * DAY)
    assert reading.read_now(workspace, actor, "fees").rows == 600
    turn(workspace, clock, 10)
    realise(workspace, clock.now())
    with workspace.database.read() as tx:
        health = deployment_health(tx, "fees")
    states = {(verdict.window_start - START) // DAY: verdict.state.value for verdict in health.streams[0].windows}
    assert states[8] == "ok"
    assert states[9] == "alarm"
    assert health.state == "alarm"
    assert health.alerts[0].rule == "drift"
    assert "wind" in health.alerts[0].summary
    verdict = next(verdict for verdict in health.streams[0].windows if verdict.window_start == START + 8 * DAY)
    assert verdict.estimated["roc_auc"].value == pytest.approx(0.84, abs=0.05)
    realised = {
        (metric.window_start - START) // DAY: metric for metric in health.streams[0].metrics if metric.metric == "roc_auc"
    }
    assert realised[8].n_labelled == 300
    assert realised[8].value == pytest.approx(0.84, abs=0.06)


def test_each_row_counts_once_and_late_rows_join_their_own_day(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    import pyarrow as pa

    reference = folder.parent / "reference.parquet"
    pq.write_table(served(0, 3_000), reference)
    first, second = served(1), served(2)
    pq.write_table(first.slice(0, 250), folder / "a.parquet")
    clock.advance_to(START + 3 * DAY)
    add(workspace, actor, str(folder), reference=reference)
    assert reading.read_now(workspace, actor, "fees").rows == 250
    assert reading.read_now(workspace, actor, "fees").rows == 0
    pq.write_table(pa.concat_tables([first.slice(0, 250), second]), folder / "a.parquet")  # the file grew
    assert reading.read_now(workspace, actor, "fees").rows == 300
    pq.write_table(first, folder / "b.parquet")  # the whole day once more, with fifty rows that came late
    kept = reading.read_now(workspace, actor, "fees")
    assert (kept.rows, kept.repeated) == (50, 250)
    turn(workspace, clock, 3)
    assert counted(workspace) == {1: 300, 2: 300}


def test_a_database_is_asked_for_what_is_new_and_what_came_late(
    workspace: Workspace, actor: Principal, clock: ManualClock, tmp_path: Path
) -> None:
    path, reference = tmp_path / "shop.db", tmp_path / "reference.parquet"
    pq.write_table(served(0, 3_000).drop_columns(["truth"]), reference)
    with sqlite3.connect(path) as connection:
        connection.execute("create table answers (ordered text, at text, wind real, carrier text, p real, answer text)")

        def insert(day: int, first: int, count: int) -> None:
            for row in served(day).slice(first, count).to_pylist():
                values = (row["order"], row["at"].isoformat(), row["wind"], row["carrier"], row["p"], row["answer"])
                connection.execute("insert into answers values (?, ?, ?, ?, ?, ?)", values)
            connection.commit()

        insert(1, 0, 200)
        clock.advance_to(START + 4 * DAY)
        query = 'select ordered as "order", at, wind, carrier, p, answer from answers'
        roles = Roles(time="at", prediction="answer", score=("p",), identity="order")
        add(workspace, actor, f"sqlite:{path}", query=query, roles=roles, reference=reference)
        assert reading.read_now(workspace, actor, "fees").rows == 200
        insert(2, 0, 300)
        assert reading.read_now(workspace, actor, "fees").rows == 300
        insert(1, 200, 100)
        insert(3, 0, 250)
        assert reading.read_now(workspace, actor, "fees").rows == 350
        assert reading.read_now(workspace, actor, "fees").rows == 0
    turn(workspace, clock, 4)
    assert counted(workspace) == {1: 300, 2: 300, 3: 250}


def test_two_readers_at_once_and_one_killed_before_it_commits_count_once(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perenne.monitoring.elsewhere import keeping

    reference = folder.parent / "reference.parquet"
    pq.write_table(served(0, 3_000), reference)
    leave(folder, 1)
    clock.advance_to(START + 2 * DAY)
    known = add(workspace, actor, str(folder), reference=reference)
    assert reading.read_known(workspace, known) is not None
    assert reading.read_known(workspace, known) is None, "it stands no longer where this reader saw it"
    leave(folder, 1, count=400)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            reading.read_now(workspace, actor, "fees")
    reading.read_now(workspace, actor, "fees")
    turn(workspace, clock, 2)
    assert counted(workspace) == {1: 400}


def test_what_goes_wrong_is_said_and_nothing_is_lost(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    leave(folder, 0)
    known = add(workspace, actor, str(folder / "*.parquet"))
    for path in folder.iterdir():
        path.unlink()
    assert reading.read_known(workspace, known) is None
    with workspace.database.read() as tx:
        assert "no files" in service.get(tx, actor, "fees").problem
    with pytest.raises(Conflict):
        add(workspace, actor, str(folder))


def test_one_that_is_removed_can_be_brought_back(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    reference = folder.parent / "reference.parquet"
    pq.write_table(served(0, 3_000), reference)
    leave(folder, 1)
    clock.advance_to(START + 2 * DAY)
    add(workspace, actor, str(folder), reference=reference)
    reading.read_now(workspace, actor, "fees")
    now = clock.now()
    workspace.database.write(lambda tx: service.remove(tx, actor, "fees", now=now))
    with workspace.database.read() as tx:
        with pytest.raises(NotFound):
            service.get(tx, actor, "fees")
        with pytest.raises(NotFound):
            deployment_health(tx, "fees")
    clock.advance_to(START + 30 * DAY)
    assert reading.queue_due(workspace) == 0
    workspace.database.write(lambda tx: service.restore(tx, actor, "fees", now=now))
    assert reading.queue_due(workspace) == 1
    turn(workspace, clock, 30)
    assert counted(workspace) == {1: 300}


def test_it_is_listed_while_it_learns_and_shown_as_served_elsewhere(
    workspace: Workspace, actor: Principal, clock: ManualClock, folder: Path
) -> None:
    def listed() -> Any:
        found = CliRunner().invoke(monitor, ["list"], obj=workspace, standalone_mode=False).return_value
        return found.value if isinstance(found, Result) else found

    reference = folder.parent / "reference.parquet"
    pq.write_table(served(0, 3_000), reference)
    leave(folder, 1)
    clock.advance_to(START + 2 * DAY)
    options = ["--time", "at", "--prediction", "answer", "--score", "p", "--id", "order", "--label", "truth"]
    command = ["add", "fees", "--from", str(folder), *options]
    made = CliRunner().invoke(monitor, command, obj=workspace, standalone_mode=False).return_value
    assert (made["state"], made["version"]) == ("learning", "fees@1")
    CliRunner().invoke(monitor, ["read", "fees"], obj=workspace, standalone_mode=False)
    assert [(row["state"], row["rows"], row["served"]) for row in listed()] == [("learning", 300, "elsewhere")]
    CliRunner().invoke(monitor, ["remove", "fees"], obj=workspace, standalone_mode=False)
    assert listed() == []
    CliRunner().invoke(monitor, [*command, "--reference", str(reference)], obj=workspace, standalone_mode=False)
    CliRunner().invoke(monitor, ["read", "fees"], obj=workspace, standalone_mode=False)
    turn(workspace, clock, 2)
    (row,) = seen(workspace, actor, "/api/view/monitor")["rows"]
    assert (row["deployment"], row["elsewhere"], row["state"], row["rows"]) == ("fees", True, "ok", 300)
    page = seen(workspace, actor, "/api/view/monitor/fees")["monitor"]
    assert (page["elsewhere"], page["champion"]) == (True, "fees@2")
