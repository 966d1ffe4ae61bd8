from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from perenne.core.errors import NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.commands import data
from perenne.data.model import DataProfile, Snapshot
from perenne.storage.workspace import Workspace

CSV = "id,x,late\n" + "".join(f"{row},{row % 7}.5,{row % 2}\n" for row in range(40))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flights.csv"
    path.write_text(CSV)
    return path


def call(workspace: Workspace, *arguments: object) -> Any:
    answer = CliRunner().invoke(data, list(map(str, arguments)), obj=workspace, standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    return answer.return_value


def test_a_snapshot_is_taken_listed_and_shown(workspace: Workspace, file: Path) -> None:
    taken: Snapshot = call(workspace, "snapshot", file).value
    assert (taken.dataset, taken.rows) == ("flights", 40)
    assert [item.id for item in call(workspace, "list").value] == [taken.id]
    assert call(workspace, "list", "--dataset", "others").value == []
    shown = call(workspace, "show", taken.id[:10])
    assert (shown.value.id, shown.value.rows, shown.value.columns) == (taken.id, 40, taken.columns)
    assert [(row["column"], row["type"]) for row in shown.shown] == [("id", "int64"), ("x", "float64"), ("late", "int64")]
    assert shown.shown[2]["shape"] == "██"
    assert "held against no schema" in shown.note
    assert f"/data/flights?snapshot={taken.id[:12]}" in shown.note


def test_what_validation_found_in_a_snapshot_is_shown_with_it(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse.csv"
    worse.write_text(CSV + "40,900.5,1\n")
    taken: Snapshot = call(workspace, "snapshot", worse, "--dataset", "flights").value
    assert call(workspace, "validate", taken.id, "--baseline", file).exit_code == 0
    shown = call(workspace, "show", taken.id)
    assert "0 errors, 1 warnings against" in shown.note
    assert "flights.csv" in shown.note
    assert "in row 41: '900.5'" in shown.note
    assert [finding.id for finding in shown.value.findings] == ["x.max"]
    first: Snapshot = call(workspace, "snapshot", file).value
    call(workspace, "validate", taken.id, "--baseline", first.id)
    assert f"against snapshot {first.id[:12]}" in call(workspace, "show", taken.id).note


def test_a_profile_of_a_file_is_that_of_its_snapshot(workspace: Workspace, file: Path) -> None:
    taken: Snapshot = call(workspace, "snapshot", file).value
    of_file: Result = call(workspace, "profile", file, "--target", "late")
    of_snapshot: DataProfile = call(workspace, "profile", taken.id[:12], "--target", "late").value
    assert of_file.value.columns == of_snapshot.columns
    assert of_snapshot.digest == taken.id
    assert [row["column"] for row in of_file.shown] == ["id", "x", "late"]
    assert of_file.shown[0]["flags"] == "id"


def test_validation_tells_by_its_exit_code(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text(call(workspace, "schema", file, "--key", "id"))
    assert call(workspace, "validate", file, "--schema", schema).exit_code == 0
    worse = tmp_path / "worse.csv"
    worse.write_text(CSV + "39,900.5,1\n")
    found: Result = call(workspace, "validate", worse, "--schema", schema)
    assert found.exit_code == EXIT_FINDINGS
    assert [(item.id, item.count) for item in found.value] == [("id.unique", 1), ("x.max", 1)]
    assert found.shown[0]["first rows"] == "41"
    assert call(workspace, "validate", worse, "--baseline", file).exit_code == 0


def test_two_snapshots_are_held_beside_each_other(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.csv"
    later.write_text("id,x,plan\n" + "".join(f"{row},{row % 7 + 9}.5,pro\n" for row in range(40)))
    first, second = (call(workspace, "snapshot", path, "--dataset", "flights").value for path in (file, later))
    found = call(workspace, "compare", second.id[:12], first.id[:12])
    assert [(row["column"], row["change"]) for row in found.shown] == [("plan", "new"), ("late", "gone"), ("x", ""), ("id", "")]
    assert found.shown[2]["psi"] > 1
    assert found.note.endswith(f"/data/flights?snapshot={second.id[:12]}&against={first.id[:12]}")
    assert all(not row["psi"] for row in call(workspace, "compare", first.id, first.id).shown)


def test_what_is_neither_file_nor_snapshot_is_not_found(workspace: Workspace) -> None:
    for name in ("none.csv", "abcdef"):
        with pytest.raises(NotFound):
            call(workspace, "profile", name)
