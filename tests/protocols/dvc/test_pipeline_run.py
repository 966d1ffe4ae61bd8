"""`perenne pipeline run`: from the command line to pipeline runs, tracked runs and pages of plots."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perenne import data
from perenne.cli import main
from perenne.protocols.dvc.status import status_of

PIPELINE = """
stages:
  prep:
    cmd: cat in.txt > rows
    deps: [in.txt]
    outs: [rows]
  train:
    cmd: 'echo {\\"acc\\": ${lr}} > m.json && printf "e,loss\\n1,0.5\\n2,0.25\\n" > p.csv'
    deps: [rows]
    params: [lr]
    metrics:
    - m.json:
        cache: false
    plots:
    - p.csv:
        x: e
        y: loss
        title: Loss & more
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(here: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two stages; runs are recorded where those of the other tests are."""
    monkeypatch.setenv("PERENNE_HOME", str(home))
    Path("in.txt").write_text("a\n")
    Path("params.yaml").write_text("# how fast\nlr: 0.5  # half\n")
    Path("dvc.yaml").write_text(PIPELINE)
    return here


def ran(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capfd.readouterr()
    assert main([*arguments, "--json"]) == code
    return json.loads(capfd.readouterr().out)


def states(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["stage"]: row["state"] for row in rows}


def test_a_run_is_seen_where_runs_are_seen(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERENNE_HOME")
    assert states(ran(capfd, "pipeline", "run")) == {"prep": "ran", "train": "ran"}
    assert status_of(data.versions.open_repository())[0] == {}
    runs = ran(capfd, "pipeline", "list")
    assert [(run["pipeline"], run["state"], run["steps"]) for run in runs] == [("dvc.yaml", "done", 2)]
    steps = ran(capfd, "pipeline", "show", runs[0]["run"])
    assert [(step["step"], step["state"]) for step in steps] == [("prep", "done"), ("train", "done")]
    tracked = ran(capfd, "runs", "list")
    assert [(run["project"], run["state"], run["outcome"]) for run in tracked] == [(project.name, "finished", "2 ran")]
    shown = json.dumps(ran(capfd, "runs", "show", tracked[0]["run"]))
    assert '"acc"' in shown
    assert '"lr"' in shown
    git = subprocess.run(["git", "status", "--short"], capture_output=True, text=True, check=True).stdout
    assert ".perenne" not in git
    assert states(ran(capfd, "pipeline", "run")) == {"prep": "unchanged", "train": "unchanged"}
    assert len(ran(capfd, "pipeline", "list")) == 1


def test_without_a_change_nothing_heavy_is_imported(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran(capfd, "pipeline", "run")
    program = (
        "import sys; from perenne.cli import main; code = main(['pipeline', 'run', '--quiet']);"
        "heavy = {'sqlalchemy', 'numpy', 'pyarrow', 'duckdb', 'ruamel', 'perenne.pipelines.engine'} & set(sys.modules);"
        "sys.exit(code or repr(heavy) if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (0, "")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_parameters_are_set_and_comments_stay(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran(capfd, "pipeline", "run")
    assert states(ran(capfd, "pipeline", "run", "--set-param", "lr=0.7")) == {"prep": "unchanged", "train": "ran"}
    assert Path("params.yaml").read_text() == "# how fast\nlr: 0.7  # half\n"
    assert states(ran(capfd, "pipeline", "run", "train", "--set-param", "lr=0.5")) == {"prep": "unchanged", "train": "restored"}
    assert json.loads(Path("m.json").read_text()) == {"acc": 0.5}
    assert main(["pipeline", "run", "--set-param", "lr"]) == 1
    assert main(["pipeline", "run", "--set-param", "none.yaml:lr=1"]) == 3


def test_a_dry_run_does_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert states(ran(capfd, "pipeline", "run", "--dry")) == {"prep": "would run", "train": "would run"}
    assert sorted(path.name for path in project.iterdir() if not path.name.startswith(".")) == [
        "dvc.yaml",
        "in.txt",
        "params.yaml",
    ]


def test_another_file_and_single_stages(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    Path("sub/dvc.yaml").write_text("stages:\n  s: {cmd: cat ../rows > s, deps: [../rows], outs: [s]}\n")
    assert states(ran(capfd, "pipeline", "run", "--file", "sub/dvc.yaml")) == {"prep": "ran", "sub/dvc.yaml:s": "ran"}
    assert states(ran(capfd, "pipeline", "run", "s", "--file", "sub/dvc.yaml", "-s", "-f")) == {"sub/dvc.yaml:s": "ran"}
    assert set(states(ran(capfd, "pipeline", "run", "prep", "--downstream"))) == {"prep", "train", "sub/dvc.yaml:s"}


def test_what_goes_wrong_is_said(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pipeline", "run", "nope"]) == 3
    assert "Stage 'nope' not found inside 'dvc.yaml'" in capfd.readouterr().err
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: exit 3, outs: [a]}\n  b: {cmd: cat gone, deps: [gone], outs: [b]}\n")
    assert states(ran(capfd, "pipeline", "run", "--keep-going", code=1)) == {"a": "failed", "b": "failed"}
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: x, outs: [a]}\n  b: {cmd: y, outs: [a/b]}\n")
    assert main(["pipeline", "run"]) == 1
    assert "overlap" in capfd.readouterr().err
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: x, deps: [b], outs: [a]}\n  b: {cmd: y, deps: [a], outs: [b]}\n")
    assert main(["pipeline", "run"]) == 1
    assert "in a circle" in capfd.readouterr().err
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: x, outs: [o]}\n  b: {cmd: y, outs: [o]}\n")
    assert main(["pipeline", "run"]) == 1
    assert "output 'o' is specified in" in capfd.readouterr().err
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: x, deps: ['s3://bucket/k'], outs: [o]}\n")
    assert main(["pipeline", "run"]) == 1
    assert "depends on s3://bucket/k, which is not followed" in capfd.readouterr().err
    assert main(["dvc", "exp", "run", "--queue"]) != 0
    assert "perenne runs" in capfd.readouterr().err


def test_an_output_that_git_tracks_is_refused(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("rows").write_text("mine\n")
    subprocess.run(["git", "add", "rows"], check=True)
    assert states(ran(capfd, "pipeline", "run", "prep", code=1)) == {"prep": "failed"}
    assert not Path("dvc.lock").exists()


def page_of(*words: str) -> str:
    assert main(["dvc", "plots", *words, "-o", "page"]) == 0
    return Path("page/index.html").read_text()


def test_plots_are_one_page_that_loads_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran(capfd, "pipeline", "run")
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "one"], check=True)
    page = page_of("show")
    assert "Loss &amp; more" in page
    assert page.count("<polyline") == 1
    Path("p.csv").write_text("e,loss\n1,0.4\n2,0.1\n")
    page = page_of("diff")
    assert page.count("<polyline") == 2
    assert "HEAD · loss" in page
    assert "://" not in page
    assert main(["dvc", "plots", "show", "none.csv"]) != 0


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.tsv", "x\ty\n1\t2\n3\t4\n", "<polyline"),
        ("a.json", '[{"n": 1, "v": 2}, {"n": 2, "v": 3}]', "<polyline"),
        ("a.yaml", "rows:\n- {v: 1}\n- {v: 2}\n", "<polyline"),
        ("one.json", '[{"v": 2}]', "<circle"),
        ("words.csv", "name,n\nü<b>,1\nb,2\n", "ü&lt;b&gt;"),
        ("i.svg", "<svg/>", "data:image/svg+xml;base64,"),
        ("bad.json", '{"a": 1}', "no list of rows"),
        ("gone.csv", "", "no rows to draw"),
    ],
)
def test_many_kinds_of_files_are_drawn(here: Path, capfd: pytest.CaptureFixture[str], name: str, text: str, found: str) -> None:
    body = "x: name" if name == "words.csv" else ""
    Path("dvc.yaml").write_text(f"plots:\n- {name}: {{{body}}}\n")
    Path(name).write_text(text)
    assert found in page_of("show")


@pytest.mark.parametrize(
    "template", ["scatter", "bar_horizontal", "bar_horizontal_sorted", "confusion", "confusion_normalized", "simple"]
)
def test_every_template_draws(here: Path, capfd: pytest.CaptureFixture[str], template: str) -> None:
    Path("dvc.yaml").write_text(f"plots:\n- c.csv: {{x: a, y: b, template: {template}}}\n")
    Path("c.csv").write_text("a,b\n1,2\n2,2\n1,1\n")
    assert "<svg" in page_of("show")
