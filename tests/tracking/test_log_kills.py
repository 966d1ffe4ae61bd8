"""What was logged and acknowledged survives a killed process, a full disk and other processes, sealed or not, once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ["sqlite", "postgresql"]


def run_program(name: str, *arguments: str) -> list[int]:
    """Run a program of this folder, which may fork, and return the numbers it prints."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    return [int(word) for word in done.stdout.split()]


def database_of(kind: str, folder: Path, postgres: PostgresServer) -> str:
    return f"sqlite:///{folder}/logged.db" if kind == "sqlite" else postgres.database()


@pytest.mark.parametrize("kind", DATABASES)
def test_nothing_logged_is_lost_or_doubled_when_its_process_is_killed(
    kind: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    acknowledged, sealed = run_program("log_trials.py", database_of(kind, tmp_path, postgres), "0", "10")
    assert acknowledged > 0
    assert sealed > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("first", range(1_000, 1_300, 100))
def test_nothing_logged_is_lost_or_doubled_in_hundreds_of_kills(
    kind: str, first: int, tmp_path: Path, postgres: PostgresServer
) -> None:
    assert run_program("log_trials.py", database_of(kind, tmp_path, postgres), str(first), "100")[0] > 0


@pytest.mark.parametrize("kind", DATABASES)
def test_processes_that_log_to_one_run_at_once_lose_nothing(kind: str, tmp_path: Path, postgres: PostgresServer) -> None:
    points, refused, names = run_program("many_loggers.py", database_of(kind, tmp_path, postgres), "4", "12")
    assert (points, refused) == (4 * 12 * 21, 3 * 12), "of each parameter one value stands, and the three others heard so"
    assert names == 4 * 20 + 1 + 12 + 12 + 2


def test_a_full_disk_takes_nothing_that_was_logged(tmp_path: Path) -> None:
    assert run_program("full_disk.py", str(tmp_path)) == []
