"""A fleet: who judges what, whatever is killed; and looking at all of it at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from tests.monitoring.conftest import CLASSES, FIELDS, events, make_rows

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.cli.monitor import monitor
from perenne.core.clock import HOUR
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.monitoring import store
from perenne.monitoring.baselines.merging import empty_window
from perenne.monitoring.events import DriftFound
from perenne.monitoring.fleet import leases, sharing
from perenne.monitoring.fleet.checking import check, worst_first
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Stream, WindowKey
from perenne.monitoring.service import watch
from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.owners import owner_token
from perenne.storage.workspace import Workspace


@pytest.fixture(scope="module")
def small() -> Reference:
    rows = make_rows(3_000, 0)
    return Reference.fit(
        rows.columns, FIELDS, chunks=8, scores=rows.scores, predictions=rows.predictions, task=Task.BINARY, classes=CLASSES
    )


def fleet(
    workspace: Workspace, actor: Principal, reference: Reference, names: int, hours: int = 2, drifted: int = 0
) -> list[str]:
    """Deployments with windows of some hours, of which the first few have drifted throughout."""
    digest = workspace.objects.put(reference.to_bytes())
    profiles = []
    for shift in (0.0, 1.0):
        rows, profile = make_rows(400, 7, shift=shift), Profile.empty(reference)
        profile.add(rows.columns, rows.predictions, rows.scores)
        profiles.append(profile)
    made = [f"model{place:02}" for place in range(names)]

    def add(tx: Transaction) -> None:
        for place, name in enumerate(made):
            watch(tx, actor, name, f"{name}@1", digest, project=name, window_length=HOUR)
            for hour in range(hours):
                key = WindowKey(Stream(name, "champion", f"{name}@1"), hour * HOUR, HOUR)
                window = empty_window(key, reference, 42, profiles[place < drifted])
                store.save_window(tx, msgspec.structs.replace(window, rows=400, revision=1))

    workspace.database.write(add)
    return made


def alarms(workspace: Workspace) -> dict[str, int]:
    """How often each deployment was said to have drifted."""
    found: dict[str, int] = {}
    for event in events(workspace, DriftFound):
        found[event.deployment] = found.get(event.deployment, 0) + 1
    return found


def test_the_fleet_is_seen_at_once_and_the_worst_comes_first(
    workspace: Workspace, actor: Principal, small: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = fleet(workspace, actor, small, 6, drifted=2)
    found = check(workspace)
    assert [one.state for one in found] == ["alarm", "alarm", "ok", "ok", "ok", "ok"]
    assert {(one.rows, one.window_start) for one in found} == {(400, HOUR)}
    assert [one.deployment for one in check(workspace, [names[3]])] == [names[3]]
    assert worst_first(workspace, names[::-1])[:2] == names[1::-1]
    with workspace.database.read() as tx:
        assert len(store.due_windows(tx, 9 * HOUR)) == 12, "looking writes nothing"
    monkeypatch.setattr(sharing, "A_TURN", 2)
    monkeypatch.setattr("perenne.monitoring.judge.A_TURN", 2)
    assert judge_due(workspace, 9 * HOUR) == 4
    assert alarms(workspace) == {names[0]: 1, names[1]: 1}
    assert [judge_due(workspace, 9 * HOUR) for _ in range(3)] == [4, 4, 0]


def test_the_command_names_those_that_would_alarm(
    workspace: Workspace, actor: Principal, small: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    names = fleet(workspace, actor, small, 3, drifted=1)
    result = CliRunner().invoke(monitor, ["check"], obj=workspace, standalone_mode=False)
    assert isinstance(result.return_value, Result)
    assert result.return_value.exit_code == EXIT_FINDINGS
    assert [line["deployment"] for line in result.return_value.value["deployments"]] == names[:1]
    assert result.return_value.value["states"] == {"alarm": 1, "ok": 2}


def test_nobody_judges_what_another_holds_and_a_dead_ones_share_is_taken(
    workspace: Workspace, actor: Principal, small: Reference
) -> None:
    names = fleet(workspace, actor, small, 4)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait()
    mine, other = owner_token(), owner_token()
    host = mine.split("|")[0]
    dead = f"{host}|{ended.pid}|1|here/x"
    workspace.database.write(lambda tx: leases.take(tx, other, names[:1], most=1))
    workspace.database.write(lambda tx: leases.take(tx, dead, names[1:2], most=1))
    assert judge_due(workspace, 9 * HOUR, owner=mine) == 6
    assert judge_due(workspace, 9 * HOUR, owner=mine) == 0
    with workspace.database.read() as tx:
        assert {key.stream.deployment for key in store.due_windows(tx, 9 * HOUR)} == {names[0]}
    workspace.database.write(lambda tx: leases.give_back(tx, other, names[:1]))
    assert judge_due(workspace, 9 * HOUR, owner=mine) == 2


def test_whoever_lost_the_lease_keeps_nothing(workspace: Workspace, actor: Principal, small: Reference) -> None:
    """A judge that was held up wakes after another took over: its verdicts are void."""
    names = fleet(workspace, actor, small, 2)
    slow, quick = owner_token(), owner_token()

    def due(mine: object) -> list[WindowKey]:
        with workspace.database.read() as tx:
            return store.due_windows(tx, 9 * HOUR)

    def held_up(keys: object, fence: sharing.Fence) -> int:
        workspace.database.write(lambda tx: leases.give_back(tx, slow, names))
        judge_due(workspace, 9 * HOUR, owner=quick)
        return workspace.database.write(lambda tx: len(fence(tx)))

    assert sharing.share(workspace, names, due, held_up, owner=slow) == 0


JUDGE = """
import sys
from perenne.core.clock import HOUR
from perenne.monitoring.judge import judge_due
from perenne.storage.workspace import Workspace
with Workspace() as workspace:
    print("ready", flush=True)
    for _ in range(1000):
        judge_due(workspace, 9 * HOUR, leads=False)
