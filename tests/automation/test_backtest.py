"""A policy before it is switched on: the past of a real workspace replayed, nothing in it changed, and what a restart finds."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import sqlalchemy as sa
from tests.asked import ask, seen
from tests.automation.past_story import CHANGE, DAYS, OPENING, live
from tests.postgres import PostgresServer

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation.backtest import reports
from perenne.automation.backtest.history import read_past
from perenne.automation.backtest.model import Report, Track
from perenne.automation.backtest.replay import World
from perenne.automation.backtest.running import NO_END, REAL, SIMULATED, Asked, backtest, changed, folder_of, open_world
from perenne.automation.model import EpisodeState
from perenne.core.clock import DAY, ManualClock, parse_time
from perenne.core.config import Settings, load_settings
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.projects import Drift, RetrainPolicy, get_project
from perenne.storage.backup import back_up, restore
from perenne.storage.database import Database, metadata
from perenne.storage.file_objects import FileObjects
from perenne.storage.workspace import Workspace
from perenne.testing import WorldContract

ADA = Principal("ada", roles=frozenset(Role), solo=True)


class Lived(NamedTuple):
    """A past that was lived once for all tests: none of them may change anything."""

    settings: Settings
    champion: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Lived:
    folder = tmp_path_factory.mktemp("past")
    settings = load_settings(folder, {})
    settings.home.mkdir()
    shutil.copyfile(empty_database, settings.home / "perenne.db")
    clock = ManualClock(OPENING)
    with Workspace(settings, clock) as workspace:
        champion = live(workspace, clock, ADA, folder / "signals")
        back_up(workspace.database, workspace.objects, folder / "backup")
    return Lived(settings, champion)


@pytest.fixture
def past(lived: Lived) -> Iterator[Workspace]:
    with Workspace(lived.settings, ManualClock(OPENING + (DAYS + 2) * DAY)) as workspace:
        yield workspace


@pytest.fixture
def past_on_postgres(lived: Lived, postgres: PostgresServer) -> Iterator[Workspace]:
    """The same past, restored to PostgreSQL; logged rows and objects are the same files."""
    settings = msgspec.structs.replace(lived.settings, database=postgres.database())
    database = Database(settings.database)
    restore(database, FileObjects(settings.home / "restored"), settings.home.parent / "backup")
    database.close()
    with Workspace(settings, ManualClock(OPENING + (DAYS + 2) * DAY)) as workspace:
        yield workspace
    postgres.drop(settings.database)


def rows_in(workspace: Workspace) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with workspace.database.read() as tx:
        return {
            table.name: sorted((tuple(row) for row in tx.execute(sa.select(table))), key=repr) for table in metadata.sorted_tables
        }


def named(report: Report, name: str) -> Track:
    return next(track for track in report.tracks if track.name == name)


def told(report: Report) -> list[Track]:
    return list(report.tracks)


def test_the_past_is_trained_on_anew_and_the_workspace_stays_as_it_was(
    past: Workspace, past_on_postgres: Workspace, lived: Lived
) -> None:
    before, costs = rows_in(past), folder_of(past, "signals") / "costs"

    def stop(name: str, done: int, total: int) -> None:
        if list(costs.glob("*.json")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backtest(past, "signals", Asked(train=REAL), hear=stop)
    kept = {path.name: path.read_bytes() for path in costs.glob("*.json")}
    report = backtest(past, "signals", Asked(train=REAL))
    assert len(kept) == 1 and kept.items() <= {path.name: path.read_bytes() for path in costs.glob("*.json")}.items()
    assert rows_in(past) == before
    policy, never, really = (named(report, name) for name in ("policy", "never", "really"))
    assert [point.model for point in never.points] == [lived.champion] * DAYS == [point.model for point in really.points]
    assert really.sums.opened == 1 and really.sums.promoted == 0  # it was opened, and nobody did its job
    assert policy.sums.promoted >= 1 and policy.points[-1].model != lived.champion
    first = next(bout for bout in policy.bouts if bout.promoted)
    assert first.opened >= CHANGE and first.champion == lived.champion
    assert first.later is not None and first.later.low > 0.1 and first.wrong is False
    assert (
        policy.sums.below
        < never.sums.below
        == sum(point.length for point in never.points if point.measured and point.measured.below)
    )
    assert policy.sums.mean is not None and never.sums.mean is not None and policy.sums.mean > never.sums.mean + 0.05
    assert policy.sums.money == pytest.approx(policy.sums.cpu_seconds / 3_600 * 0.5) and policy.sums.cpu_seconds > 0
    before = rows_in(past_on_postgres)
    again = backtest(past_on_postgres, "signals", Asked(train=REAL))  # its rounds are found: both keep them in one place
    assert told(again) == told(report) and rows_in(past_on_postgres) == before


class TestHistory(WorldContract):
    """The past of a workspace, and a model that was trained for the purpose."""

    @pytest.fixture
    def world(self, past: Workspace) -> Iterator[World]:
        with past.database.read() as tx:
            project = get_project(tx, "signals")
        assert project.policy is not None
        read = read_past(past, project, project.policy, 0, NO_END)
        with open_world(past, project, read, Asked(train=REAL)) as (world, _):
            yield world

    @pytest.fixture
    def models(self, world: World, lived: Lived) -> tuple[str, str]:
        policy = RetrainPolicy.of(holdout="1d", history="3d")
        return lived.champion, world.train(OPENING + 8 * DAY, lived.champion, policy, policy.promote, 0).model


def test_past_rounds_stand_for_those_that_would_have_been(past: Workspace, lived: Lived) -> None:
    report = backtest(past, "signals", Asked(train=SIMULATED))
    bout = named(report, "policy").bouts[0]
    assert bout.state is EpisodeState.FAILED and "no past round" in bout.note
    assert any("0 past rounds" in note for note in report.notes) and report.whole


def test_two_policies_stand_in_one_table_and_time_may_run_out(past: Workspace, lived: Lived) -> None:
    patient = changed(RetrainPolicy(), ["cooldown=60d", 'on=[{"type":"drift"}]', "alpha=0.01"])
    assert patient.on == (Drift(),) and patient.promote.alpha == 0.01
    asked = Asked(policies=(("one", RetrainPolicy()), ("two", patient)), end=CHANGE)
    assert [track.name for track in backtest(past, "signals", asked).tracks] == ["one", "two", "really", "weekly", "never"]
    cut = backtest(past, "signals", msgspec.structs.replace(asked, seconds=0.0))
    assert not cut.whole and [track.name for track in cut.tracks] == ["really"] and "time limit" in cut.notes[0]
    with pytest.raises(Conflict, match="no window"):
        backtest(past, "signals", Asked(start=CHANGE, end=OPENING))
    with pytest.raises(NotFound):
        backtest(past, "lost", Asked())


@pytest.mark.parametrize("setting", ["cooldown", "colour=red", "cooldown=soon", "alpha=2"])
def test_a_setting_that_cannot_be_is_named(setting: str) -> None:
    with pytest.raises(Invalid):
        changed(RetrainPolicy(), [setting])


def test_the_page_shows_what_is_kept_and_to_whom(past: Workspace, lived: Lived) -> None:
    path = "/api/view/policy/signals/backtest"
    assert seen(past, ADA, path)["reports"] == []
    folder = folder_of(past, "signals")
    report = backtest(past, "signals", Asked())
    identity = reports.keep(folder, report)
    assert reports.keep(folder, report) == identity and reports.read(folder, identity) == report
    (folder / "reports" / "0abc.json").write_text("no report")
    page = seen(past, ADA, path)
    assert [line["id"] for line in page["reports"]] == [identity] == [page["report"]]
    assert [rule["name"] for rule in page["rules"]] == ["policy", "really", "weekly", "never"] and len(page["starts"]) == DAYS
    assert page["length"] == DAY and page["shown"]["name"] == "policy" and page["limit"] == 0.75
    assert seen(past, ADA, f"{path}?rule=never")["shown"]["bouts"] == []
    assert ask(past, ADA, "GET", f"{path}?report=lost").status_code == 404
    stranger = Principal("oda", roles=frozenset({Role.VIEWER}), projects=frozenset({"others"}))
    assert ask(past, stranger, "GET", path).status_code == 404


@pytest.mark.long
def test_killed_it_goes_on_where_it_was(lived: Lived, tmp_path: Path) -> None:
    """Of a copy, whose rounds nobody has done yet."""
    home = tmp_path / ".perenne"
    shutil.copytree(lived.settings.home, home, ignore=shutil.ignore_patterns("backtest", "restored"))
    settings = load_settings(tmp_path, {})
    with Workspace(settings) as workspace:
        folder = folder_of(workspace, "signals")
    command = [sys.executable, "-m", "perenne", "policy", "backtest", "signals", "--train", "real", "--to", "2026-03-10"]
    environment = {**os.environ, "PERENNE_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list((folder / "costs").glob("*.json")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = {path.name: path.read_bytes() for path in (folder / "costs").glob("*.json")}
    assert kept and not (folder / "reports").exists()
    with Workspace(settings) as workspace:
        report = backtest(workspace, "signals", Asked(train=REAL, end=parse_time("2026-03-10")))
    assert report.whole and named(report, "policy").sums.trained >= 1
    assert kept.items() <= {path.name: path.read_bytes() for path in (folder / "costs").glob("*.json")}.items()
