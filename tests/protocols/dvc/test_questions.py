"""What is said of metrics, parameters, stages and their graph is what DVC says: `golden/questions.json` holds its answers."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from perenne import data
from perenne.cli import main
from perenne.protocols.dvc.bringing import Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.storage.workspace import Workspace

FOLDER = Path(__file__).parent / "golden"
ASKED: dict[str, Any] = yaml.safe_load((FOLDER / "questions.yaml").read_text("utf-8"))
GOLDEN: dict[str, dict[str, Any]] = json.loads((FOLDER / "questions.json").read_text("utf-8"))


def write(files: dict[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def bring(recorder: Workspace) -> None:
    done = reproduce(
        data.versions.open_repository(), Selection(every=True), Wishes(), lambda: recorder, lambda line: None, output=sys.stderr
    )
    assert done.failure is None


@pytest.fixture
def asked(here: Path, recorder: Workspace) -> Path:
    """The repository with two commits and a change, as `record_questions.py` makes it."""
    git = data.versions.open_repository().git
    assert git is not None
    write(ASKED["first"])
    bring(recorder)
    git.run("add", "-A")
    git.run("commit", "-qm", "one")
    git.run("tag", "one")
    write({"params.yaml": ASKED["second"]["params.yaml"]})
    bring(recorder)
    write(ASKED["second"])
    git.run("add", "-A")
    git.run("commit", "-qm", "two")
    git.run("tag", "two")
    write({"m.json": '{"acc":0.875,"deep":{"loss":1.2,"n":4}}', "params.yaml": "lr: 0.2\ntrain: {depth: 4, seeds: [1]}\n"})
    os.unlink("x.e")
    return here


def plain(text: str) -> str:
    """Leave out what belongs into Git: DVC names the files in any order."""
    return text.partition("\nTo track the changes with git")[0].rstrip("\n")


def test_answers_are_those_of_dvc(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for question in ASKED["ask"]:
        expected = GOLDEN[question]
        capsys.readouterr()
        code = main(["dvc", *shlex.split(question)])
        out, error = capsys.readouterr()
        assert (code == 0) == (expected["code"] == 0), (question, error)
        if expected["code"] == 0 and "--json" in question:
            assert json.loads(out) == json.loads(expected["out"]), question
        elif expected["code"] == 0:
            assert plain(out) == plain(expected["out"]), question
        assert Path("dvc.yaml").read_text("utf-8") == expected["dvc.yaml"], question
        assert Path(".gitignore").read_text("utf-8") == expected[".gitignore"], question


def test_every_question_was_recorded() -> None:
    assert list(GOLDEN) == ASKED["ask"]
