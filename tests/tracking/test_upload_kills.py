"""A server that is killed under uploads, or has no room: nothing acknowledged is lost, nothing is there by half."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
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
    assert play(tmp_path, 1, 1, request.getfixturevalue("postgres_url") if kind == "postgresql" else "") > 0


def test_a_full_disk_answers_507_keeps_nothing_and_recovers(tmp_path: Path) -> None:
    port, limit = free_port(), 12_000_000
    environment = {**os.environ, "PERENNE_HOME": str(tmp_path / ".perenne")}
    program = [sys.executable, "-m", "tests.tracking.serving", str(port), str(limit)]
    with (
        subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            run = client.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
            root = f"/api/2.0/mlflow-artifacts/artifacts/{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}"
            for content in (b"x" * (limit + 3_000_000), (b"x" * 500_000 for _ in range(30))):
                full = client.put(f"{root}/large", content=content)
                assert (full.status_code, full.json()["error_code"]) == (507, "RESOURCE_EXHAUSTED")
            assert client.get(f"{root}/large").status_code == 404
            assert [path for path in (tmp_path / ".perenne/objects/artifacts").rglob("*") if path.is_file()] == []
            assert client.put(f"{root}/small", content=b"x" * 2_000_000).status_code == 200
            assert len(client.get(f"{root}/small").content) == 2_000_000
        finally:
            server.kill()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_uploads_survive_many_kills(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    assert play(tmp_path, 100, 40, request.getfixturevalue("postgres_url") if kind == "postgresql" else "") > 0