"""


def at_work(workspace: Workspace) -> None:
    """Wait until somebody holds a lease, or nothing is left to judge."""
    while True:
        with workspace.database.read() as tx:
            held = tx.scalar(sa.select(sa.func.count()).select_from(leases.table))
            if held or not store.due_windows(tx, 9 * HOUR):
                return


def kill_judges(workspace: Workspace, names: list[str], drifted: int, kills: int) -> None:
    """Let two processes judge, and kill one after the other in the middle; then let a last one end it."""
    environment = os.environ | {
        "PERENNE_HOME": str(workspace.settings.home),
        "PERENNE_DATABASE": workspace.settings.database,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", JUDGE]
    judges = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    try:
        for kill in range(kills):
            judge = judges[kill % 2]
            assert judge.stdout is not None
            assert judge.stdout.readline() == b"ready\n"
            at_work(workspace)
            judge.send_signal(signal.SIGKILL)
            judge.wait()
            judge.stdout.close()
            if kill < kills - 2:
                judges[kill % 2] = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    finally:
        for judge in judges:
            judge.kill()
            judge.wait()
    while judge_due(workspace, 9 * HOUR):
        pass
    with workspace.database.read() as tx:
        assert store.due_windows(tx, 9 * HOUR) == [], "nothing is left"
        fired = [row for row in audit.trail(tx, entity="alert", limit=1_000) if row.action == "alert.firing"]
    assert alarms(workspace) == dict.fromkeys(names[:drifted], 1), "each is said once"
    assert len(fired) == drifted


@pytest.mark.waits
def test_killed_judges_leave_nothing_and_say_nothing_twice(workspace: Workspace, actor: Principal, small: Reference) -> None:
    names = fleet(workspace, actor, small, 30, hours=3, drifted=10)
    kill_judges(workspace, names, 10, kills=2)


@pytest.mark.long
def test_many_killed_judges_leave_nothing(workspace: Workspace, actor: Principal, small: Reference, tmp_path: Path) -> None:
    names = fleet(workspace, actor, small, 400, hours=6, drifted=40)
    kill_judges(workspace, names, 40, kills=40)
