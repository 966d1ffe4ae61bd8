"""The real DVC and ours on one repository, in turn and at once; `PERENNE_DVC` names its executable."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

DVC = os.environ.get("PERENNE_DVC", "")
SCENARIOS = yaml.safe_load((Path(__file__).parent / "golden" / "scenarios.yaml").read_text("utf-8"))

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shutil.which(DVC or "-"), reason="PERENNE_DVC names no executable")]

Program = Callable[..., str]


@pytest.fixture
def programs(here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dict[str, Program]:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("PERENNE_HOME", str(tmp_path_factory.mktemp("home")))

    def run(command: list[str], code: int | None = 0) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return {
        "dvc": lambda *words, code=0: run([DVC, *words], code),
        "ours": lambda *words, code=0: run([sys.executable, "-m", "perenne", "dvc", *words], code),
    }


def prepare(step: dict[str, object]) -> None:
    written = step.get("write", {})
    assert isinstance(written, dict)
    for path, text in written.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    removed = step.get("remove", [])
    assert isinstance(removed, list)
    for path in removed:
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("first", ["ours", "dvc"])
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in ("failing", "kinds")])
def test_what_one_does_is_up_to_date_for_the_other(name: str, first: str, programs: dict[str, Program]) -> None:
    second = "dvc" if first == "ours" else "ours"
    for step in SCENARIOS[name]:
        prepare(step)
        if "repro" in step:
            programs[first]("repro", "-P")
            git("add", "-A")
            assert json.loads(programs[second]("status", "--json")) == {}
            programs[second]("repro", "-P")
            assert git("diff", "--stat") == ""
            assert git("status", "--short", "--untracked-files=all").count("??") == 0
            first, second = second, first


@pytest.mark.parametrize("first", ["ours", "dvc"])
def test_results_in_the_run_cache_are_shared(first: str, programs: dict[str, Program]) -> None:
    second = "dvc" if first == "ours" else "ours"
    Path("in").write_text("1\n")
    Path("dvc.yaml").write_text("stages:\n  a: {cmd: cat in > out && echo ran >> .git/ran, deps: [in], outs: [out]}\n")
    programs[first]("repro")
    Path("in").write_text("2\n")
    programs[second]("repro")
    Path("in").write_text("1\n")
    assert "is cached - skipping run" in programs[second]("repro")
    Path("in").write_text("2\n")
    assert "is cached - skipping run" in programs[first]("repro")
    assert Path(".git/ran").read_text() == "ran\nran\n"


def test_dvc_sees_that_a_stage_of_ours_runs(programs: dict[str, Program]) -> None:
    Path("dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: touch .git/mark; while [ ! -e .git/go ]; do sleep 0.02; done; echo a > a\n    outs: [a]\n"
    )
    ours = subprocess.Popen([sys.executable, "-m", "perenne", "dvc", "repro"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not Path(".git/mark").exists():
        assert ours.poll() is None
    said = subprocess.run([DVC, "repro"], capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "is busy, it is being blocked by" in said.stderr
    Path(".git/go").touch()
    assert ours.wait() == 0
    assert ours.stdout is not None
    ours.stdout.close()
    assert json.loads(programs["dvc"]("status", "--json")) == {}


def test_ours_waits_for_a_stage_of_dvc(programs: dict[str, Program]) -> None:
    Path("dvc.yaml").write_text(
        "stages:\n  a:\n    cmd: touch .git/mark; while [ ! -e .git/go ]; do sleep 0.02; done; echo a > a\n    outs: [a]\n"
    )
    theirs = subprocess.Popen([DVC, "repro"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not Path(".git/mark").exists():
        assert theirs.poll() is None
    ours = subprocess.Popen(
        [sys.executable, "-m", "perenne", "dvc", "repro"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert ours.stdout is not None
    said = ours.stdout.readline()
    assert f"waiting for process {theirs.pid}" in said
    Path(".git/go").touch()
    rest = ours.communicate()[0]
    assert (theirs.wait(), ours.returncode) == (0, 0)
    assert "Running stage" not in rest
