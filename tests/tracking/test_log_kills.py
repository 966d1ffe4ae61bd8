"""What was logged and acknowledged survives a killed process, sealed or not, once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ["sqlite", "postgresql"]


def run_trials(kind: str, folder: Path, postgres: PostgresServer, first: int, trials: int) -> tuple[int, int]:
    url = f"sqlite:///{folder}/trials.db" if kind == "sqlite" else postgres.database()
    command = [sys.executable, str(Path(__file__).with_name("log_trials.py")), url, str(first), str(trials)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    acknowledged, sealed = done.stdout.split()
    return int(acknowledged), int(sealed)


@pytest.mark.parametrize("kind", DATABASES)
def test_nothing_logged_is_lost_or_doubled_when_its_process_is_killed(
    kind: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    acknowledged, sealed = run_trials(kind, tmp_path, postgres, 0, 10)
    assert acknowledged > 0
    assert sealed > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("first", range(1_000, 1_300, 100))
def test_nothing_logged_is_lost_or_doubled_in_hundreds_of_kills(
    kind: str, first: int, tmp_path: Path, postgres: PostgresServer
) -> None:
    assert run_trials(kind, tmp_path, postgres, first, 100)[0] > 0
