"""REST of reviews, policies, aliases, stages, comments and cards; and what clients of MLflow are told when the gate refuses."""

from typing import Any

import httpx
import pytest
from tests.app import servers
from tests.asked import ask, seen
from tests.registry.people import (
    ADA,
    ADMIN,
    APPROVER,
    DEPLOYER,
    ELSEWHERE,
    VAL,
    VIEWER,
    logged,
    packaged,
    policy,
    write,
)

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.registry import policies
from perenne.storage.workspace import Workspace


def said(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_policy_a_review_and_an_alias(workspace: Workspace) -> None:
    logged(workspace)
    stated = {"name": "prod", "aliases": ["champion"], "approvals": 1, "approvers": ["reviewer"], "outside": True}
    assert ask(workspace, ADA, "PUT", "/api/review/policy/prod", json=stated).status_code == 403
    said(ask(workspace, ADMIN, "PUT", "/api/review/policy/prod", json=stated))
    assert said(ask(workspace, ADMIN, "PUT", "/api/review/policy/other", json=stated), 400)["error_code"] == "policy.name"
    assert [kept["policy"]["name"] for kept in seen(workspace, VIEWER, "/api/review/policy")] == ["prod"]
    alias = {"version": "fraud@1", "reason": "better"}
    assert "policy prod" in said(ask(workspace, DEPLOYER, "PUT", "/api/model/fraud/alias/champion", json=alias), 409)["message"]
    opened = said(ask(workspace, ADA, "POST", "/api/model/version/fraud@1/review", json={"target": "champion"}), 201)
    path = f"/api/review/{opened['id']}"
    assert seen(workspace, VIEWER, path)["gate"]["state"] == "waiting"
    assert ask(workspace, ELSEWHERE, "GET", path).status_code == 404
    for who in (APPROVER, DEPLOYER):
        assert ask(workspace, who, "POST", f"{path}/verdict", json={"approve": True}).status_code == 403
    rex = Principal("rex", roles=frozenset({Role.REVIEWER}))
    assert said(ask(workspace, rex, "POST", f"{path}/verdict", json={"approve": True}))["state"] == "approved"
    assert ask(workspace, DEPLOYER, "POST", f"{path}/withdraw", json={}).status_code == 409
    assert said(ask(workspace, DEPLOYER, "PUT", "/api/model/fraud/alias/champion", json=alias))["id"] == "fraud@1"
    assert [item["state"] for item in seen(workspace, ADA, "/api/review?model=fraud&state=approved")] == ["approved"]
    assert ask(workspace, ADA, "GET", "/api/review?state=odd").status_code == 400
    assert ask(workspace, DEPLOYER, "DELETE", "/api/model/fraud/alias/champion").status_code == 409
    said(ask(workspace, ADMIN, "DELETE", "/api/review/policy/prod"))
    assert said(ask(workspace, DEPLOYER, "DELETE", "/api/model/fraud/alias/champion"))["name"] == "champion"
    assert ask(workspace, DEPLOYER, "DELETE", "/api/model/fraud/alias/champion").status_code == 404


def test_stages_tags_evidence_comparison_and_cards(workspace: Workspace) -> None:
    packaged(workspace)
    logged(workspace)
    base = "/api/model/version/fraud@1"
    assert said(ask(workspace, DEPLOYER, "POST", f"{base}/stage", json={"stage": "staging"}))["stage"] == "Staging"
    assert ask(workspace, DEPLOYER, "POST", f"{base}/stage", json={"stage": "prod"}).status_code == 400
    assert said(ask(workspace, ADA, "PUT", f"{base}/tag/checked", json={"value": "yes"})) == {"checked": "yes"}
    fact = [{"check": "bias: age", "verdict": "pass", "value": 0.02}]
    assert ask(workspace, ADA, "POST", f"{base}/evidence", json=fact).status_code == 403
    assert said(ask(workspace, VAL, "POST", f"{base}/evidence", json=fact), 201)["evidence"][0]["check"] == "bias: age"
    kinds = {item["kind"] for item in seen(workspace, VIEWER, f"{base}/diff?with=late@1")}
    assert {"evidence", "tag", "version"} <= kinds
    assert ask(workspace, VIEWER, "GET", f"{base}/diff").status_code == 400
    for form, kind in (("", "text/markdown"), ("?form=html", "text/html"), ("?form=json", "application/json")):
        answer = ask(workspace, VIEWER, "GET", f"{base}/card{form}")
        assert answer.headers["content-type"].startswith(kind) and "attachment" in answer.headers["content-disposition"]
    assert ask(workspace, VIEWER, "GET", f"{base}/card?form=pdf").status_code == 400
    found = seen(workspace, VIEWER, "/api/view/model?order=-updated")
    assert [(row["model"], row["form"], row["stages"]) for row in found["rows"]] == [
        ("fraud", "logged", {"Staging": 1}), ("late", "package", {}),
    ]  # fmt: skip


def test_comments_on_versions_and_reviews(workspace: Workspace) -> None:
    logged(workspace)
    path = "/api/comments/version/fraud@1"
    made = said(ask(workspace, ADA, "POST", path, json={"text": "good"}), 201)
    assert ask(workspace, VIEWER, "POST", path, json={"text": "hm"}).status_code == 403
    assert ask(workspace, ELSEWHERE, "GET", path).status_code == 404
    assert ask(workspace, ADA, "GET", "/api/comments/nothing/1").status_code == 404
    assert ask(workspace, ADA, "POST", "/api/comments/version/fraud@9", json={"text": "x"}).status_code == 404
    assert [item["text"] for item in seen(workspace, VIEWER, path)] == ["good"]
    one = f"/api/comments/{made['id']}"
    assert ask(workspace, VAL, "PUT", one, json={"text": "bad"}).status_code == 403
    assert said(ask(workspace, ADA, "PUT", one, json={"text": "better"}))["text"] == "better"
    said(ask(workspace, ADA, "DELETE", one))
    assert seen(workspace, VIEWER, path) == []


@pytest.mark.parametrize("prefix", ["/api/2.0", "/ajax-api/2.0"])
def test_a_client_of_mlflow_is_told_why_it_is_refused(workspace: Workspace, prefix: str) -> None:
    for _ in range(2):
        logged(workspace)
    write(workspace, policies.state, ADMIN, policy(stages=("Production",)))
    with servers.control_plane(workspace) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}{prefix}/mlflow") as client:
        for answer in (
            client.post("registered-models/alias", json={"name": "fraud", "alias": "champion", "version": "1"}),
            client.post("model-versions/transition-stage", json={"name": "fraud", "version": 2, "stage": "Production"}),
        ):
            body = said(answer, 403)
            assert body["error_code"] == "PERMISSION_DENIED"
            assert "approval 1 of 1 by validator (policy prod)" in body["message"]
        assert client.post("registered-models/alias", json={"name": "fraud", "alias": "free", "version": 1}).json() == {}
        assert client.get("registered-models/alias", params={"name": "fraud", "alias": "champion"}).status_code == 400
        for path, given in (
            ("registered-models/alias", {"name": "fraud", "alias": "x", "version": [1]}),
            ("registered-models/create", {"name": "a\u0000b"}),
            ("model-versions/create", {"name": "fraud", "source": "s3://b/\u0000"}),
            ("registered-models/set-tag", {"name": "fraud", "key": "k", "value": "a\u0000"}),
            ("model-versions/transition-stage", {"name": "fraud", "version": "9" * 40, "stage": "Staging"}),
        ):
            assert 400 <= client.post(path, json=given).status_code < 500, path
        for text in ("name = '", "(" * 200, "tags.`a = 'x'"):
            assert client.get("model-versions/search", params={"filter": text}).status_code == 400, text
