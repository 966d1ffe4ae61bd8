"""Stages done by us leave what DVC leaves: the same bytes in every file, the same objects, the same answers.

`golden/scenarios.json` holds what the real DVC left behind after each step of `golden/scenarios.yaml`.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from perenne import data
from perenne.protocols.dvc.bringing import Selection, reproduce
from perenne.protocols.dvc.reproducing import Wishes
from perenne.protocols.dvc.status import status_of
from perenne.storage.workspace import Workspace

FOLDER = Path(__file__).parent / "golden"
SCENARIOS: dict[str, list[dict[str, Any]]] = yaml.safe_load((FOLDER / "scenarios.yaml").read_text("utf-8"))
GOLDEN: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "scenarios.json").read_text("utf-8"))


def prepare(step: dict[str, Any]) -> None:
    for path, text in step.get("write", {}).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    for path in step.get("remove", []):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def wishes_of(arguments: list[str], jobs: int) -> tuple[Selection, Wishes]:
    said = set(arguments)
    selection = Selection(
        targets=[word for word in arguments if not word.startswith("-")],
        downstream="--downstream" in said,
        single="--single-item" in said,
        every="-P" in said,
    )
    return selection, Wishes(
        force="--force" in said, run_cache="--no-run-cache" not in said, commit="--no-commit" not in said, jobs=jobs
    )


def repro(arguments: list[str], recorder: Workspace, jobs: int = 1) -> dict[str, Any]:
    printed = Path(".git/printed")
    with printed.open("w+") as output:

        def say(line: str) -> None:
            if not line.startswith("WARNING"):
                print(line, file=output, flush=True)

        outcome = reproduce(data.versions.open_repository(), *wishes_of(arguments, jobs), lambda: recorder, say, output=output)
    answer, _ = status_of(data.versions.open_repository())
    return {
        "code": 0 if outcome.failure is None else 255,
        "said": printed.read_text().strip("\n"),
        "status": answer,
        "files": files(),
    }


def files() -> dict[str, str]:
    found = {}
    for base, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if name not in (".git", "tmp"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(base, name))
            found[path] = "" if "/files/md5/" in path else Path(path).read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_left_is_what_dvc_leaves(name: str, here: Path, recorder: Workspace) -> None:
    expected = iter(GOLDEN[name])
    for number, step in enumerate(SCENARIOS[name]):
        prepare(step)
        if "repro" in step:
            got, wanted = repro(step["repro"], recorder), next(expected)
            if name == "failing":  # after a failure DVC takes the lines of stages that went well out of .gitignore again
                got["files"].pop(".gitignore")
                wanted["files"].pop(".gitignore", None)
            for key in ("code", "files", "status", "said"):
                assert got[key] == wanted[key], (number, step, key)


@pytest.mark.parametrize("name", ["many", "chain and params"])
def test_branches_at_the_same_time_leave_the_same(name: str, here: Path, recorder: Workspace) -> None:
    expected = iter(GOLDEN[name])
    for step in SCENARIOS[name]:
        prepare(step)
        if "repro" in step:
            got, wanted = repro(step["repro"], recorder, jobs=4), next(expected)
            assert got["files"] == wanted["files"], step
            assert got["status"] == wanted["status"], step


def test_every_scenario_was_recorded() -> None:
    assert {name: sum("repro" in step for step in steps) for name, steps in SCENARIOS.items()} == {
        name: len(answers) for name, answers in GOLDEN.items()
    }
