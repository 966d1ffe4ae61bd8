"""The server is killed under clients that send spans: whatever it answered is there afterwards, and nothing twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[3]


def run_kills(kind: str, folder: Path, postgres: PostgresServer, first: int, kills: int) -> int:
    url = f"sqlite:///{folder}/kills.db" if kind == "sqlite" else postgres.database()
    command = [sys.executable, str(Path(__file__).with_name("span_kills.py")), str(folder), url, str(first), str(kills)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1_800, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    return int(done.stdout)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_spans_that_were_taken_survive_a_kill(kind: str, tmp_path: Path, postgres: PostgresServer) -> None:
    assert run_kills(kind, tmp_path, postgres, 0, 2) > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_spans_that_were_taken_survive_dozens_of_kills(kind: str, tmp_path: Path, postgres: PostgresServer) -> None:
    assert run_kills(kind, tmp_path, postgres, 100, 30) > 0
