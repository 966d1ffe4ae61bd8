"""`perenne data profile|compare` as they are called: what they answer, what they write, and what they refuse."""

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from tests.data.explore.test_page import table
from tests.data.test_commands import call

from perenne.auth import audit
from perenne.core.errors import NotFound, Unavailable
from perenne.data import DataProfile
from perenne.data.model import Snapshot
from perenne.storage.workspace import Workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(table(600), path)
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.parquet"
    pq.write_table(table(500, 14), path)
    return path


def audited(workspace: Workspace, action: str) -> list[str]:
    with workspace.database.read() as tx:
        return [record.entity_id for record in audit.trail(tx, limit=50) if record.action == action]


def test_a_page_a_notebook_and_the_profile_are_written(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    written = [tmp_path / name for name in ("p.html", "p.ipynb", "p.json")]
    options = zip(("--html", "--notebook", "--out"), written, strict=True)
    found = call(workspace, "profile", file, "--target", "late", *(text for pair in options for text in pair))
    assert written[0].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert msgspec.json.decode(written[1].read_bytes())["nbformat"] == 4
    assert msgspec.json.decode(written[2].read_bytes(), type=DataProfile) == found.value
    assert found.value.created > 0 and found.value.version
    assert "look: mail: it seems to hold personal data" in found.note
    assert [line for line in found.note.splitlines() if line.startswith("wrote")] == [f"wrote {path}" for path in written]


def test_personal_data_is_hidden_unless_revealed_and_that_is_written_down(
    workspace: Workspace, file: Path, tmp_path: Path
) -> None:
    taken: Snapshot = call(workspace, "snapshot", file).value
    for command in ("profile", "show"):
        assert "example.org" not in str(call(workspace, command, taken.id))
    assert audited(workspace, "snapshot.reveal") == []
    for command in ("profile", "show"):
        assert "example.org" in str(call(workspace, command, taken.id, "--reveal"))
    assert audited(workspace, "snapshot.reveal") == [taken.id, taken.id]
    call(workspace, "profile", taken.id, "--html", tmp_path / "p.html")
    assert "example.org" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_files_snapshots_and_written_profiles_are_compared(workspace: Workspace, file: Path, other: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    call(workspace, "profile", file, "--out", kept)
    taken: Snapshot = call(workspace, "snapshot", other).value
    changes = [
        {item.name: item.change for item in call(workspace, "compare", source, against).value}
        for source, against in ((other, file), (taken.id, kept), (other, kept))
    ]
    assert all(found["n7"] == "new" and found["x"] == "" for found in changes)
    page = tmp_path / "c.html"
    found = call(workspace, "compare", other, file, "--html", page, "--rows")
    assert "beside" in page.read_text(encoding="utf-8")
    assert "rows, as whole rows: " in found.note or "rows, by mail: " in found.note
    assert "rows, by mail: 0 new, 100 gone" in call(workspace, "compare", other, file, "--key", "mail").note


def test_a_profile_from_a_file_has_a_notebook_of_the_rows_it_was_made_of(
    workspace: Workspace, file: Path, tmp_path: Path
) -> None:
    kept, notebook = tmp_path / "kept.json", tmp_path / "n.ipynb"
    call(workspace, "profile", file, "--out", kept)
    call(workspace, "profile", kept, "--notebook", notebook)
    assert f"SOURCE = {str(file)!r}" in "".join(msgspec.json.decode(notebook.read_bytes())["cells"][1]["source"])
    file.unlink()
    with pytest.raises(NotFound):
        call(workspace, "profile", kept, "--notebook", notebook)


def test_a_schema_quotes_no_personal_data(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("mail,plan\n" + "ada@example.org,basic\nbob@example.org,pro\n" * 20)
    written = str(call(workspace, "schema", file))
    assert "basic" in written and "example.org" not in written


def test_a_large_file_is_described_without_holding_it(
    workspace: Workspace, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perenne.data.large.LARGE", 1_000)
    monkeypatch.setattr("perenne.data.sources.read_source", None)
    notebook = tmp_path / "p.ipynb"
    found = call(workspace, "profile", file, "--notebook", notebook)
    assert "duckdb" in found.value.engine and found.value.rows == 600
    assert "read_parquet(SOURCE)" in notebook.read_text(encoding="utf-8")


def test_a_large_snapshot_is_described_without_holding_it(
    workspace: Workspace, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: Snapshot = call(workspace, "snapshot", file).value
    held = call(workspace, "profile", taken.id).value
    monkeypatch.setattr("perenne.data.large.LARGE", 1_000)
    monkeypatch.setattr("perenne.data.looking.read_snapshot", None)
    passed = call(workspace, "profile", taken.id, "--target", "late").value
    assert "duckdb" in passed.engine and (passed.digest, passed.rows) == (taken.id, held.rows)


def test_a_page_that_cannot_be_written_is_said(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        call(workspace, "profile", file, "--html", tmp_path / "none" / "p.html")
    assert caught.value.code == "data.cannot_write"
