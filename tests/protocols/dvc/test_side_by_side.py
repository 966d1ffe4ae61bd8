"""`perenne dvc` beside the real DVC: the same answers, exit codes, metafiles, objects and modes, step by step."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.protocols.dvc.side_by_side import ALL, GOLDEN, Run, by_executable, play

from perenne.protocols.dvc.command_line.entry import run

RECORDED: dict[str, list[dict[str, Any]]] = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in ALL}
REAL = os.environ.get("PERENNE_DVC") or shutil.which("dvc")


def in_this_process(capsys: pytest.CaptureFixture[str]) -> Run:
    def called(arguments: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = run(arguments)
        return code, capsys.readouterr().out

    return called


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, os.fspath(tmp_path / "none"))
    return root


@pytest.mark.parametrize("name", ALL)
def test_every_step_answers_and_leaves_what_dvc_does(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ours, theirs in zip(play(in_this_process(capsys), project, ALL[name]), RECORDED[name], strict=True):
        assert ours == theirs, ours["step"]


@pytest.mark.long
@pytest.mark.skipif(REAL is None, reason="the real dvc is not here; PERENNE_DVC names it")
@pytest.mark.parametrize("name", ALL)
def test_what_was_recorded_is_what_dvc_does(name: str, project: Path, tmp_path: Path) -> None:
    assert play(by_executable(REAL or "", project, tmp_path / "site"), project, ALL[name]) == RECORDED[name]


@pytest.mark.long
@pytest.mark.skipif(REAL is None, reason="the real dvc is not here; PERENNE_DVC names it")
@pytest.mark.parametrize("first", [0, 1])
def test_taking_turns_leaves_what_one_alone_does(
    first: int, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = in_this_process(capsys), by_executable(REAL or "", project, tmp_path / "site")
    turns = [ours, theirs] if first == 0 else [theirs, ours]
    count = 0

    def in_turns(arguments: list[str]) -> tuple[int, str]:
        nonlocal count
        count += 1
        return turns[count % 2](arguments)

    for seen, expected in zip(play(in_turns, project, ALL["working"]), RECORDED["working"], strict=True):
        assert seen == expected, seen["step"]
