from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from perenne.auth import audit
from perenne.core.errors import NotFound
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.commands import data
from perenne.storage.workspace import Workspace

CSV = "id,x,plan\n" + "".join(f"{row},{row % 7}.5,{'basic' if row % 3 else 'plus'}\n" for row in range(40))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def schema(workspace: Workspace, file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "customers.yaml"
    path.write_text("# reviewed\n" + call(workspace, "schema", file, "--key", "id") + "\n")
    return path


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    path = tmp_path / "worse.csv"
    path.write_text(CSV + "40,900.5,<script>\n")
    return path


def call(workspace: Workspace, *arguments: object) -> Any:
    answer = CliRunner().invoke(data, list(map(str, arguments)), obj=workspace, standalone_mode=False)
    if answer.exception is not None:
        raise answer.exception
    return answer.return_value


def test_a_page_of_what_was_found(workspace: Workspace, schema: Path, worse: Path, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    found: Result = call(workspace, "validate", worse, "--schema", schema, "--html", page)
    assert found.exit_code == 0, "values out of range are warnings"
    text = page.read_text()
    assert "0 errors, 2 warnings" in text
    assert "&lt;script&gt;" in text and "<script" not in text and "http" not in text
    assert "row 41: <code>900.5</code>" in text
    call(workspace, "validate", schema.with_name("customers.csv"), "--schema", schema, "--html", page)
    assert "keeps every rule" in page.read_text()


def test_drift_is_held_against_a_baseline_and_a_snapshot_keeps_what_was_found(
    workspace: Workspace, file: Path, schema: Path, tmp_path: Path
) -> None:
    schema.write_text(schema.read_text().replace("plan: {", "plan: {drift: {metric: linf, threshold: 0.1}, severity: error, "))
    moved = tmp_path / "moved.parquet"
    pq.write_table(pa.table({"id": range(40), "x": [0.5] * 40, "plan": ["basic"] * 39 + ["plus"]}), moved)
    found: Result = call(workspace, "validate", moved, "--schema", schema, "--baseline", file)
    assert (found.exit_code, [item.id for item in found.value]) == (EXIT_FINDINGS, ["plan.drift"])
    taken = call(workspace, "snapshot", moved, "--dataset", "customers").value
    call(workspace, "validate", taken.id[:12], "--schema", schema, "--baseline", file)
    assert [item.id for item in call(workspace, "show", taken.id).value.findings] == ["plan.drift"]


def test_an_environment_and_a_check_of_the_project(workspace: Workspace, file: Path, schema: Path, tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text("")
    (tmp_path / "checks_of_customers.py").write_text(
        "def fine(table):\n    return [row != 3 for row in table['id'].to_pylist()]\n"
    )
    (tmp_path / "schemas").mkdir()
    held = tmp_path / "schemas" / "customers.yaml"
    held.write_text(
        schema.read_text() + "checks: {mine: 'checks_of_customers:fine'}\nenvironments: {serving: {absent: [plan]}}\n"
    )
    found: Result = call(workspace, "validate", file, "--schema", held)
    assert [(item.id, item.sample_rows[0].row) for item in found.value] == [("check.mine", 4)]
    told: Result = call(workspace, "validate", file, "--schema", held, "--environment", "serving")
    assert [item.id for item in told.value] == ["check.mine", "plan.new_column"]


def test_what_would_change_is_shown_and_written_when_asked(workspace: Workspace, schema: Path, worse: Path) -> None:
    before = schema.read_text()
    shown: Result = call(workspace, "fix", worse, "--schema", schema)
    assert shown.exit_code == 0
    assert schema.read_text() == before
    assert "-  plan:" in shown.note and "2 changes proposed; --yes writes them" in shown.note
    done: Result = call(workspace, "fix", worse, "--schema", schema, "--yes")
    assert "2 changes written" in done.note
    assert schema.read_text().startswith("# reviewed\n")
    assert call(workspace, "validate", worse, "--schema", schema).value == []
    worse.write_text(CSV + "39,1.5,basic\n")
    left: Result = call(workspace, "fix", worse, "--schema", schema)
    assert (left.exit_code, "left: column 'id': unique" in left.note) == (EXIT_FINDINGS, True)


def test_a_schema_for_other_tools(workspace: Workspace, schema: Path) -> None:
    assert '"$schema"' in call(workspace, "schema", schema, "--to", "json-schema")
    assert "pa.DataFrameSchema(" in call(workspace, "schema", schema, "--to", "pandera")


def test_what_is_missing_is_named(workspace: Workspace, file: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no schema"):
        call(workspace, "validate", file, "--schema", tmp_path / "nothing.yaml")
    with pytest.raises(click.UsageError):
        call(workspace, "validate", file)


def test_values_of_people_are_hidden_unless_they_are_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("id,mail\n" + "".join(f"{row},user{row}@example.org\n" for row in range(40)) + "41,user1@example.org\n")
    schema = tmp_path / "people.yaml"
    schema.write_text("table: {key: [mail]}\ncolumns: {id: {type: int64}, mail: {type: string, max_length: 5}}\n")
    page = tmp_path / "found.html"
    taken = call(workspace, "snapshot", file).value
    found: Result = call(workspace, "validate", taken.id, "--schema", schema, "--html", page)
    assert {item.check for item in found.value} == {"unique", "max_length"}
    assert "user1" not in str(found) + page.read_text()
    shown: Result = call(workspace, "validate", taken.id, "--schema", schema, "--reveal")
    assert "user1@example.org" in str(shown.value)
    with workspace.database.read() as tx:
        assert audit.trail(tx, entity_id=taken.id)[0].action == "snapshot.reveal"
    assert "user" not in call(workspace, "schema", file)
