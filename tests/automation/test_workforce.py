"""Workers as they run: jobs in child processes that are killed, cancelled, handed back; on every database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.automation.workers import Work, worked, workforce

from perenne.automation.workforce import Workforce
from perenne.core.clock import MINUTE, SECOND
from perenne.storage import jobs, steering
from perenne.storage.jobs import Job
from perenne.storage.owners import is_dead
from perenne.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
WORKERS = Path(__file__).with_name("workers.py")


@pytest.fixture(autouse=True)
def tables(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
    workspace.database.write(lambda tx: worked.create(tx.connection))


@pytest.fixture
def force(workspace: Workspace) -> Iterator[Workforce]:
    force = workforce(workspace)
    force.start()
    yield force
    force.hurry()
    assert force.join(60)


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def enqueue(workspace: Workspace, work: Work, *, attempts_allowed: int = 3, time_limit: int | None = None) -> str:
    return workspace.database.write(
        lambda tx: jobs.enqueue(tx, "work", work, attempts_allowed=attempts_allowed, time_limit=time_limit)
    )


def look(workspace: Workspace, identity: str) -> Job:
    with workspace.database.read() as tx:
        return steering.need_job(tx, identity)


def numbers(workspace: Workspace) -> list[int]:
    with workspace.database.read() as tx:
        return sorted(tx.execute(sa.select(worked.c.number)).scalars())


def ends(workspace: Workspace, identity: str, state: str = "done") -> Job:
    until(lambda: look(workspace, identity).state == state, f"the job is {state}")
    return look(workspace, identity)


def begun(note: Path) -> int:
    """Wait for a job to say which process does it."""
    until(lambda: note.exists() and note.read_text() != "", "the job begins")
    return int(note.read_text())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_jobs_are_done_in_processes_of_their_own_and_in_passing(workspace: Workspace, force: Workforce) -> None:
    heavy = enqueue(workspace, Work(1))
    quick = workspace.database.write(lambda tx: jobs.enqueue(tx, "quick", Work(2)))
    done = [ends(workspace, heavy), ends(workspace, quick)]
    assert numbers(workspace) == [1, 2]
    assert [job.message == f"process {os.getpid()}" for job in done] == [False, True]


def test_a_job_that_ignores_everything_is_killed_when_its_time_is_over(
    workspace: Workspace, force: Workforce, tmp_path: Path
) -> None:
    # The limit counts from when the job is taken, and on a busy machine its process takes seconds to begin.
    identity = enqueue(workspace, Work(1, 600, deaf=True, note=str(tmp_path / "pid")), time_limit=6 * SECOND, attempts_allowed=1)
    pid = begun(tmp_path / "pid")
    job = ends(workspace, identity, "failed")
    assert job.error == "took longer than its time limit of 6 s"
    assert not is_alive(pid)
    assert numbers(workspace) == []


def test_a_cancelled_job_is_asked_to_stop_and_its_process_is_gone(workspace: Workspace, force: Workforce, tmp_path: Path) -> None:
    identity = enqueue(workspace, Work(1, 600, note=str(tmp_path / "pid")))
    pid = begun(tmp_path / "pid")
    workspace.database.write(lambda tx: steering.cancel(tx, identity, "not needed"))
    assert ends(workspace, identity, "cancelled").error == "not needed"
    assert not is_alive(pid)


def test_a_job_whose_process_dies_is_tried_again_and_at_last_has_failed(workspace: Workspace, force: Workforce) -> None:
    identity = enqueue(workspace, Work(1, dies=True), attempts_allowed=2)
    until(lambda: look(workspace, identity).attempt == 1 and look(workspace, identity).state == "queued", "the first try fails")
    workspace.database.write(lambda tx: steering.retry(tx, identity))
    job = ends(workspace, identity, "failed")
    assert job.attempt == 2
    assert job.error is not None and "killed by signal 9" in job.error


def test_a_worker_that_learns_that_another_has_its_job_ends_its_process(
    workspace: Workspace, force: Workforce, tmp_path: Path
) -> None:
    identity = enqueue(workspace, Work(1, 600, note=str(tmp_path / "pid")))
    pid = begun(tmp_path / "pid")
    workspace.database.write(lambda tx: tx.execute(jobs.table.update().values(owner="another", lease=1 << 60)))
    force._renew()
    until(lambda: not is_alive(pid), "the process ends")
    assert look(workspace, identity).owner == "another"


def test_a_drained_worker_finishes_what_runs_and_takes_no_more(workspace: Workspace, force: Workforce, tmp_path: Path) -> None:
    running = enqueue(workspace, Work(1, 1, note=str(tmp_path / "pid")))
    begun(tmp_path / "pid")
    waiting = enqueue(workspace, Work(2))
    force.drain(60)
    assert force.join(60)
    assert (look(workspace, running).state, look(workspace, waiting).state) == ("done", "queued")
    assert numbers(workspace) == [1]


class Process:
    """A worker in a process of its own."""

    def __init__(self, workspace: Workspace, grace: float) -> None:
        settings = workspace.settings
        places = {"PERENNE_HOME": str(settings.home), "PERENNE_DATABASE": settings.database}
        command = [sys.executable, str(WORKERS), "work", str(grace)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **places})
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start(workspace: Workspace) -> Iterator[Callable[[float], Process]]:
    started: list[Process] = []

    def begin(grace: float) -> Process:
        started.append(Process(workspace, grace))
        return started[-1]

    yield begin
    for process in started:
        process.end()


def test_told_to_end_it_gives_back_what_does_not_end_in_time_for_others_to_take_at_once(
    workspace: Workspace, start: Callable[[float], Process], tmp_path: Path
) -> None:
    identity = enqueue(workspace, Work(1, 600, note=str(tmp_path / "pid")), attempts_allowed=1)
    worker = start(0.2)
    pid = begun(tmp_path / "pid")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0
    assert not is_alive(pid)
    assert look(workspace, identity).state == "queued"
    again = workspace.database.write(partial(jobs.claim, owner="b", kinds=["work"]))
    assert again is not None and again.id == identity


def test_killed_its_jobs_end_with_it_and_are_taken_over_long_before_the_lease_ends(
    workspace: Workspace, start: Callable[[float], Process], tmp_path: Path
) -> None:
    identity = enqueue(workspace, Work(1, 600, note=str(tmp_path / "pid")))
    first = start(60)
    pid = begun(tmp_path / "pid")
    owner = look(workspace, identity).owner
    first.process.kill()
    first.process.wait(60)
    assert owner is not None and is_dead(owner)
    until(lambda: not is_alive(pid), "the child ends with its parent")
    lease = look(workspace, identity).lease
    force = workforce(workspace)
    force.start()
    try:
        until(lambda: look(workspace, identity).attempt == 2, "another takes the job over")
        started = look(workspace, identity).started
        assert lease is not None and started is not None and started < lease, "the lease had not run out"
    finally:
        force.hurry()
        assert force.join(60)
    assert lease - started < MINUTE
