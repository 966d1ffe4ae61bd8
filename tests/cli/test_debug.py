"""The debug bundle: what a report needs is in it; secrets, rows, inputs and contents are not, wherever they were planted."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perenne.core.config import load_settings
from perenne.core.events import Event
from perenne.storage import jobs, outbox
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat

PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws/secret+key",
    "PERENNE_ALERT_SECRET": "planted-alert-secret",
    "PERENNE_ALERT_WEBHOOK": "https://hooks.example/services/T0/planted-webhook-path",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-team=planted-header",
    "MY_DATABASE_URL": "postgresql://ada:planted%2Fpass@db/x",
}
TOKEN = "prn_01ARZ3NDEKTSV4RRFFQ69G5FAV_" + "planted-token-" + "x" * 29 + "_0a1b2c3d"


class Errand(msgspec.Struct):
    """What a job is given: contents that are nobody's business."""

    channel: str
    message: str


class Told(Event, frozen=True):
    """An event that cannot be delivered."""

    name = "told"
    note: str


def perenne(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), **environment}
    command = [sys.executable, "-m", "perenne", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=given)


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation in which something failed, with secrets where they should not be."""
    with Workspace(load_settings(tmp_path, {})) as workspace:
        write = workspace.database.write
        write(lambda tx: jobs.enqueue(tx, "alert.deliver", Errand("mail", "planted-content"), attempts_allowed=1))
        job = write(lambda tx: jobs.claim(tx, "me", ["alert.deliver"]))
        assert job is not None
        write(lambda tx: jobs.fail(tx, job, "401 for https://ada:planted-url-password@hooks.example; planted-aws/secret+key"))
        write(lambda tx: outbox.emit(tx, Told(note="planted-note")))
        mine = outbox.table.update().where(outbox.table.c.name == "told")
        aside = mine.values(state="set_aside", error=f"Authorization: Bearer planted-bearer; {TOKEN}")
        write(lambda tx: tx.execute(aside).rowcount)
    said = ["said 'planted/pass' to /services/T0/planted-webhook-path", f"password=planted-log-password {TOKEN}"]
    lines = [json.dumps({"message": text, "secret": "planted-in-a-field"}) for text in said]
    (tmp_path / "log.ndjson").write_text("\n".join([*lines, "no JSON: token=planted-in-text", ""]))
    return tmp_path


def test_what_a_report_needs_is_there_and_nothing_that_was_planted(folder: Path) -> None:
    environment = {**PLANTED, "PERENNE_LOG_FILE": str(folder / "log.ndjson")}
    done = perenne(folder, "debug", "bundle", "--output", "report.zip", "--json", **environment)
    assert done.returncode == 0, done.stderr
    found = contents(folder / "report.zip")
    assert [line["file"] for line in json.loads(done.stdout)] == list(found)
    assert [name for name, text in found.items() if "planted" in text] == []
    assert (folder / "report.zip").stat().st_mode & 0o777 == 0o600
    read: dict[str, Any] = {name: json.loads(text) for name, text in found.items() if name.endswith(".json")}
    assert read["database.json"]["rows"]["job"] == 1 and read["database.json"]["schema"] == read["database.json"]["newest_schema"]
    (job,) = read["jobs.json"]
    assert job["payload_fields"] == ["channel", "message"] and job["error"].startswith("401 for https://ada:[redacted]@hooks")
    (event,) = read["events.json"]
    assert event["payload_fields"] == ["note"] and "01ARZ3NDEKTSV4RRFFQ69G5FAV" in event["error"]
    assert read["settings.json"]["environment"]["PERENNE_ALERT_WEBHOOK"] == "https://hooks.example/…"
    assert {finding["check"]: finding["state"] for finding in read["doctor.json"]}["jobs"] == "problem"
    assert read["versions.json"]["packages"]["sqlalchemy"]
    assert 'perenne_jobs{kind="alert.deliver",state="failed"} 1' in found["metrics.txt"]
    assert json.loads(found["log.ndjson"].splitlines()[1])["secret"] == "[redacted]"
    assert len(found["log.ndjson"].splitlines()) == 3


def test_it_is_made_with_the_database_away_and_names_no_password(tmp_path: Path) -> None:
    url = "postgresql://ada:planted-database-password@127.0.0.1:9/perenne?sslpassword=planted-two"
    done = perenne(tmp_path, "debug", "bundle", "--output", "report.zip", PERENNE_DATABASE=url)
    assert done.returncode == 0, done.stderr
    found = contents(tmp_path / "report.zip")
    assert "planted" not in "".join(found.values())
    assert json.loads(found["settings.json"])["database"] == "postgresql://127.0.0.1:9/…"
    assert "error" in json.loads(found["database.json"])


def test_on_postgresql_it_counts_rows_and_shows_where_but_not_who(tmp_path: Path, postgres_url: str) -> None:
    done = perenne(tmp_path, "debug", "bundle", "--output", "report.zip", "--database", postgres_url)
    assert done.returncode == 0, done.stderr
    found = contents(tmp_path / "report.zip")
    database = json.loads(found["database.json"])
    assert (database["kind"], database["rows"]["job"], database["rows"]["alembic_version"]) == ("postgresql", 0, 1)
    assert json.loads(found["settings.json"])["database"] == "postgresql:///…"
    assert postgres_url not in "".join(found.values())


def test_an_earlier_bundle_is_not_overwritten(folder: Path) -> None:
    (folder / "report.zip").write_text("mine")
    done = perenne(folder, "debug", "bundle", "--output", "report.zip")
    assert done.returncode == 5 and (folder / "report.zip").read_text() == "mine"


def test_the_doctor_names_a_process_that_cannot_be_asked(folder: Path) -> None:
    """A sign of life of this very process, with an address where nobody listens."""
    with Heartbeat(folder / ".perenne", "control-plane", address="http://127.0.0.1:9"):
        done = perenne(folder, "doctor", "--json")
    (finding,) = [item for item in json.loads(done.stdout) if item["check"] == "processes"]
    assert finding["state"] == "problem" and "does not answer on http://127.0.0.1:9" in finding["detail"]
    done = perenne(folder, "doctor", "--json")
    (finding,) = [item for item in json.loads(done.stdout) if item["check"] == "processes"]
    assert (finding["state"], finding["detail"]) == ("ok", "none runs")
