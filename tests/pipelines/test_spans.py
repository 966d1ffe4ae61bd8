"""A traced run: one span for each execution of a step, below that of the run, whichever thread it was in; failures told."""

import os
import subprocess
import sys
from pathlib import Path

from tests.telemetry.collector import Collector


def test_each_execution_is_a_span_below_the_run(tmp_path: Path) -> None:
    with Collector() as collector:
        path = os.pathsep.join([str(Path("src").resolve()), str(Path().resolve())])
        environment = {**os.environ, "PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        command = [sys.executable, "-m", "tests.pipelines.traced_flow", str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        collector.wait_for("outer", "pipeline flow", "step one", "step broken")
    outer, run = collector.one("outer"), collector.one("pipeline flow")
    assert run.parent_id == outer.span_id and run.attributes["perenne.pipeline.steps"] == 3
    assert run.attributes["error.type"] == "ValueError"
    steps = [span for span in collector.spans if span.name.startswith("step ")]
    assert sorted(span.attributes["perenne.step"] for span in steps) == ["broken", "broken", "one", "one#2"]
    assert {span.parent_id for span in steps} == {run.span_id}
    tries = sorted((span for span in steps if span.name == "step broken"), key=lambda span: span.attributes["perenne.attempt"])
    assert [span.attributes["perenne.attempt"] for span in tries] == [1, 2]
    assert all("is refused" in span.error for span in tries)
    assert "hunter2" not in str(collector.spans)
