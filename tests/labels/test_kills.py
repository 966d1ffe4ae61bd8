"""The server is killed while people label: what it answered is there afterwards, and nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]


def run_kills(kind: str, folder: Path, postgres: PostgresServer, first: int, kills: int) -> int:
    url = f"sqlite:///{folder}/kills.db" if kind == "sqlite" else postgres.database()
    command = [sys.executable, str(Path(__file__).with_name("label_kills.py")), str(folder), url, str(first), str(kills)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    return int(done.stdout)


def test_a_label_that_was_answered_survives_the_servers_kill(tmp_path: Path, postgres: PostgresServer) -> None:
    assert run_kills("sqlite", tmp_path, postgres, 0, 1) > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_labels_survive_a_dozen_kills(kind: str, tmp_path: Path, postgres: PostgresServer) -> None:
    assert run_kills(kind, tmp_path, postgres, 100, 12) > 0
