"""Real processes, looked at from outside: what `perenne run` and `perenne up` say in logs, figures, signs and traces."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv as csv
import pytest
from tests.automation.conftest import PROJECT
from tests.formats import exposition
from tests.telemetry.collector import Collector
from tests.training.conftest import table_of

from perenne.telemetry.heartbeats import Sign, State, signs, state_of

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PACKAGE = {name: text for name, text in os.environ.items() if not name.startswith(("PERENNE_", "OTEL_"))}
PACKAGE |= {"PYTHONPATH": str(Path("src").resolve())}


def until(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 90
    while not (value := found()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return value


def perenne(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "perenne", *arguments]
    return subprocess.run(command, cwd=folder, env={**PACKAGE, **environment}, capture_output=True, text=True, check=False)


class Running:
    """A `perenne up` that sends traces and keeps its log in a file."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.folder, self.home = folder, folder / ".perenne"
        self.errors = (folder / "up.err").open("w+")
        environment = PACKAGE | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200", "PERENNE_ACCESS_LOG": "all",
            "PERENNE_LOG_FILE": str(folder / "perenne.ndjson"),
        }  # fmt: skip
        command = [sys.executable, "-m", "perenne", "up", "--port", "0", "--serve-port", "0"]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stderr=self.errors)
        self.control = until(lambda: self.sign("control-plane"), "no control plane")
        self.model = until(lambda: self.sign("model-server"), "no model server")
        until(lambda: self.ask(self.model, "GET", "/v2/health/ready")[0] == 200, "the model server is not ready")

    def sign(self, kind: str) -> Sign | None:
        assert self.process.poll() is None, (self.folder / "up.err").read_text()
        return next((sign for sign in signs(self.home) if sign.kind == kind and state_of(sign) is State.ALIVE), None)

    def ask(self, sign: Sign, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(sign.address.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {**headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.errors.close()
        return code


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Path:
    """A project, run once with its trace sent to the collector."""
    folder = tmp_path_factory.mktemp("lumps")
    (folder / "project.py").write_text(PROJECT)
    csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")
    done = perenne(folder, "run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACEPARENT=PARENT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def up(folder: Path, collector: Collector) -> Iterator[Running]:
    running = Running(folder, collector)
    yield running
    if running.process.poll() is None:
        running.end()


def test_a_round_is_a_trace_of_its_pipeline_and_its_steps(folder: Path, collector: Collector) -> None:
    collector.wait_for("round", "pipeline standard_round", "step fit", "step evaluate")
    spans = [span for span in collector.spans if span.service == "perenne-run"]
    known = {span.span_id: span for span in spans}
    assert {span.trace_id for span in spans} == {PARENT[3:35]}
    assert collector.one("round").parent_id == PARENT[36:52]
    pipeline = collector.one("pipeline standard_round")
    assert known[pipeline.parent_id].name == "round" and pipeline.attributes["perenne.pipeline.steps"] > 5
    fits = [span for span in spans if span.name == "step fit"]
    assert len(fits) == 2 and all(known[span.parent_id] is pipeline for span in fits)
    assert not any(span.error for span in spans)


def test_every_process_gives_a_sign_of_life_and_the_doctor_reads_them(up: Running) -> None:
    status, body = up.ask(up.control, "GET", "/ready")
    assert (status, json.loads(body)["checks"]) == (200, {"database": "ok", "objects": "ok", "loop": "ok"})
    detail = until(
        lambda: (sign := up.sign("model-server")) and sign.detail.get("observer.silent_seconds") is not None and sign, ""
    )
    assert {"worker-0.pid", "worker-0.silent_seconds", "observer.pid"} <= set(detail.detail)
    done = perenne(up.folder, "doctor", "--json")
    (finding,) = [item for item in json.loads(done.stdout) if item["check"] == "processes"]
    assert finding == {"check": "processes", "state": "ok", "detail": "control-plane alive; model-server lumps alive"}


def test_both_servers_have_figures_that_a_strict_reader_takes(up: Running) -> None:
    assert up.ask(up.model, "POST", "/invocations", rows())[0] == 200
    control = exposition.read(up.ask(up.control, "GET", "/metrics")[1])
    turns = control["perenne_loop_turn_duration_seconds"].samples["perenne_loop_turn_duration_seconds_count", ()]
    groups = control["perenne_database_group_changes"].samples["perenne_database_group_changes_count", ()]
    assert turns > 0 and groups > 0
    model = exposition.read(up.ask(up.model, "GET", "/metrics")[1])
    beats = model["perenne_heartbeat_timestamp_seconds"].samples
    assert {dict(labels)["process"] for _, labels in beats} == {"worker-0", "observer"}
    assert all(abs(time.time() - beat) < 60 for beat in beats.values())
    assert all(value > 1e6 for value in model["perenne_process_resident_memory_bytes"].samples.values())
    assert all(value > 0 for value in model["perenne_process_cpu_seconds_total"].samples.values())


def test_a_request_is_one_span_below_its_callers_and_one_line_of_the_log(up: Running, collector: Collector) -> None:
    assert up.ask(up.control, "GET", "/api/status", traceparent=PARENT)[0] == 200
    collector.wait_for("GET /api/status")
    span = collector.one("GET /api/status")
    assert (span.trace_id, span.parent_id, span.service) == (PARENT[3:35], PARENT[36:52], "perenne-control-plane")
    assert span.attributes["http.response.status_code"] == 200
    logged = until(lambda: [line for line in log_of(up) if line.get("labels.route") == "/api/status"], "no access line")
    assert logged[-1]["trace.id"] == span.trace_id and logged[-1]["span.id"] == span.span_id


def test_a_model_server_joins_a_trace_that_is_recorded_and_begins_none(up: Running, collector: Collector) -> None:
    up.ask(up.model, "POST", "/invocations", rows(), traceparent=PARENT.removesuffix("1") + "0")
    up.ask(up.model, "POST", "/invocations", rows())
    up.ask(up.model, "POST", "/invocations", rows(), traceparent=PARENT)
    collector.wait_for("POST")
    spans = [span for span in collector.spans if span.service == "perenne-model-server"]
    assert [(span.trace_id, span.attributes["url.path"]) for span in spans] == [(PARENT[3:35], "/invocations")]


def test_a_killed_process_is_started_again_and_counted(up: Running) -> None:
    observer = until(lambda: (sign := up.sign("model-server")) and sign.detail["observer.pid"], "no observer")
    os.kill(int(observer), signal.SIGKILL)
    name = "perenne_process_restarts_total"

    def restarts() -> float:
        page = exposition.read(up.ask(up.model, "GET", "/metrics")[1])
        return page[name].samples[name, (("process", "observer"),)]

    until(lambda: restarts() == 1, "not counted")


def test_the_bundle_holds_the_figures_and_the_log_of_what_runs(up: Running) -> None:
    kept = {"PERENNE_LOG_FILE": str(up.folder / "perenne.ndjson")}
    done = perenne(up.folder, "debug", "bundle", "--output", "report.zip", **kept)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(up.folder / "report.zip") as archive:
        assert {"metrics-control-plane.txt", "metrics-model-server-lumps.txt", "log.ndjson"} <= set(archive.namelist())
        assert exposition.read(archive.read("metrics-control-plane.txt"))
        assert "benign" not in "".join(archive.read(name).decode() for name in archive.namelist())


def test_every_line_of_standard_error_and_of_the_file_is_json_and_the_end_leaves_no_sign(up: Running) -> None:
    assert up.end() == 0
    written = [json.loads(line) for line in (up.folder / "up.err").read_text().splitlines()]
    assert {"perenne-control-plane"} <= {line["service.name"] for line in written}
    assert written[0]["message"] == "traces are sent"
    assert all({"@timestamp", "log.level", "message", "ecs.version"} <= set(line) for line in [*written, *log_of(up)])
    assert signs(up.home) == []


def rows() -> dict[str, Any]:
    return {"dataframe_records": table_of("breast_cancer").drop_columns(["target", "day"]).slice(0, 3).to_pylist()}


def log_of(up: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (up.folder / "perenne.ndjson").read_text().splitlines()]
