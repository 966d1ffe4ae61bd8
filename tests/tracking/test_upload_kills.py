"""A server that is killed under uploads: nothing acknowledged is lost, nothing is there by half."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def play(folder: Path, first: int, kills: int, database: str = "") -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERENNE_")}
    environment |= {"PERENNE_DATABASE": database} if database else {}
    program = [sys.executable, "-m", "tests.tracking.upload_kills", str(folder), str(free_port()), str(first), str(kills)]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return int(done.stdout)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_uploads_survive_a_kill_or_never_were(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    assert play(tmp_path, 1, 2, request.getfixturevalue("postgres_url") if kind == "postgresql" else "") > 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_uploads_survive_many_kills(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    assert play(tmp_path, 100, 40, request.getfixturevalue("postgres_url") if kind == "postgresql" else "") > 0
