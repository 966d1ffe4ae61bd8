"""The database server is killed under `perenne up`: answers go on, who is not ready says why, and all goes on when it is back."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.csv as csv
import pytest
from tests.app.test_up import ENVIRONMENT, Up, rows
from tests.automation.conftest import PROJECT
from tests.postgres import PostgresServer
from tests.training.conftest import table_of


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of its own: it is killed."""
    server = PostgresServer(safe=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def up(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("lumps")
    (folder / "project.py").write_text(PROJECT)
    csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")
    environment = {**ENVIRONMENT, "PERENNE_DATABASE": server.database()}
    done = subprocess.run([sys.executable, "-m", "perenne", "run"], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    up = Up(folder, environment=environment)
    yield up
    if up.process.poll() is None:
        up.end()


def wait_until(holds: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)


def predict(up: Up) -> tuple[int, Any]:
    return up.ask("POST", "/invocations", rows(), port=up.model_port)


def test_answers_go_on_while_the_database_is_away_and_the_loop_when_it_is_back(server: PostgresServer, up: Up) -> None:
    assert predict(up)[0] == 200
    wait_until(lambda: up.ask("GET", "/ready")[0] == 200)
    server.kill()
    wait_until(lambda: up.ask("GET", "/ready")[0] == 503)
    status, ready = up.ask("GET", "/ready")
    assert status == 503 and ready["checks"]["database"] != "ok", ready
    assert up.ask("GET", "/health")[0] == 200, "the process itself is alive"
    status, refused = up.ask("GET", "/api/status")
    assert (status, refused["error_code"]) == (503, "database.unavailable")
    assert "/tmp" not in refused["message"] and "Traceback" not in refused["message"]
    assert [predict(up)[0] for _ in range(5)] == [200] * 5, "the model server needs no database"
    server.start()
    wait_until(lambda: up.ask("GET", "/ready")[0] == 200)
    status, found = up.ask("POST", "/api/monitor/labels", [{"prediction_id": "01M7Y3F63RVMJ4B0S800000002-0", "label": "benign"}])
    assert status < 300, found
    assert up.process.poll() is None
    assert up.end() == 0
