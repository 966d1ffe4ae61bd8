"""`perenne worker` and its child: what fails in a job is a failed job, a span with its error, and lines of JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from tests.telemetry.collector import Collector

from perenne.automation import ROUND_JOB
from perenne.core.config import load_settings
from perenne.storage import jobs
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace


class Nonsense(msgspec.Struct):
    """Not what a round is given."""

    secret: str = "planted"


def ended_job(workspace: Workspace) -> Job:
    deadline = time.monotonic() + 60
    while True:
        with workspace.database.read() as tx:
            (job,) = jobs.jobs(tx)
        if job.state == "failed":
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.1)


def test_a_job_that_fails_is_a_span_with_its_error_and_takes_nobody_along(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PERENNE_", "OTEL_"))}
    command = [sys.executable, "-m", "perenne", "worker"]
    with Workspace(load_settings(tmp_path, {})) as workspace, Collector() as collector:
        workspace.database.write(lambda tx: jobs.enqueue(tx, ROUND_JOB, Nonsense(), attempts_allowed=1))
        environment |= {"PYTHONPATH": str(Path("src").resolve()), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
            job = ended_job(workspace)
            collector.wait_for(f"job {ROUND_JOB}")
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert {json.loads(line)["service.name"] for line in errors.splitlines()} == {"perenne-worker", "perenne-trainer"}
    assert "planted" not in errors
    span = collector.one(f"job {ROUND_JOB}")
    assert span.service == "perenne-trainer" and span.error and "planted" not in str(span)
    assert span.attributes["perenne.job"] == job.id
    assert not list((tmp_path / ".perenne" / "processes").glob("*.json"))
