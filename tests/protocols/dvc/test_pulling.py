"""`--pull`: what is missing comes from a remote, also what others have run."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from perenne import data
from perenne.cli import main
from perenne.protocols.dvc.status import status_of

PIPELINE = """
stages:
  one: {cmd: cat in.txt > one, deps: [in.txt], outs: [one]}
  two: {cmd: mkdir two && cp one two/x, deps: [one], outs: [two]}
"""


def bring(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capfd.readouterr()
    assert main(["dvc", "repro", *arguments]) == code
    return "".join(capfd.readouterr())


@pytest.fixture
def pushed(here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with its data in a remote, and an empty cache and workspace."""
    monkeypatch.setenv("PERENNE_HOME", str(tmp_path_factory.mktemp("home")))
    store = tmp_path_factory.mktemp("store")
    Path("in.txt").write_text("a\n")
    Path("dvc.yaml").write_text(PIPELINE)
    assert main(["dvc", "add", "in.txt"]) == 0
    assert main(["dvc", "remote", "add", "-d", "store", str(store)]) == 0
    assert main(["dvc", "repro"]) == 0
    assert main(["dvc", "push", "--run-cache"]) == 0
    shutil.rmtree(".dvc/cache")
    for path in ("in.txt", "one", "two"):
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    return here


def changes() -> dict[str, Any]:
    return status_of(data.versions.open_repository())[0]


def test_what_is_missing_is_brought(pushed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "missing data 'in.txt'" in bring(capfd, code=255)
    said = bring(capfd, "--pull")
    assert "Running stage" not in said
    assert changes() == {}
    assert Path("two/x").read_text() == "a\n"


def test_what_others_ran_is_not_run_again(pushed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("dvc.lock").unlink()
    said = bring(capfd, "--pull")
    assert "Running stage" not in said
    assert "Stage 'two' is cached" in said
    assert changes() == {}


def test_a_remote_that_is_not_there_is_said(pushed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dvc", "remote", "modify", "store", "url", "/nowhere/at/all"]) == 0
    assert "WARNING" in bring(capfd, "--pull", code=255)
