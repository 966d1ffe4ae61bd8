"""`perenne backup`, `restore` and `migrate` as people call them."""

import json
from pathlib import Path
from typing import Any

import pytest

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.cli import main
from perenne.storage import migrations
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERENNE_HOME", str(tmp_path / ".perenne"))
    return tmp_path / ".perenne"


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main([*arguments, "--json"])
    output = capsys.readouterr()
    return code, json.loads(output.out or output.err)


def test_a_check_of_the_schema_makes_nothing(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, found = call(capsys, "migrate", "--check")
    assert (code, found["state"], found["schema"]) == (6, "empty", "")
    assert not home.exists()


def test_the_schema_is_brought_forward_and_then_current(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    newest = migrations.revisions()[-1]
    code, found = call(capsys, "migrate")
    assert (code, found["state"], found["schema"], found["newest"]) == (0, "current", newest, newest)
    code, found = call(capsys, "migrate", "--check")
    assert (code, found["state"]) == (0, "current")


def test_a_schema_that_is_behind_is_told_and_left(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Database(f"sqlite:///{home}/perenne.db") as database:
        database.backend.prepare()
        migrations.upgrade(database.backend, to="0001")
    for _ in range(2):
        code, found = call(capsys, "migrate", "--check")
        assert (code, found["state"], found["schema"]) == (6, "behind", "0001")


def test_a_backup_is_made_verified_and_brought_back(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        workspace.database.write(lambda tx: audit.record(tx, Principal("ada"), "thing.do", "thing", str(number)))  # noqa: B023
    digest = workspace.objects.put(b"some bytes")
    file = str(tmp_path / "friday.zip")
    code, made = call(capsys, "backup", file)
    assert (code, made["objects"]) == (0, 1)
    assert call(capsys, "backup", file)[1]["error_code"] == "backup.exists"
    assert call(capsys, "backup", file, "--verify")[1] == made
    assert call(capsys, "restore", file)[1]["error_code"] == "backup.not_empty"
    monkeypatch.setenv("PERENNE_DATABASE", f"sqlite:///{tmp_path}/elsewhere/perenne.db")
    monkeypatch.setenv("PERENNE_OBJECTS", (tmp_path / "elsewhere" / "objects").as_uri())
    code, restored = call(capsys, "restore", file)
    assert (code, restored["rows"]) == (0, made["rows"])
    with Workspace() as elsewhere, elsewhere.database.read() as tx:
        assert audit.verify(tx).records == 3
        assert elsewhere.objects.get(digest) == b"some bytes"


def test_what_is_no_backup_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.zip").write_text("notes")
    assert call(capsys, "restore", str(tmp_path / "notes.zip"))[1]["error_code"] == "backup.damaged"
    code, error = call(capsys, "backup", str(tmp_path / "missing.zip"), "--verify")
    assert (code, error["error_code"]) == (3, "backup.not_found")
