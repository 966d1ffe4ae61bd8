"""`perenne model bill`, as a person types it, and over REST."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.asked import ask
from tests.registry.people import ADMIN, VIEWER, logged
from tests.serving.packages import made_packages

from perenne.core.errors import Conflict
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN
from perenne.delivery.bill.commands import bill
from perenne.registry import GatePolicy, Verdict, service
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

pytestmark = pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)


@pytest.fixture
def version(workspace: Workspace) -> str:
    tree = put_tree(workspace.objects, made_packages()["first"])
    return workspace.database.write(
        lambda tx: service.register(
            tx, ADMIN, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(),
        )
    ).id  # fmt: skip


def run(workspace: Workspace, *words: str) -> Any:
    done = CliRunner().invoke(bill, list(words), obj=workspace, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value


def test_a_bill_is_shown_written_and_served(workspace: Workspace, version: str, tmp_path: Path) -> None:
    found = run(workspace, version, "--to", str(tmp_path / "late.cdx.json"))
    parts = {row["part"]: row for row in found.shown}
    assert parts["onnxruntime"]["needed"] == "to answer" and parts["skops"]["needed"] == "to package"
    written = msgspec.json.decode((tmp_path / "late.cdx.json").read_bytes())
    assert written == found.value and written["components"][0]["type"] == "machine-learning-model"
    answer = ask(workspace, VIEWER, "GET", f"/api/model/version/{version}/bill")
    assert answer.json() == written and "cyclonedx" in answer.headers["content-type"]


def test_what_is_found_is_evidence_and_decides_the_exit_code(
    workspace: Workspace, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(workspace, version, "--check").exit_code == EXIT_UNKNOWN, "no source of advisories is configured"
    record = {"id": "PYSEC-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "numpy"}, "ranges": []}]}
    record["affected"][0]["ranges"] = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]  # type: ignore[index]
    (tmp_path / "osv").mkdir()
    (tmp_path / "osv" / "1.json").write_text(json.dumps(record))
    monkeypatch.setenv("PERENNE_ADVISORIES", str(tmp_path / "osv"))
    assert run(workspace, version, "--check").exit_code == EXIT_FINDINGS
    with workspace.database.read() as tx:
        evidence = {item.check: item for item in service.dossier(tx, version).evidence}
    assert evidence["vulnerabilities"].verdict is Verdict.FAIL and "PYSEC-1 in numpy" in evidence["vulnerabilities"].detail
    assert evidence["bill of materials"].verdict is Verdict.PASS


def test_what_a_client_logged_has_no_bill(workspace: Workspace) -> None:
    with pytest.raises(Conflict, match="not packaged"):
        run(workspace, logged(workspace).id)
