"""Whoever tells people is killed at any point: they hear of it at least once, under one key, and it is noted once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.monitoring.alerting.conftest import Move
from tests.monitoring.alerting.killed import File

from perenne.automation.worker import take_back_lost
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.delivering import DELIVER, AlertDelivery
from perenne.monitoring.alerting.model import ToldState
from perenne.monitoring.events import AlertsChanged
from perenne.storage import jobs
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]


def kill_at(workspace: Workspace, where: str) -> None:
    words = [sys.executable, "-m", "tests.monitoring.alerting.killed", str(workspace.settings.home), where]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2_000:]


def go_on(workspace: Workspace) -> None:
    """What another process does: it delivers events, takes back what the dead one had, and does it."""
    delivery = AlertDelivery({"file": File(workspace.settings.home / "sent")}, workspace.clock)
    Outbox(workspace.database, {AlertsChanged: [delivery.queue]}).deliver()
    take_back_lost(workspace)
    while (job := workspace.database.write(lambda tx: jobs.claim(tx, "other", [DELIVER]))) is not None:
        delivery.deliver(workspace, job)


def check(workspace: Workspace, alert: str, *, tries: int) -> None:
    with workspace.database.read() as tx:
        told = store.told_of(tx, [alert])[alert]
        states = [job.state for job in jobs.jobs(tx, kind=DELIVER)]
    assert [(row.channel, row.state) for row in told] == [("file", ToldState.DELIVERED)]
    assert states == ["done"]
    sent = (workspace.settings.home / "sent").read_text().split()
    assert (len(sent), len(set(sent))) == (tries, 1), "again under the same key, if at all"


@pytest.mark.parametrize(("where", "tries"), [("queue", 1), ("send", 2), ("mark", 2)])
def test_people_hear_of_it_whatever_is_killed_when(workspace: Workspace, move: Move, where: str, tries: int) -> None:
    alert = move("churn")
    assert alert is not None
    if where != "queue":
        Outbox(workspace.database, {AlertsChanged: [AlertDelivery({"file": File(Path())}, workspace.clock).queue]}).deliver()
    kill_at(workspace, where)
    go_on(workspace)
    check(workspace, alert.id, tries=tries)


@pytest.mark.long
def test_killed_again_and_again_it_is_told_all_the_same(workspace: Workspace, move: Move) -> None:
    for number in range(40):
        alert = move(f"churn-{number}")
        assert alert is not None
        kill_at(workspace, "queue")
        Outbox(workspace.database, {AlertsChanged: [AlertDelivery({"file": File(Path())}, workspace.clock).queue]}).deliver()
        for _ in range(3):
            kill_at(workspace, ("send", "mark")[number % 2])
            take_back_lost(workspace)
        go_on(workspace)
        with workspace.database.read() as tx:
            assert [row.state for row in store.told_of(tx, [alert.id])[alert.id]] == [ToldState.DELIVERED]
    with workspace.database.read() as tx:
        assert {job.state for job in jobs.jobs(tx, kind=DELIVER)} == {"done"}
