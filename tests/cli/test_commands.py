"""The command line as a person types it: answers, errors, exit codes, JSON; every command in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv as csv
import pytest
from tests.training.conftest import table_of


def perenne(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "perenne", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def answer(folder: Path, *arguments: str) -> Any:
    done = perenne(folder, *arguments, "--json")
    assert done.returncode in (0, 6), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project written by `perenne init` and run once."""
    folder = tmp_path_factory.mktemp("lumps")
    csv.write_csv(table_of("breast_cancer"), folder / "lumps.csv")
    assert perenne(folder, "init", "--data", "lumps.csv", "--target", "target").returncode == 0
    assert perenne(folder, "run").returncode == 0
    return folder


def test_version_and_help(tmp_path: Path) -> None:
    import perenne as package

    assert package.__version__ in perenne(tmp_path, "--version").stdout
    shown = perenne(tmp_path, "--help").stdout
    assert all(word in shown for word in ("init", "run", "up", "demo", "why", "--json"))
    assert not (tmp_path / ".perenne").exists()


def test_init_proposes_what_it_measured_and_the_project_runs(folder: Path) -> None:
    text = (folder / "project.py").read_text()
    assert 'pn.Objective("roc_auc", at_least=' in text
    assert 'pn.Guardrail("roc_auc", at_least=' in text
    assert 'time="day"' in text
    versions = answer(folder, "model", "list")
    assert [(row["version"], row["alias"], row["gate"]) for row in versions] == [("lumps@1", "champion", "open")]


def test_init_names_the_figure_that_its_limit_stands_on(tmp_path: Path) -> None:
    csv.write_csv(table_of("breast_cancer"), tmp_path / "lumps.csv")
    found = answer(tmp_path, "init", "--data", "lumps.csv", "--target", "target")
    figures = re.fullmatch(r".+: roc_auc (\S+) on rows it had not seen, 95 % interval (\S+) to (\S+)", found["baseline"])
    limit = re.fullmatch(r"roc_auc ≥ (\S+)", found["objectives"][0])
    assert figures is not None and limit is not None
    value, low, high = map(float, figures.groups())
    assert float(limit[1]) <= low <= value <= high


def test_init_does_not_overwrite_and_says_how(folder: Path) -> None:
    before = (folder / "project.py").read_text()
    done = perenne(folder, "init", "--data", "lumps.csv", "--target", "target")
    assert done.returncode == 5
    assert "--force" in done.stderr
    assert (folder / "project.py").read_text() == before


def test_a_second_run_does_nothing_and_says_so(folder: Path) -> None:
    done = perenne(folder, "run")
    assert done.returncode == 0
    assert "nothing changed" in done.stderr
    assert len(answer(folder, "runs", "list")) == 1


def test_tables_are_tab_separated_in_a_pipe_and_json_on_request(folder: Path) -> None:
    rows = perenne(folder, "status").stdout.splitlines()
    assert rows[0].split("\t") == ["project", "stage", "state", "detail"]
    status = answer(folder, "status")
    assert {stage["stage"] for stage in status["stages"]} >= {"data", "train", "review", "serve", "monitor", "retrain"}


def test_a_run_and_a_version_can_be_shown(folder: Path) -> None:
    run = answer(folder, "runs", "list")[0]["run"]
    shown = answer(folder, "runs", "show", run)
    assert shown["metrics"]["roc_auc"] > 0.8
    found = answer(folder, "model", "show", "lumps@1")
    assert found["gate"]["state"] == "open"
    assert {item["verdict"] for item in found["evidence"]} == {"pass"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("runs", "show", "nothing"), 3, "error[run.not_found]"),
        (("model", "approve", "lumps@9"), 3, "error[model.not_found]"),
        (("why", "01ARZ3NDEKTSV4RRFFQ69G5FAV-0"), 3, "error[why.not_found]"),
        (("serve", "nobody"), 3, "error[deployment.not_found]"),
        (("policy", "trigger", "nobody", "--reason", "x"), 3, "error[project.not_found]"),
        (("init", "--data", "missing.csv", "--target", "x", "--force"), 3, "missing.csv"),
        (("init", "--data", "lumps.csv", "--target", "nothing", "--force"), 1, "nothing"),
        (("nonsense",), 2, "No such command"),
        (("model", "reject", "lumps@1"), 2, "--reason"),
    ],
)
def test_errors_name_the_thing_and_have_their_exit_code(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = perenne(folder, *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_json_too(folder: Path) -> None:
    done = perenne(folder, "runs", "show", "nothing", "--json")
    assert json.loads(done.stderr)["error_code"] == "run.not_found"


def test_the_doctor_finds_a_sound_installation_and_a_damaged_object(folder: Path) -> None:
    assert {finding["state"] for finding in answer(folder, "doctor", "--deep")} == {"ok"}
    victim = next(path for path in (folder / ".perenne" / "objects").glob("??/*"))
    kept = victim.read_bytes()
    victim.chmod(0o600)
    victim.write_bytes(kept[:-1] + b"?")
    done = perenne(folder, "doctor", "--deep")
    victim.write_bytes(kept)
    assert done.returncode == 6
    assert "damaged" in done.stdout


def test_the_audit_trail_can_be_listed_and_verified(folder: Path) -> None:
    actions = {record["action"] for record in answer(folder, "audit", "list")}
    assert {"version.register", "alias.move", "deployment.deployed"} <= actions
    assert perenne(folder, "audit", "verify").returncode == 0


def test_a_project_check_lists_what_is_missing(folder: Path) -> None:
    done = perenne(folder, "project", "check", "--json")
    assert done.returncode == 6
    assert "a plan" in [gap["missing"] for gap in json.loads(done.stdout)]
