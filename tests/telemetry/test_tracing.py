"""Traces: off and free unless asked for; sent to a real collector; below the caller's trace; without secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.telemetry.collector import Collector

from perenne.telemetry import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}

WORK = f"""
import logging, sys
from perenne.telemetry import logs, tracing
logs.configure("perenne-test")
with tracing.traced_process("perenne-test"):
    about = {{"password": "hunter2", "url": "postgresql://a:hunter2@h/d"}}
    with tracing.span("outer", about, parent="{PARENT}", kind="server") as outer:
        outer.set("late", 7)
        logging.getLogger("perenne.x").info("inside")
        print(tracing.trace_parent())
        step = tracing.begin("step", above=outer)
        step.end()
        try:
            with tracing.span("broken"):
                raise ValueError("token=hunter2 does not work")
        except ValueError:
            pass
    print(tracing.trace_parent())
print("opentelemetry" in sys.modules, tracing.is_on())
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**ENVIRONMENT, "PYTHONPATH": str(Path("src").resolve()), **environment}
    return subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True, check=False)


def test_off_it_does_nothing_and_imports_nothing() -> None:
    done = run(WORK)
    assert done.stdout.split() == ["None", "None", "False", "False"], done.stderr
    assert '"trace.id"' not in done.stderr


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"PERENNE_TRACES": "ON"}, True),
        ({"PERENNE_TRACES": "off", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_environment_decides(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.is_wanted(environment) is wanted


def test_a_collector_gets_the_spans_below_the_callers_trace_and_no_secrets() -> None:
    with Collector() as collector:
        done = run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=clinic")
        collector.wait_for("outer", "step", "broken")
    outer, step, broken = (collector.one(name) for name in ("outer", "step", "broken"))
    assert (outer.trace_id, outer.parent_id) == (PARENT[3:35], PARENT[36:52])
    assert (outer.service, outer.attributes["late"], outer.kind) == ("perenne-test", 7, 2)
    assert step.parent_id == broken.parent_id == outer.span_id
    assert broken.attributes["error.type"] == "ValueError" and "does not work" in broken.error
    assert "hunter2" not in str(collector.spans)
    assert collector.headers[0]["x-tenant"] == "clinic"
    printed = done.stdout.split()
    assert printed == [f"00-{outer.trace_id}-{outer.span_id}-01", "None", "True", "False"]
    assert f'"trace.id":"{outer.trace_id}","span.id":"{outer.span_id}"' in done.stderr


def test_what_is_asked_of_others_carries_the_trace_on() -> None:
    program = """
import sys
from perenne.net.egress import Egress
from perenne.telemetry import tracing
url = sys.argv[1]
with tracing.traced_process("perenne-test"):
    egress = Egress(frozenset([url.removeprefix("http://")]))
    with tracing.span("outer"):
        assert egress.request("POST", url + "/v1/traces").status == 200
    assert egress.request("POST", url + "/v1/traces").status == 200
"""
    with Collector() as collector:
        program = program.replace("sys.argv[1]", repr(collector.url))
        done = run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert done.returncode == 0, done.stderr
        collector.wait_for("outer")
    outer = collector.one("outer")
    asked = [headers.get("traceparent") for headers in collector.headers if headers.get("user-agent") == "perenne"]
    assert asked == [f"00-{outer.trace_id}-{outer.span_id}-01", None]


def test_a_service_may_be_called_otherwise_and_a_sampler_be_chosen() -> None:
    with Collector() as collector:
        run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="mine")
        collector.wait_for("outer")
        assert {span.service for span in collector.spans} == {"mine"}
        before = len(collector.spans)
        run(WORK.replace("-01", "-00"), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_SAMPLER="parentbased_always_on")
    assert len(collector.spans) == before  # the caller does not record


def test_without_the_extra_it_says_which(tmp_path: Path) -> None:
    """OpenTelemetry is made unfindable for a process of its own."""
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('not installed')")
    program = (
        "from perenne.telemetry import tracing\nfrom perenne.core.errors import PerenneError\n"
        "try:\n    tracing.start('x')\nexcept PerenneError as error:\n    print(error.code, error.hint)"
    )
    done = run(program, PERENNE_TRACES="on", PYTHONPATH=f"{tmp_path}{os.pathsep}{Path('src').resolve()}")
    assert "extra.otel" in done.stdout and "perenne[otel]" in done.stdout, done.stderr


def test_a_collector_that_is_away_costs_no_work() -> None:
    done = run(WORK, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert done.returncode == 0 and done.stdout.split()[-2:] == ["True", "False"]
