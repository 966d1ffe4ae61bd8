"""`perenne runs`, `perenne experiments` and `perenne gc`, as they are typed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import perenne
from perenne.cli.root import invoke
from perenne.storage.workspace import Workspace
from perenne.tracking import comparing, service, store
from perenne.tracking.client import session
from perenne.tracking.comparing import Line

Said = tuple[int, Any]


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PERENNE_URL", "MLFLOW_TRACKING_URI", "PERENNE_EXPERIMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERENNE_HOME", str(settings.home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> Said:
    """Type a command; return its exit code and what it answers, as JSON, or the code of its error."""
    capsys.readouterr()
    code = invoke([*words, "--json"])
    said = capsys.readouterr()
    try:
        return code, json.loads(said.out or said.err)
    except ValueError:
        return code, said.out.strip()


def logged(name: str, **more: Any) -> str:
    with perenne.start_run(name, experiment="churn", code=False, params=more.get("params")) as run:
        run.log_metrics(more.get("metrics", {}))
        run.set_tags(more.get("tags", {}))
    session.close()
    return run.id


def test_runs_are_listed_by_condition_order_and_column(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    low = logged("low", params={"depth": 3}, metrics={"auc": 0.6}, tags={"owner": "ada"})
    high = logged("high", params={"depth": 12}, metrics={"auc": 0.9})
    code, rows = typed(capsys, "runs", "list", "--order", "metrics.auc ASC", "--columns", "metrics.auc,params.depth,tags.owner")
    assert (code, [row["run"] for row in rows]) == (0, [low, high])
    assert [(row["metrics.auc"], row["params.depth"], row["tags.owner"]) for row in rows] == [
        (0.6, "3", "ada"),
        (0.9, "12", None),
    ]
    for condition, found in (
        ("metrics.auc > 0.7", [high]),
        ("params.depth < 5 OR metrics.auc > 2", [low]),
        ("tags.owner = 'ada' AND metrics.auc > 0.7", []),
    ):
        assert [row["run"] for row in typed(capsys, "runs", "list", "--filter", condition)[1]] == found
    assert typed(capsys, "runs", "list", "--experiment", "churn", "--project", "churn")[0] == 0
    assert typed(capsys, "runs", "list", "--experiment", "nothing")[1]["error_code"] == "experiment.not_found"
    assert typed(capsys, "runs", "list", "--columns", "auc")[1]["error_code"] == "runs.column"
    code, said = typed(capsys, "runs", "list", "--filter", "metrics.auc >")
    assert (code, "error_code" in said) == (1, True)


def test_runs_are_compared_and_told_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = logged("one", params={"depth": 3, "rate": 0.1}, metrics={"auc": 0.6})
    two = logged("two", params={"depth": 4, "rate": 0.1}, metrics={"auc": 0.6, "f1": 0.5})
    _, rows = typed(capsys, "runs", "compare", one, two)
    assert {"what": "parameter", "name": "rate", one[-8:]: "0.1", two[-8:]: "0.1"} in rows
    _, rows = typed(capsys, "runs", "diff", one, two)
    assert [(row["what"], row["name"], row[one[-8:]], row[two[-8:]]) for row in rows] == [
        ("parameter", "depth", "3", "4"),
        ("metric", "f1", None, 0.5),
    ]
    assert typed(capsys, "runs", "diff", one, "nothing") == (
        3,
        {
            "error_code": "run.not_found",
            "message": "run 'nothing' does not exist",
            "hint": "`perenne runs list` shows those that do",
        },
    )


def test_a_run_is_noted_commented_deleted_restored_and_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = logged("one", metrics={"auc": 0.6})
    assert typed(capsys, "runs", "note", run, "**good**")[0] == 0
    assert typed(capsys, "runs", "comment", run, "the dip is the new batch")[0] == 0
    _, shown = typed(capsys, "runs", "show", run)
    assert (shown["tags"]["mlflow.note.content"], shown["comments"][0]["text"]) == ("**good**", "the dip is the new batch")
    assert typed(capsys, "runs", "delete", run)[0] == 0
    assert typed(capsys, "runs", "list")[1] == []
    assert [row["run"] for row in typed(capsys, "runs", "list", "--deleted")[1]] == [run]
    assert typed(capsys, "gc")[1]["runs"] == []
    assert typed(capsys, "gc", "--dry-run", "--older-than", "0s")[1]["runs"] == [run]
    assert typed(capsys, "runs", "restore", run)[0] == 0
    assert typed(capsys, "runs", "delete", "--permanently", run)[1][0]["is"] == "removed"
    assert typed(capsys, "runs", "show", run)[0] == 3


def test_experiments_are_made_renamed_deleted_and_collected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(capsys, "experiments", "create", "old")[1]["name"] == "old"
    assert typed(capsys, "experiments", "create", "old")[0] == 5
    assert typed(capsys, "experiments", "rename", "old", "older")[1]["name"] == "older"
    assert typed(capsys, "experiments", "show", "older")[1]["project"] == "old"
    assert typed(capsys, "experiments", "delete", "older")[0] == 0
    assert [row["experiment"] for row in typed(capsys, "experiments", "list")[1]] == ["Default"]
    assert typed(capsys, "experiments", "restore", "older")[0] == 0
    assert [row["experiment"] for row in typed(capsys, "experiments", "list", "--filter", "name LIKE 'old%'")[1]] == ["older"]
    assert typed(capsys, "experiments", "delete", "older")[0] == 0
    assert typed(capsys, "gc", "--older-than", "0s", "--experiment", "older")[1]["experiments"] == ["1"]
    assert typed(capsys, "experiments", "show", "older")[0] == 3
    assert typed(capsys, "gc", "--older-than", "soon")[0] == 1


SCRIPT = """
import json, pathlib
import perenne

