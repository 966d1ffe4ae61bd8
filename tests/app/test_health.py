"""Whether the control plane is alive and can work: each part that fails is named, a part that hangs holds nothing up."""

import asyncio
import contextlib
import shutil
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.app.conftest import Ask

from perenne.app import health
from perenne.core.errors import Unavailable
from perenne.storage.backend import READERS
from perenne.storage.workspace import Workspace
from perenne.telemetry.pulse import Pulse


def test_it_is_alive_and_ready(ask: Ask) -> None:
    assert ask("GET", "/health").text == "OK"
    found = ask("GET", "/ready")
    assert found.status_code == 200
    assert found.json() == {"status": "ready", "checks": {"database": "ok", "objects": "ok", "loop": "ok"}}
    assert found.headers["cache-control"] == "no-store"


def test_a_loop_that_has_not_turned_or_stands_still_is_named(ask: Ask, pulse: Pulse) -> None:
    pulse.turned = None
    assert ask("GET", "/ready").json()["checks"]["loop"] == "has not turned yet"
    pulse.turned = time.time() - 3_600
    found = ask("GET", "/ready")
    assert (found.status_code, found.json()["checks"]["loop"]) == (503, "has not turned for a while")


def test_a_database_of_another_release_is_named(ask: Ask, workspace: Workspace) -> None:
    workspace.database.write(lambda tx: tx.connection.exec_driver_sql("update alembic_version set version_num = '9999'"))
    found = ask("GET", "/ready")
    assert (found.status_code, found.json()["checks"]["database"]) == (503, "its schema is another release's")


def test_a_database_that_is_gone_is_named_and_the_process_lives_on(
    ask: Ask, workspace: Workspace, request: pytest.FixtureRequest
) -> None:
    url = workspace.settings.database
    if url.startswith("postgresql"):
        request.getfixturevalue("postgres").drop(url)
    else:
        workspace.database.close()
        Path(str(workspace.database.url.database)).write_bytes(b"no database at all" * 500)
    found = ask("GET", "/ready")
    assert (found.status_code, found.json()["checks"]["database"]) == (503, "cannot be reached")
    assert ask("GET", "/health").status_code == 200


def test_objects_that_cannot_be_reached_are_named(ask: Ask, workspace: Workspace) -> None:
    shutil.rmtree(unquote(urlsplit(workspace.settings.objects).path), ignore_errors=True)
    shutil.rmtree(workspace.settings.home)
    found = ask("GET", "/ready")
    assert (found.status_code, found.json()["checks"]["objects"]) == (503, "cannot be written")


def test_a_part_that_hangs_is_waited_for_once_and_only_so_long(workspace: Workspace) -> None:
    """Every connection that may read is taken, so the look waits; two who ask at once start one look, not two."""
    checks = health.Checks(workspace, None)

    async def both() -> list[health.Readiness]:
        return list(await asyncio.gather(checks.readiness(0.1), checks.readiness(0.1)))

    with contextlib.ExitStack() as readers:
        for _ in range(READERS):
            readers.enter_context(workspace.database.read())
        found = asyncio.run(both())
        assert [(item.ready, item.checks) for item in found] == [(False, {"storage": "does not answer"})] * 2
        assert [thread.name for thread in threading.enumerate()].count("perenne-ready") == 1
    assert asyncio.run(checks.readiness()).ready


def test_what_went_wrong_is_told_to_the_log_and_not_to_the_caller(
    ask: Ask, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: health.Checks) -> str:
        raise Unavailable("s3://bucket-of-ada is not there", code="objects.unavailable")

    monkeypatch.setattr(health.Checks, "_objects", broken)
    found = ask("GET", "/ready")
    assert found.status_code == 503 and "ada" not in found.text
    assert "bucket-of-ada" in caplog.text
