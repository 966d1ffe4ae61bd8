"""Every job has its effect exactly once, whoever is killed when, on every database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def play(folder: Path, url: str, first: int, kills: int) -> None:
    """Run the program, which may fork: it has no threads of pytest's."""
    program = str(Path(__file__).with_name("worker_crashes.py"))
    command = [sys.executable, program, str(folder), str(first), str(kills), url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3_000, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    print(done.stdout)
    assert int(done.stdout.split()[0]) >= kills


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/crash.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.mark.waits
def test_every_job_has_its_effect_exactly_once_when_workers_are_killed(tmp_path: Path, url: str) -> None:
    play(tmp_path, url, 0, 20)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_500, 100))
def test_every_job_has_its_effect_exactly_once_in_hundreds_of_kills(tmp_path: Path, url: str, first: int) -> None:
    play(tmp_path, url, first, 100)
