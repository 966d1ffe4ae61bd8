"""Killed, interrupted, two at once, blocked by another: what is there stays whole, and the next run finishes the work."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from perenne import data
from perenne.protocols.dvc.bringing import Outcome, Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.protocols.dvc.rwlock import Claimed
from perenne.protocols.dvc.status import status_of
from perenne.storage.workspace import Workspace

CHAIN = """
stages:
  one:
    cmd: echo 1 > one
    outs: [one]
  two:
    cmd: touch {mark}; while [ -e {hold} ]; do sleep 0.02; done; cat one > two
    deps: [one]
    outs: [two]
  three:
    cmd: cat two > three
    deps: [two]
    outs: [three]
"""


def bring(recorder: Workspace, *targets: str, jobs: int = 1, lines: list[str] | None = None, **wishes: Any) -> Outcome:
    said = lines if lines is not None else []
    return reproduce(
        data.versions.open_repository(),
        Selection(targets=list(targets)),
        Wishes(jobs=jobs, **wishes),
        lambda: recorder,
        said.append,
        output=sys.stderr,
    )


def states(outcome: Outcome) -> dict[str, str]:
    return {done.stage: done.state for done in outcome.done}


def changes() -> dict[str, Any]:
    return status_of(data.versions.open_repository())[0]


def started(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "perenne", "dvc", "repro", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


@pytest.fixture
def held(here: Path) -> tuple[Path, Path]:
    """A chain of stages whose second waits while a file is there; the file that it makes when it begins, and that one."""
    mark, hold = here / ".git" / "mark", here / ".git" / "hold"
    Path("dvc.yaml").write_text(CHAIN.format(mark=mark, hold=hold))
    hold.touch()
    return mark, hold


def test_a_killed_run_is_finished_by_the_next(held: tuple[Path, Path], recorder: Workspace) -> None:
    mark, hold = held
    process = started()
    wait_for(mark)
    process.send_signal(signal.SIGKILL)
    process.wait()
    noted = json.loads(Path(".dvc/tmp/rwlock").read_text())["write"]
    assert [os.path.basename(path) for path in noted] == ["two"]
    orphan = next(iter(noted.values()))["pid"]
    assert orphan != process.pid
    assert process.stdout is not None
    process.stdout.close()

    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if f"waiting for process {orphan}" in line:
            hold.unlink()  # only now may the command that lives on end

    outcome = reproduce(data.versions.open_repository(), Selection(), Wishes(), lambda: recorder, say, output=sys.stderr)
    assert any("waiting for process" in line for line in lines)
    assert states(outcome) == {"one": "unchanged", "two": "ran", "three": "ran"}
    assert changes() == {}
    assert Path("three").read_text() == "1\n"


@pytest.mark.parametrize(("number", "jobs"), [(signal.SIGINT, "1"), (signal.SIGTERM, "2")])
def test_an_interrupted_run_ends_what_it_began_and_keeps_what_was_done(
    held: tuple[Path, Path], recorder: Workspace, number: signal.Signals, jobs: str
) -> None:
    mark, hold = held
    process = started("--jobs", jobs)
    wait_for(mark)
    child = next(iter(json.loads(Path(".dvc/tmp/rwlock").read_text())["write"].values()))["pid"]
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert json.loads(Path(".dvc/tmp/rwlock").read_text() or "{}") == {}
    assert "one:" in Path("dvc.lock").read_text()
    assert "two:" not in Path("dvc.lock").read_text()
    hold.unlink()
    assert states(bring(recorder)) == {"one": "unchanged", "two": "ran", "three": "ran"}


def test_two_at_once_do_each_stage_once(held: tuple[Path, Path], recorder: Workspace) -> None:
    mark, hold = held
    first = started()
    wait_for(mark)
    second = started()
    assert second.stdout is not None
    for line in second.stdout:
        if "waiting for process" in line:
            break
    hold.unlink()
    said = first.communicate()[0] + second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert said.count("Running stage 'two'") == 1
    assert changes() == {}


def test_a_stage_that_fails_leaves_those_before_it_saved(here: Path, recorder: Workspace) -> None:
    Path("dvc.yaml").write_text(
        "stages:\n  a: {cmd: echo a > a, outs: [a]}\n  b: {cmd: exit 4, deps: [a], outs: [b]}\n"
        "  c: {cmd: cat b, deps: [b]}\n  d: {cmd: echo d > d, outs: [d]}\n"
    )
    outcome = bring(recorder)
    assert states(outcome) == {"a": "ran", "b": "failed", "c": "not run", "d": "not run"}
    assert outcome.failed == "b"
    assert "exited with 4" in str(outcome.failure)
    assert states(bring(recorder, keep_going=True)) == {"a": "unchanged", "b": "failed", "c": "not run", "d": "ran"}
    assert set(changes()) == {"b", "c"}


def test_branches_run_at_the_same_time(here: Path, recorder: Workspace) -> None:
    """Each of two stages waits for what the other does: one after the other they would never end."""
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  a: {cmd: 'touch .git/a; while [ ! -e .git/b ]; do sleep 0.01; done; echo said by a; echo a > a', outs: [a]}\n"
        "  b: {cmd: 'touch .git/b; while [ ! -e .git/a ]; do sleep 0.01; done; echo said by b; echo b > b', outs: [b]}\n"
    )
    with Path(".git/out").open("w+") as output:
        selection, wishes = Selection(), Wishes(jobs=2)
        outcome = reproduce(data.versions.open_repository(), selection, wishes, lambda: recorder, print, output=output)
    assert states(outcome) == {"a": "ran", "b": "ran"}
    lines = Path(".git/out").read_text().splitlines()
    assert {"a | said by a", "b | said by b"} <= set(lines)
    assert Path("dvc.lock").read_text().index("  a:") < Path("dvc.lock").read_text().index("  b:")


def test_the_lock_of_dvc_is_waited_for(here: Path, recorder: Workspace) -> None:
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: echo a > a, outs: [a]}\n")
    Path(".dvc/tmp").mkdir(exist_ok=True)
    with open(".dvc/tmp/lock", "w+") as lock:
        lock.write(f" {os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines: list[str] = []
        thread = threading.Thread(target=lambda: bring(recorder, lines=lines))
        thread.start()
        while not any("waiting for process" in line for line in lines):
            time.sleep(0.01)
        assert not Path("dvc.lock").exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        thread.join()
    assert f"waiting for process {os.getpid()}" in "\n".join(lines)
    assert changes() == {}


def test_what_others_note_is_kept_and_what_the_dead_noted_goes(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    other = {"pid": os.getppid(), "cmd": "dvc repro"}
    noted = {"write": {"/x": other, "/gone": {"pid": dead.pid, "cmd": "dvc"}}, "read": {"/y": [other]}}
    (tmp_path / "rwlock").write_text(json.dumps(noted))
    claimed = Claimed(tmp_path, ["/y", "/gone/f"], ["/z"])
    claimed.take()
    during = json.loads((tmp_path / "rwlock").read_text())
    assert during["write"].keys() == {"/x", "/z"}
    assert len(during["read"]["/y"]) == 2
    claimed.release()
    assert json.loads((tmp_path / "rwlock").read_text()) == {"write": {"/x": other}, "read": {"/y": [other]}}


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"write": 3}', '{"write": {"/a": 1}, "read": {"/a": [null]}}'])
def test_a_broken_file_of_locks_stops_nobody(tmp_path: Path, broken: str) -> None:
    (tmp_path / "rwlock").write_text(broken)
    claimed = Claimed(tmp_path, ["/a"], ["/b"])
    claimed.take()
    claimed.release()