data = pathlib.Path("rows.json")
with perenne.start_run("study", experiment="churn", params={"depth": 3}, data=[data]) as run:
    run.log_metrics({"mean": sum(json.loads(data.read_text())) / 3, "fit_seconds": __import__("time").time()})
"""


def script(folder: Path, text: str = SCRIPT, *arguments: str) -> None:
    (folder / "study.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "study.py", *arguments], cwd=folder, env=environment, check=True)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_run_is_made_again(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    project = folder / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    git(project, "init", "-q")
    (project / "study.py").write_text("# first\n")
    (project / ".gitignore").write_text("rows.json\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    (project / "rows.json").write_text("[1, 2, 6]")
    script(project)  # with a change that is in no commit
    (project / "study.py").write_text("raise SystemExit('another program')\n")
    run = typed(capsys, "runs", "list")[1][0]["run"]
    code, said = typed(capsys, "runs", "reproduce", run, "--folder", str(folder / "again"))
    assert (code, said["verdict"], said["compared"], said["metrics"]) == (0, "same", 1, [])
    assert said["borrowed"] == ["rows.json"]
    again = typed(capsys, "runs", "show", said["again"])[1]
    assert again["tags"]["perenne.reproduces"] == run
    (project / "rows.json").write_text("[1, 2, 7]")
    code, said = typed(capsys, "runs", "reproduce", run)
    assert (code, said["verdict"], said["metrics"]) == (6, "differs", [{"name": "mean", "before": 3.0, "now": 10 / 3}])


def test_what_cannot_be_made_again_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = logged("by hand")
    assert typed(capsys, "runs", "reproduce", run)[1]["error_code"] == "reproduce.command"
    script(folder, SCRIPT.replace("data=[data]", "").replace("json.loads(data.read_text())", "[1, 2, 3]"))
    run = typed(capsys, "runs", "list")[1][0]["run"]
    with Workspace() as workspace:
        listed = b"numpy==0.0.1\nnot-installed==3\n"
        other = workspace.objects.put(listed)

        def change(tx: Any) -> None:
            kept = service.get_run(tx, run).provenance
            store.update(tx, run, provenance=msgspec.structs.replace(kept, environment=other))

        workspace.database.write(change)
    code, said = typed(capsys, "runs", "reproduce", run)
    assert (code, said["error_code"]) == (5, "reproduce.environment")
    assert "numpy 0.0.1 then" in said["message"]


def test_what_a_killed_program_left_is_delivered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
import os, signal
import perenne

run = perenne.start_run("doomed", experiment="churn", code=False)
run.log_metric("loss", 0.5, 7)
os.kill(os.getpid(), signal.SIGKILL)
"""
    (folder / "doomed.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PERENNE_URL": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "doomed.py"], cwd=folder, env=environment, check=False)
    code, said = typed(capsys, "runs", "flush", "--seconds", "0")
    assert (code, said["found"], said["left"]) == (6, 1, 1)
    assert "cannot be reached" in said["reason"]


def test_only_what_differs_is_a_difference() -> None:
    assert Line("parameter", "depth", ("3", "3")).differs is False
    assert Line("parameter", "depth", ("3", None)).differs
    assert comparing.packages_in("") == {}
