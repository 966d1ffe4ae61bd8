"""`perenne up` as a process: it serves, takes labels, refuses hostile requests, and comes back after a kill."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.csv as csv
import pytest
from tests.app.servers import until
from tests.automation.conftest import PROJECT
from tests.training.conftest import table_of

from perenne.core.ids import new_id

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), "NO_COLOR": "1"}


class Up:
    """A running `perenne up` and its two addresses."""

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] = ENVIRONMENT) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "perenne", "up", "--port", "0", "--serve-port", "0", *options]
        self.log = (folder / "up.log").open("w+")
        self.process = subprocess.Popen(command, cwd=folder, stderr=self.log, env=environment)
        self.port = self._address(r"control plane on http://127\.0\.0\.1:(\d+)")
        self.model_port = self._address(r"lumps answers on http://127\.0\.0\.1:(\d+)/")

    def _address(self, pattern: str) -> int:
        for _ in range(600):
            if found := re.search(pattern, (self.folder / "up.log").read_text()):
                return int(found[1])
            assert self.process.poll() is None, (self.folder / "up.log").read_text()
            time.sleep(0.1)
        raise AssertionError((self.folder / "up.log").read_text())

    def ask(
        self, method: str, path: str, body: Any = None, *, port: int | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text.decode()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self.log.close()
        return code


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lumps")
    (folder / "project.py").write_text(PROJECT)
    csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")
    done = subprocess.run([sys.executable, "-m", "perenne", "run"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Up]:
    up = Up(folder)
    yield up
    if up.process.poll() is None:
        up.end()


def rows() -> dict[str, Any]:
    records = table_of("breast_cancer").drop_columns(["target", "day"]).slice(0, 3).to_pylist()
    return {"dataframe_records": records}


def test_it_answers_takes_labels_and_tells_how_it_stands(up: Up) -> None:
    status, answer = up.ask("POST", "/invocations", rows(), port=up.model_port)
    assert status == 200
    assert set(answer["predictions"]) <= {"benign", "malignant"}
    labels = [{"prediction_id": f"{new_id()}-0", "label": "benign"}]
    assert up.ask("POST", "/api/monitor/labels", labels)[0] == 201
    assert up.ask("POST", "/api/monitor/labels", labels)[0] == 200
    status, found = up.ask("GET", "/api/status")
    assert status == 200
    assert {stage["stage"]: stage["state"] for stage in found["stages"]}["serve"] == "serving"
    assert up.ask("GET", "/api/model/lumps")[1][0]["id"] == "lumps@1"
    assert up.ask("GET", "/api/model/version/lumps@1")[1]["gate"]["state"] == "open"
    assert up.ask("GET", "/api/policy/lumps/episodes") == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("POST", "/api/monitor/labels", b"{", {}, 400),
        ("POST", "/api/monitor/labels", b'[{"prediction_id": 3}]', {}, 400),
        ("POST", "/api/monitor/labels", b"[" * 5_000, {}, 400),
        ("POST", "/api/monitor/labels", b"\xff\xfe", {}, 400),
        ("POST", "/api/model/version/lumps@1/decision", b'{"approve": "yes"}', {}, 400),
        ("POST", "/api/model/version/lumps@9/decision", b'{"approve": true}', {}, 404),
        ("GET", "/api/monitor/nobody", None, {}, 404),
        ("GET", "/api/why/../../etc/passwd", None, {}, 404),
        ("GET", "/api/why/01ARZ3NDEKTSV4RRFFQ69G5FAV-0", None, {}, 404),
        ("GET", "/nothing", None, {}, 404),
        ("DELETE", "/api/status", None, {}, 405),
        ("GET", "/api/jobs?state=gone", None, {}, 400),
        ("GET", "/api/jobs?limit=many", None, {}, 400),
        ("GET", "/api/jobs/nothing", None, {}, 404),
        ("POST", "/api/jobs/nothing/cancel", b"{}", {}, 404),
        ("POST", "/api/jobs/nothing/priority", b'{"priority": "high"}', {}, 400),
        ("GET", "/api/events?state=gone", None, {}, 400),
        ("POST", "/api/events/999999/retry", None, {}, 404),
        ("POST", "/api/events/x/retry", None, {}, 404),
        ("GET", "/api/status", None, {"Host": "evil.example"}, 403),
    ],
)
def test_bad_requests_get_a_clear_answer_and_change_nothing(
    up: Up, method: str, path: str, body: bytes | None, headers: dict[str, str], expected: int
) -> None:
    before = up.ask("GET", "/api/model/version/lumps@1")
    status, answer = up.ask(method, path, body, headers=headers)
    assert status == expected, answer
    assert answer["error_code"] and answer["message"]
    assert "Traceback" not in json.dumps(answer)
    assert up.ask("GET", "/api/model/version/lumps@1") == before


def test_an_oversized_body_is_refused_before_it_is_read(up: Up) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=20)
    connection.putrequest("POST", "/api/monitor/labels")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_killed_and_started_again_it_goes_on_and_a_term_ends_it_cleanly(up: Up) -> None:
    up.end(signal.SIGKILL)
    again = Up(up.folder)
    try:
        assert again.ask("GET", "/health") == (200, "OK")
        assert again.ask("POST", "/invocations", rows(), port=again.model_port)[0] == 200
    finally:
        code = again.end()
    assert code == 0


def command(folder: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "perenne", *arguments, "--json"], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_with_log_in_both_servers_ask_for_a_token_until_it_is_revoked(folder: Path) -> None:
    up = Up(folder, environment={**ENVIRONMENT, "PERENNE_AUTH": "tokens"})

    def statuses(text: str) -> list[int]:
        sent = {"Authorization": f"Bearer {text}"}
        control = up.ask("GET", "/api/status", headers=sent)[0]
        return [control, up.ask("POST", "/invocations", rows(), port=up.model_port, headers=sent)[0]]

    try:
        assert [up.ask("GET", "/api/status")[0], up.ask("POST", "/invocations", rows(), port=up.model_port)[0]] == [401, 401]
        made = command(folder, "token", "create", "laptop", "--role", "owner")
        until(lambda: statuses(made["token"]) == [200, 200])
        assert command(folder, "token", "revoke", made["id"])["state"] == "revoked"
        assert statuses(made["token"])[0] == 401, "by the database, at once"
        until(lambda: statuses(made["token"])[1] in (401, 429))
    finally:
        up.end()
