"""What was acknowledged survives a killed process, and several processes that write at once leave one unbroken trail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


def run_program(name: str, *arguments: str) -> str:
    """Run a program of this folder, which may fork: it has no threads of pytest's."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


def test_nothing_acknowledged_is_lost_when_a_writer_is_killed(tmp_path: Path) -> None:
    acknowledged = run_program("crash_trials.py", str(tmp_path), "0", "20")
    assert int(acknowledged) > 0


def test_nothing_acknowledged_is_lost_on_postgres_when_a_writer_is_killed(tmp_path: Path, postgres: PostgresServer) -> None:
    assert int(run_program("crash_trials.py", str(tmp_path), "0", "20", postgres.database())) > 0


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_500, 100))
def test_nothing_acknowledged_is_lost_in_hundreds_of_kills(tmp_path: Path, first: int) -> None:
    assert int(run_program("crash_trials.py", str(tmp_path), str(first), "100")) > 0


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_500, 100))
def test_nothing_acknowledged_is_lost_on_postgres_in_hundreds_of_kills(
    tmp_path: Path, first: int, postgres: PostgresServer
) -> None:
    assert int(run_program("crash_trials.py", str(tmp_path), str(first), "100", postgres.database())) > 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_open_a_new_database_and_write_at_once_leave_one_unbroken_trail(
    tmp_path: Path, kind: str, postgres: PostgresServer
) -> None:
    url = f"sqlite:///{tmp_path}/many.db" if kind == "sqlite" else postgres.database()
    assert run_program("many_writers.py", url, "6", "30").split() == ["180", "180"]


@pytest.mark.waits
def test_a_database_server_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    assert int(run_program("server_kills.py", str(tmp_path), "0", "8")) > 0


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_500, 100))
def test_a_database_server_that_is_killed_hundreds_of_times(tmp_path: Path, first: int) -> None:
    assert int(run_program("server_kills.py", str(tmp_path), str(first), "100")) > 0


def test_no_object_acknowledged_is_lost_and_none_is_half_there_when_a_process_that_fills_a_bucket_is_killed(s3: str) -> None:
    assert int(run_program("bucket_trials.py", s3, "0", "20")) > 0


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 1_500, 100))
def test_no_object_is_lost_or_half_there_in_hundreds_of_kills(s3: str, first: int) -> None:
    assert int(run_program("bucket_trials.py", s3, str(first), "100")) > 0
