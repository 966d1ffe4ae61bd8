"""The commands of models and reviews, as a person types them."""

from typing import Any

import pytest
from click.testing import CliRunner
from tests.registry.people import ADMIN, logged, packaged, policy, write

from perenne.core.errors import Conflict, Invalid
from perenne.core.results import Result
from perenne.registry import policies
from perenne.registry.commands import model, review
from perenne.registry.review_store import ReviewState
from perenne.storage.workspace import Workspace


def run(workspace: Workspace, group: Any, *words: str) -> Any:
    done = CliRunner().invoke(group, list(words), obj=workspace, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value.value if isinstance(done.return_value, Result) else done.return_value


def test_versions_of_rounds_and_of_clients_are_listed_shown_and_found(workspace: Workspace) -> None:
    packaged(workspace)
    logged(workspace, tags={"team": "risk"})
    assert [row["version"] for row in run(workspace, model, "list")] == ["fraud@1", "late@1"]
    assert run(workspace, model, "show", "fraud@1").version.source == "s3://bucket/model"
    assert [row["model"] for row in run(workspace, model, "search", "name LIKE 'f%'")] == ["fraud"]
    assert [row["version"] for row in run(workspace, model, "search", "--versions", "tags.team = 'risk'")] == ["fraud@1"]
    with pytest.raises(Invalid):
        run(workspace, model, "search", "size = 'x'")


def test_aliases_stages_and_tags(workspace: Workspace) -> None:
    for _ in range(2):
        logged(workspace)
    assert run(workspace, model, "promote", "fraud@1", "--reason", "best")["points_to"] == "fraud@1"
    run(workspace, model, "alias", "fraud@2", "candidate")
    assert run(workspace, model, "list")[0]["alias"] == "candidate"
    run(workspace, model, "alias", "fraud@2", "candidate", "--drop")
    with pytest.raises(Invalid, match="has no alias"):
        run(workspace, model, "alias", "fraud@2", "candidate", "--drop")
    assert run(workspace, model, "archive", "fraud@2")["stage"] == "Archived"
    assert run(workspace, model, "restore", "fraud@2")["stage"] == "None"
    assert run(workspace, model, "tag", "fraud@2", "a=1", "b=x=y")["tags"] == "a=1 b=x=y"
    assert run(workspace, model, "tag", "fraud@2", "a=")["tags"] == "b=x=y"
    with pytest.raises(Invalid, match="is no tag"):
        run(workspace, model, "tag", "fraud@2", "a")
    run(workspace, model, "comment", "fraud@2", "looks good")
    assert [said.text for said in run(workspace, model, "comment", "fraud@2")] == ["looks good"]


def test_what_differs_is_named(workspace: Workspace) -> None:
    logged(workspace, tags={"a": "1"})
    logged(workspace, source="s3://other/model", tags={"a": "2"}, description="better")
    found = {(item.kind, item.name): (item.before, item.after) for item in run(workspace, model, "diff", "fraud@1", "fraud@2")}
    assert found == {
        ("tag", "a"): ("1", "2"), ("version", "source"): ("s3://bucket/model", "s3://other/model"),
        ("version", "description"): ("", "better"),
    }  # fmt: skip
    assert run(workspace, model, "diff", "fraud@1", "fraud@1") == []


def test_a_review_from_policy_to_alias(workspace: Workspace) -> None:
    logged(workspace)
    stated = run(
        workspace, review, "policy", "set", "prod", "--alias", "champion", "--approvals", "1", "--by", "validator", "--outside",
        "--metric", "auc>=0.8", "--metric", "latency_ms<=10",
    )  # fmt: skip
    assert [str(bound) for bound in stated.metrics] == ["auc ≥ 0.8", "latency_ms ≤ 10"]
    (row,) = run(workspace, review, "policies")
    assert row["needs"] == "auc ≥ 0.8; latency_ms ≤ 10; 1 × validator"
    with pytest.raises(Conflict, match="metric auc"):
        run(workspace, model, "promote", "fraud@1")
    write(workspace, policies.state, ADMIN, policy())
    opened = run(workspace, review, "open", "fraud@1", "--reason", "better")
    assert run(workspace, review, "show", opened.id).gate.state.value == "waiting"
    run(workspace, review, "comment", opened.id, "looks fine")
    assert [said.text for said in run(workspace, review, "show", opened.id).comments] == ["looks fine"]
    assert run(workspace, review, "approve", opened.id).state is ReviewState.APPROVED
    assert run(workspace, model, "promote", "fraud@1")["points_to"] == "fraud@1"
    assert [row["state"] for row in run(workspace, review, "list", "--model", "fraud")] == ["approved"]
    run(workspace, review, "policy", "remove", "prod")
    assert run(workspace, review, "policies") == []
    with pytest.raises(Invalid, match="no bound"):
        run(workspace, review, "policy", "set", "x", "--alias", "a", "--metric", "auc>0.8")


def test_a_policy_is_read_from_a_file(workspace: Workspace, tmp_path: Any) -> None:
    path = tmp_path / "prod.json"
    path.write_text('{"name": "prod", "stages": ["Production"], "checks": ["bias: *"]}')
    assert run(workspace, review, "policy", "set", "prod", "--file", str(path)).checks == ("bias: *",)
    path.write_text('{"name": "prod", "stages": ["Production"], "approval": 1}')
    with pytest.raises(Invalid, match="approval"):
        run(workspace, review, "policy", "set", "prod", "--file", str(path))


def test_a_card_of_a_clients_version_is_a_page_and_says_how_to_load_it(workspace: Workspace) -> None:
    logged(workspace, description="<script>alert(1)</script> | who cheats", tags={"a": "`x`"})
    done = CliRunner().invoke(model, ["card", "fraud@1", "--html"], obj=workspace, standalone_mode=False)
    page = done.return_value.shown
    assert page.startswith("<!doctype html>") and "<script>" not in page and "&lt;script&gt;" in page
    assert "mlflow.pyfunc.load_model(&#x27;models:/fraud/1&#x27;)" in page and "<table>" not in page.split("<body>")[0]
    assert done.return_value.value.source == "s3://bucket/model"
