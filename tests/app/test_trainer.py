"""The trainer as a process: what fails in it is a failed job, a span with its error, and lines of JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from tests.telemetry.collector import Collector

from perenne.automation import ROUND_JOB
from perenne.core.config import load_settings
from perenne.storage import jobs
from perenne.storage.workspace import Workspace


class Nonsense(msgspec.Struct):
    """Not what a round is given."""

    secret: str = "planted"


def test_a_job_that_fails_is_a_span_with_its_error_and_takes_nobody_along(tmp_path: Path) -> None:
    with Workspace(load_settings(tmp_path, {})) as workspace:
        workspace.database.write(lambda tx: jobs.enqueue(tx, ROUND_JOB, Nonsense(), attempts_allowed=1))
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PERENNE_", "OTEL_"))}
    with Collector() as collector:
        environment |= {"PYTHONPATH": str(Path("src").resolve()), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        command = [sys.executable, "-m", "perenne.app.trainer"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        collector.wait_for(f"job {ROUND_JOB}")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["service.name"] for line in done.stderr.splitlines()} == {"perenne-trainer"}
    span = collector.one(f"job {ROUND_JOB}")
    assert span.service == "perenne-trainer" and span.error and "planted" not in str(span)
    with Workspace(load_settings(tmp_path, {})) as workspace, workspace.database.read() as tx:
        (job,) = jobs.jobs(tx)
    assert (job.state, span.attributes["perenne.job"]) == ("failed", job.id)
    assert not list((tmp_path / ".perenne" / "processes").glob("*.json"))
