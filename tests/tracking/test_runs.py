"""Runs and what they remember of code, environment and machine."""

import os
import subprocess
from pathlib import Path

import pytest

from perenne import tracking
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import NotFound
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_from
from perenne.storage.owners import owner_token
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, store
from perenne.tracking.model import RunState
from perenne.tracking.service import capture, end_run, get_run, runs, start_run


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "project.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_commit_has_no_patch(repository: Path, workspace: Workspace) -> None:
    found = capture(workspace.objects, repository, seed=7)
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert (found.patch, found.untracked, found.dirty, found.seed) == ("", {}, False, 7)


def test_uncommitted_changes_are_kept_and_make_the_code_again(repository: Path, workspace: Workspace, tmp_path: Path) -> None:
    (repository / "project.py").write_text("x = 2\n")
    (repository / "new.py").write_text("y = 3\n")
    (repository / ".env").write_text("TOKEN=secret\n")
    (repository / "large.bin").write_bytes(b"0" * (1 << 21))
    found = capture(workspace.objects, repository, seed=0)
    assert found.dirty
    assert set(found.left_out) == {".env", "large.bin"}
    assert workspace.objects.get(found.untracked["new.py"]) == b"y = 3\n"
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(repository), str(copy))
    (tmp_path / "patch").write_bytes(workspace.objects.get(found.patch))
    git(copy, "apply", str(tmp_path / "patch"))
    assert (copy / "project.py").read_text() == "x = 2\n"


def test_without_git_the_sources_are_kept_all_the_same(tmp_path: Path, workspace: Workspace) -> None:
    folder = tmp_path / "plain"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg" / "a.py").write_text("a = 1\n")
    found = capture(workspace.objects, folder, seed=0)
    assert found.commit == ""
    assert workspace.objects.get(found.source["pkg/a.py"]) == b"a = 1\n"
    assert "numpy==" in workspace.objects.get(found.environment).decode()


def test_a_run_from_start_to_end(workspace: Workspace, actor: Principal) -> None:
    database = workspace.database
    run = database.write(
        lambda tx: start_run(tx, actor, project="p", kind="round", parameters={"a": 1}, provenance=Provenance(commit="c"))
    )
    database.write(
        lambda tx: end_run(
            tx, actor, run.id, state=RunState.FINISHED, outcome="good", metrics={"auc": 0.7, "x": None}, data=["d" * 64]
        )
    )
    with database.read() as tx:
        found = get_run(tx, run.id)
        assert (found.state, found.metrics, found.outcome) == (RunState.FINISHED, {"auc": 0.7, "x": None}, "good")
        assert found.state is RunState.FINISHED  # and not a text that equals it
        assert found.ended is not None
        assert [link.target for link in links_from(tx, Kind.RUN, run.id) if link.relation == "used"] == ["d" * 64]
        assert [record.action for record in audit.trail(tx, entity="run")] == ["run.finished", "run.start"]
        assert [item.id for item in runs(tx, "p")] == [run.id]
        assert runs(tx, "other") == []
        with pytest.raises(NotFound):
            get_run(tx, "nothing")


def test_a_run_whose_process_died_is_closed_and_no_other(workspace: Workspace, actor: Principal) -> None:
    database = workspace.database

    def start(owner: str | None, lease: int = 0) -> str:
        def work(tx: Transaction) -> str:
            run = start_run(tx, actor, project="p", kind="round", parameters={}, provenance=tracking.Provenance())
            if owner is not None:
                tracking.service.hold_run(tx, run.id, owner)
                if lease:
                    store.hold(tx, run.id, owner, lease)
            return run.id

        return database.write(work)

    ours, dead = owner_token(), owner_token().replace(f"|{os.getpid()}|", "|999999999|")
    elsewhere = "otherhost|1|1|box/x"
    alive, held_elsewhere, foreign = start(ours), start(elsewhere), start(None)
    lost = {start(dead), start(elsewhere, lease=1)}
    ended = start(dead)
    database.write(lambda tx: tracking.service.end_run(tx, actor, ended, state=RunState.FINISHED, outcome="done"))
    assert tracking.service.close_lost_runs(database) == 2
    assert tracking.service.close_lost_runs(database) == 0
    with database.read() as tx:
        states = {run.id: (run.state, run.outcome) for run in tracking.service.runs(tx)}
        assert {identity for identity, found in states.items() if found == (RunState.FAILED, "its process was lost")} == lost
        assert {states[identity][0] for identity in (alive, held_elsewhere, foreign)} == {RunState.RUNNING}
        assert states[ended] == (RunState.FINISHED, "done")
        closed = [record.entity_id for record in audit.trail(tx, entity="run") if record.action == "run.failed"]
    assert set(closed) == lost
