"""`perenne worker` as a process: a round without the project's folder, and one that is cancelled in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.automation.conftest import PROJECT, do_round
from tests.training.conftest import table_of

from perenne import tracking
from perenne.app import operations
from perenne.app.wiring import Platform
from perenne.auth.principals import Principal, local_principal
from perenne.automation import ROUND_JOB, Episode, EpisodeState, list_episodes
from perenne.automation.triggering import trigger_by_hand
from perenne.core.clock import ManualClock, parse_time
from perenne.projects import get_project
from perenne.storage import jobs
from perenne.storage.jobs import Job
from perenne.storage.trees import get_tree
from perenne.storage.workspace import Workspace

SOURCE = Path("src").resolve()
SLOW = """
    import os, time
    if Path(__file__).with_name("slow").exists():
        Path(__file__).with_name("pid").write_text(str(os.getpid()))
        time.sleep(600)
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_time("2021-12-01"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import pyarrow.csv as csv

    folder = tmp_path / "lumps"
    folder.mkdir()
    (folder / "project.py").write_text(PROJECT)
    csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")
    return folder


def until(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"{what}: the worker ended"
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture
def worker(workspace: Workspace, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with a home of its own, as on another machine: it knows the database and the objects, and nothing else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    settings = workspace.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERENNE_")}
    environment |= {"PERENNE_DATABASE": settings.database, "PERENNE_OBJECTS": settings.objects, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "perenne", "worker", "--kinds", ROUND_JOB, "--grace", "0s"]
    process = subprocess.Popen(command, cwd=elsewhere, env=environment)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(60)


def round_job(workspace: Workspace) -> Job:
    with workspace.database.read() as tx:
        return jobs.jobs(tx, kind=ROUND_JOB)[0]


def episode(workspace: Workspace) -> Episode:
    with workspace.database.read() as tx:
        return list_episodes(tx)[0]


def ask_for_a_round(workspace: Workspace) -> Platform:
    """Have the loop queue a round of the project that is in service."""
    platform = Platform(workspace)
    platform.loop.settle()
    workspace.database.write(lambda tx: trigger_by_hand(tx, local_principal(), "lumps", "to see", workspace.clock.now()))
    platform.loop.settle()
    assert episode(workspace).state is EpisodeState.BUDGET_OK
    return platform


@pytest.mark.parametrize("workspace", ["postgresql"], indirect=True)
def test_a_worker_without_the_projects_folder_runs_what_was_recorded(
    workspace: Workspace, actor: Principal, folder: Path, worker: subprocess.Popen[bytes]
) -> None:
    (folder / ".env").write_text("PASSWORD=secret")
    do_round(workspace, actor, folder)
    folder.rename(folder.with_name("elsewhere entirely"))
    ask_for_a_round(workspace)
    until(lambda: round_job(workspace).state == "done", "the round is done", worker)
    assert episode(workspace).state is EpisodeState.REJECTED
    assert episode(workspace).note == "the same data, code and parameters made the champion again"
    with workspace.database.read() as tx:
        assert get_project(tx, "lumps").folder == str(folder), "where it was run is no new home"
    bundled = {file.path for file in get_tree(workspace.objects, bundle_of(workspace)).files}
    assert bundled == {"project.py", "samples.csv"}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0


def bundle_of(workspace: Workspace) -> str:
    with workspace.database.read() as tx:
        found = get_project(tx, "lumps").bundle
    assert found is not None
    return found


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_a_round_that_is_cancelled_ends_with_its_process_and_its_episode(
    workspace: Workspace, actor: Principal, folder: Path, worker: subprocess.Popen[bytes]
) -> None:
    project, data = folder / "project.py", folder / "samples.csv"
    project.write_text(project.read_text().replace("    from sklearn.impute", SLOW + "    from sklearn.impute"))
    do_round(workspace, actor, folder)
    data.write_text("".join(data.read_text().splitlines(keepends=True)[:-1]))
    (folder / "slow").touch()
    platform = ask_for_a_round(workspace)
    until((folder / "pid").exists, "the fit begins", worker)
    job = round_job(workspace)
    assert (job.state, job.share is not None and 0 < job.share < 1) == ("running", True)
    workspace.database.write(lambda tx: operations.cancel_job(tx, actor, job.id, "too dear"))
    until(lambda: round_job(workspace).state == "cancelled", "the round is cancelled", worker)
    pid = int((folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    platform.loop.settle()
    assert episode(workspace).state is EpisodeState.FAILED
    assert "cancelled by ada: too dear" in episode(workspace).note
    with workspace.database.read() as tx:
        assert [run.state.value for run in tracking.service.runs(tx)] == ["failed", "finished"]
