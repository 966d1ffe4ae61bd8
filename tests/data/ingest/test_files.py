"""Files, folders and patterns: joined by name, read again only if they changed, and held against what they were at first."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.data.ingest.conftest import Ingest

from perenne import data
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.storage.workspace import Workspace


def put(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file


def rows_of(workspace: Workspace, snapshot: str) -> pa.Table:
    return data.snapshots.read_snapshot(workspace.objects, snapshot)


def test_a_folder_in_parts_is_one_table_and_hidden_files_are_none_of_it(
    workspace: Workspace, read: Ingest, tmp_path: Path
) -> None:
    put(tmp_path / "d/year=2025/region=north/a.csv", "id,amount", "1,2.5")
    put(tmp_path / "d/year=2026/region=__HIVE_DEFAULT_PARTITION__/b.csv", "id,amount", "2,3")
    put(tmp_path / "d/_SUCCESS", "")
    put(tmp_path / "d/.crc/c.csv", "not,a", "csv")
    found = read(str(tmp_path / "d")).refresh
    assert (found.outcome, found.rows, found.added) == (Outcome.NEW, 2, 2)
    assert rows_of(workspace, found.snapshot).to_pylist() == [
        {"id": 1, "amount": 2.5, "year": 2025, "region": "north"},
        {"id": 2, "amount": 3.0, "year": 2026, "region": None},
    ]


def test_what_did_not_change_is_not_read_and_the_same_rows_are_kept_once(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    file = put(tmp_path / "a.csv", "id,zip", "1,00501")
    first = read(str(file)).refresh
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    put(file, "id,zip", "1,00501")  # written again, and the same
    again = refresh(workspace, actor, "rows").refresh
    assert (again.outcome, again.snapshot) == (Outcome.UNCHANGED, first.snapshot)
    put(file, "id,zip", "1,10001", "2,10002")  # these alone would be numbers
    changed = refresh(workspace, actor, "rows").refresh
    assert changed.outcome is Outcome.NEW
    assert rows_of(workspace, changed.snapshot).column("zip").to_pylist() == ["10001", "10002"]


def test_other_columns_are_said_and_kept_only_when_they_were_meant(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    file = put(tmp_path / "a.csv", "id,amount,note", "1,2.5,x")
    first = read(str(file)).refresh
    put(file, "id,amount,more", "1,much,1", "2,more,2")
    refused = refresh(workspace, actor, "rows")
    assert refused.refresh.outcome is Outcome.REFUSED
    assert {(found.check, found.column) for found in refused.anomalies} == {
        ("type", "amount"), ("missing_column", "note"), ("new_column", "more"),
    }  # fmt: skip
    with workspace.database.read() as tx:
        assert [each.id for each in data.summary.newest(tx, "rows", limit=5)] == [first.snapshot]
    assert refresh(workspace, actor, "rows", accept=True).refresh.outcome is Outcome.NEW
    put(file, "id,amount,more", "3,less,", "4,none,")  # a column without values is no other column
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.NEW


def test_whole_numbers_among_others_are_no_change_of_type(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    file = put(tmp_path / "a.csv", "amount", "2.5", "3")
    read(str(file))
    put(file, "amount", "2", "3")
    found = refresh(workspace, actor, "rows")
    assert found.refresh.outcome is Outcome.NEW and not found.anomalies
    assert rows_of(workspace, found.refresh.snapshot).column("amount").type == pa.float64()


def test_new_files_are_added_and_what_was_taken_never_changes(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    put(tmp_path / "day1.csv", "id", "1", "2")
    first = read(str(tmp_path / "day*.csv"), mode="append").refresh
    put(tmp_path / "day2.csv", "id", "3")
    put(tmp_path / "day1.csv", "id", "9")
    second = refresh(workspace, actor, "rows").refresh
    assert (first.rows, second.rows, second.added) == (2, 3, 1)
    assert rows_of(workspace, second.snapshot).column("id").to_pylist() == [1, 2, 3]
    assert "1 files changed" in second.notes[0]
    (tmp_path / "day1.csv").unlink()
    third = refresh(workspace, actor, "rows").refresh
    assert third.outcome is Outcome.UNCHANGED and "are gone" in third.notes[-1]


def test_files_that_do_not_go_together_are_named(read: Ingest, tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "id", "1")
    put(tmp_path / "b.csv", "id", "one")
    with pytest.raises(Invalid, match=r"column 'id' is int64 in a\.csv, string in b\.csv"):
        read(str(tmp_path / "*.csv"))


def test_a_source_that_could_never_be_read_is_not_kept(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    with pytest.raises(NotFound):
        read(str(tmp_path / "none.csv"))
    with pytest.raises(NotFound, match="no source"):
        refresh(workspace, actor, "rows")


@pytest.mark.parametrize(
    ("uri", "given", "code"),
    [
        ("ftp://host/a.csv", {}, "ingest.scheme"),
        ("a.csv", {"query": "select 1"}, "ingest.query"),
        ("sqlite:a.db", {}, "ingest.query"),
        ("a.csv", {"watermark": "id"}, "ingest.watermark"),
        ("sqlite:a.db", {"query": "select 1", "mode": "append"}, "ingest.watermark"),
        ("https://example.org/a.csv", {"mode": "append"}, "ingest.watermark"),
        ("a.csv", {"every": "not a calendar"}, "project.cron"),
    ],
)
def test_what_does_not_go_together_is_refused(read: Ingest, uri: str, given: dict[str, str], code: str) -> None:
    with pytest.raises(PerenneError) as caught:
        read(uri, **given)
    assert caught.value.code == code


def test_another_source_of_the_same_rows_is_asked_about(read: Ingest, tmp_path: Path) -> None:
    first, second = put(tmp_path / "a.csv", "id", "1"), put(tmp_path / "b.csv", "id", "2")
    read(str(first))
    with pytest.raises(Conflict, match="is read from"):
        read(str(second))
    assert read(str(second), replace=True).refresh.outcome is Outcome.NEW
