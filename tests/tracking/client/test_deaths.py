"""Whatever dies, the training, the server, or both: what was logged is there afterwards, once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.app.servers import control_plane, token
from tests.tracking.client.conftest import Program

import perenne
from perenne import tracking
from perenne.auth.principals import local_principal
from perenne.auth.roles import Role
from perenne.core.config import load_settings
from perenne.net.listening import LOOPBACK
from perenne.storage.workspace import Workspace
from perenne.tracking import RunState
from perenne.tracking.client import session
from perenne.tracking.client.sender import Sender

TRAINING = """
import sys
import perenne

run = perenne.start_run("doomed", experiment="e", run_id="", params={"depth": 3}, code=False)
print(run.id, flush=True)
for step in range(1_000_000):
    run.log_metric("loss", step / 7, step)
    if step % 10 == 0:
        run.log_metrics({"a": step, "b": -step}, step)
    print(step, flush=True)
"""

SERVER = """
import socket, sys
from perenne.app.control import application
from perenne.net.connections import BoundedServer, bounded_config
from perenne.net.listening import LOOPBACK
from perenne.storage.workspace import Workspace

with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64) as listener, Workspace() as workspace:
    workspace.database
    BoundedServer(bounded_config(application(workspace, port=int(sys.argv[1])), LOOPBACK)).run(sockets=[listener])
"""


def history(workspace: Workspace, run: str, metric: str) -> list[tuple[int, float]]:
    with workspace.database.read() as tx:
        return [(one.step, one.value) for one in tracking.history.history(tx, local_principal(), run, metric)]


def flushed(workspace: Workspace) -> None:
    """Deliver what dead programs left, as `perenne runs flush` does."""
    sender = Sender(workspace.settings)
    sender.adopt()
    try:
        assert sender.flush(60), sender.trouble
    finally:
        sender.close()
    assert list(workspace.settings.outgoing.glob("*.spool")) == []


def lines_until(process: "subprocess.Popen[bytes]", count: int) -> list[bytes]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


@pytest.mark.parametrize("steps", [1, 40, 700, 4_001])
def test_a_training_that_is_killed_loses_nothing_it_logged(here: Workspace, program: Program, steps: int) -> None:
    process = program(TRAINING)
    run, *said = [line.decode() for line in lines_until(process, steps + 1)]
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    last = int([*said, *process.stdout.read().decode().split()][-1])
    flushed(here)
    found = history(here, run, "loss")
    assert found == [(step, step / 7) for step in range(len(found))]
    assert last < len(found) <= last + 2  # the last may have been logged and not said
    assert [step for step, _ in history(here, run, "a")][: last // 10 + 1] == list(range(0, last + 1, 10))
    with here.database.read() as tx:
        told = tracking.service.get_run(tx, run)
    assert told.state is RunState.FAILED
    assert told.ended is not None
    assert told.parameters == {"depth": "3"}
    flushed(here)
    assert history(here, run, "loss") == found


def test_what_was_delivered_and_not_noted_is_there_once(here: Workspace, program: Program) -> None:
    process = program(TRAINING)
    run, *_ = [line.decode() for line in lines_until(process, 2_000)]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (spool,) = here.settings.outgoing.glob("*.spool")
    kept = spool.read_bytes()
    flushed(here)
    found = history(here, run, "loss")
    spool.write_bytes(kept)  # as if nothing had been noted
    flushed(here)
    assert history(here, run, "loss") == found


@contextmanager
def server_process(port: int) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_is_killed_again_and_again_costs_no_record(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PERENNE_URL", f"http://127.0.0.1:{port}")
    run, step = perenne.start_run("steady", experiment="e", code=False), 0
    for _ in range(3):
        with server_process(port) as process:
            while not answers(port):
                time.sleep(0.02)
            until = step + 3_000
            while step < until:
                run.log_metric("loss", step / 3, step)
                step += 1
                if step % 500 == 0:
                    session.sender().wake()
            process.kill()
            for _ in range(500):  # nobody is there
                run.log_metric("loss", step / 3, step)
                step += 1
    run.end(wait=0)
    with server_process(port):
        while not perenne.flush(30):
            time.sleep(0.05)
    assert history(here, run.id, "loss") == [(number, number / 3) for number in range(step)]
    with here.database.read() as tx:
        assert tracking.service.get_run(tx, run.id).state is RunState.FINISHED


def test_a_server_with_tokens_gets_everything(here: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERENNE_AUTH", "tokens")
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with Workspace(load_settings()) as workspace, control_plane(workspace, LOOPBACK) as port:
        monkeypatch.setenv("PERENNE_URL", f"http://127.0.0.1:{port}")
        run = perenne.start_run("remote", experiment="churn", params={"depth": 3}, data=[tmp_path / "rows.csv"])
        run.log_text("hello", "folder/a ä.txt")
        run.log_metrics({"auc": 0.5, "nan": float("nan"), "inf": float("inf")}, 2)
        assert not perenne.flush(5)  # no token
        assert "token" in session.sender().trouble.lower()
        monkeypatch.setenv("PERENNE_TOKEN", token(workspace, Role.CONTRIBUTOR)[1])
        session.sender().reopen()
        run.end()
        assert perenne.flush(30), session.sender().trouble
        with pytest.raises(perenne.AlreadyDone):
            perenne.start_run(experiment="churn", params={"depth": 3}, data=[tmp_path / "rows.csv"], unless_done=True)
    with here.database.read() as tx:
        told = tracking.service.get_run(tx, run.id)
        (logged,) = tracking.service.runs_of(tx, [told.number])
    assert (told.state, told.name, told.kind) == (RunState.FINISHED, "remote", "script")
    assert {one.key: (one.value, one.step) for one in logged.metrics if one.key != "nan"} == {
        "auc": (0.5, 2),
        "inf": (1.7976931348623157e308, 2),
    }
    assert [one.name for one in logged.datasets] == ["rows.csv"]
    assert told.data != ()
    with here.database.read() as tx:
        place = tracking.artifacts.place_of_run(tx, local_principal(), run.id)
        (item,) = tracking.artifacts.below(tx, local_principal(), place)
    assert (item.path, tracking.artifacts.load(here.blobs, item)) == ("folder/a ä.txt", b"hello")
    assert b"pytest==" in here.objects.get(told.provenance.environment)
