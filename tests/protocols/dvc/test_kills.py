"""Killed at any step, a run leaves every file whole; after the next run all is as if nothing had happened."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perenne import data
from perenne.formats.dvc.locks import read_lock
from perenne.protocols.dvc.bringing import Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.storage.workspace import Workspace

PIPELINE = """
stages:
  a:
    cmd: mkdir a && echo 1 > a/1 && echo 2 > a/2
    deps: [in]
    outs: [a]
  b:
    cmd: cat a/* > b
    deps: [a]
    outs: [b]
  c:
    foreach: [x, y]
    do:
      cmd: echo ${item} > c.${item}
      deps: [b]
      outs: ['c.${item}']
"""


def run_killed(home: Path, steps: int) -> "subprocess.CompletedProcess[str]":
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root / "src"), str(root), *sys.path])
    command = [sys.executable, str(Path(__file__).with_name("killed_repro.py")), str(home), str(steps)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


def files() -> dict[str, bytes]:
    found = {}
    for base, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name not in (".git", "tmp"))
        for name in names:
            path = os.path.join(base, name)
            found[os.path.relpath(path)] = b"" if "/runs/" in path else Path(path).read_bytes()
    return found


def prepared() -> None:
    for name in os.listdir("."):
        if name not in (".git", ".dvc", ".dvcignore"):
            shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
    shutil.rmtree(".dvc/cache", ignore_errors=True)
    Path("in").write_text("in\n")
    Path("dvc.yaml").write_text(PIPELINE)


def survive(points: int, home: Path, recorder: Workspace, seed: int) -> None:
    prepared()
    undisturbed = run_killed(home, 0)
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected, total = files(), int(undisturbed.stdout)
    chosen = random.Random(seed)
    for _ in range(points):
        prepared()
        steps = chosen.randrange(1, total)
        assert run_killed(home, steps).returncode == -9
        lock = Path("dvc.lock")
        saved = set(read_lock(lock.read_bytes()).stages) if lock.exists() else set()
        outcome = reproduce(
            data.versions.open_repository(), Selection(), Wishes(), lambda: recorder, lambda line: None, output=sys.stderr
        )
        assert outcome.failure is None
        assert {done.stage for done in outcome.done if done.state == "unchanged"} >= saved, steps
        assert files() == expected, steps


def test_killed_at_some_steps(here: Path, tmp_path_factory: pytest.TempPathFactory, recorder: Workspace) -> None:
    survive(3, tmp_path_factory.mktemp("home"), recorder, 1)


@pytest.mark.long
def test_killed_at_many_steps(here: Path, tmp_path_factory: pytest.TempPathFactory, recorder: Workspace) -> None:
    survive(60, tmp_path_factory.mktemp("home"), recorder, 2)
