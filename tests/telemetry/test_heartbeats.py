"""Signs of life of real processes: alive, silent, killed; and a number used again is not taken for the same process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from perenne.core.clock import SECOND, SystemClock
from perenne.telemetry.heartbeats import FOLDER, Heartbeat, Sign, State, clear_gone, signs, state_of

PROGRAM = """
import sys, time
from pathlib import Path
from perenne.telemetry.heartbeats import Heartbeat
with Heartbeat(Path(sys.argv[1]), "trainer", every=0.02):
    print("beats", flush=True)
    sys.stdin.read()
"""


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"beats\n"
        yield process
        if process.poll() is None:
            process.kill()


def test_a_process_beats_while_it_lives_and_takes_its_sign_along(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    (first,) = signs(tmp_path)
    assert (first.kind, first.pid, state_of(first)) == ("trainer", child.pid, State.ALIVE)
    until(lambda: signs(tmp_path)[0].beat > first.beat)
    child.communicate(b"")
    assert signs(tmp_path) == []


def test_a_killed_process_leaves_its_sign_and_the_next_one_clears_it(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [state_of(sign) for sign in signs(tmp_path)] == [State.GONE]
    with Heartbeat(tmp_path, "control-plane"):
        assert [sign.kind for sign in signs(tmp_path)] == ["control-plane"]


def test_a_stopped_process_is_silent(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGSTOP)
    (sign,) = signs(tmp_path)
    assert state_of(sign, SystemClock().now() + 60 * SECOND) is State.SILENT
    child.send_signal(signal.SIGCONT)


def test_a_number_that_is_used_again_is_not_the_same_process(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, "trainer"):
        (mine,) = signs(tmp_path)
    if mine.started is None:
        pytest.skip("this system does not tell when a process started")
    assert mine.pid == os.getpid()
    assert state_of(msgspec.structs.replace(mine, started=mine.started - 3_600)) is State.GONE


def test_a_process_of_another_machine_is_believed_as_long_as_it_beats() -> None:
    now = SystemClock().now()
    there = Sign(kind="worker", name="", pid=1, host="elsewhere", version="0", started=None, beat=now)
    assert (state_of(there, now), state_of(there, now + 60 * SECOND)) == (State.ALIVE, State.UNKNOWN)


def test_a_detail_that_fails_is_no_beat_and_no_end(tmp_path: Path) -> None:
    calls: list[int] = []

    def detail() -> dict[str, int]:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("gone")
        return {"rows": 7}

    with Heartbeat(tmp_path, "worker", "gpu", detail=detail, every=0.01):
        until(lambda: len(calls) > 3)
        (sign,) = signs(tmp_path)
    assert sign.detail == {"rows": 7}


def test_a_place_that_cannot_be_written_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "home").write_text("a file, no folder")
    with Heartbeat(tmp_path / "home", "model-server"):
        assert "no sign of life" in caplog.text
    assert (tmp_path / "home").read_text() == "a file, no folder"


def test_a_file_that_is_no_sign_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "x.json").write_text("{")
    assert signs(tmp_path) == [] and clear_gone(tmp_path) == 0
