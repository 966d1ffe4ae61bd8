"""REST of deployments: every change a person can make, who may not, and what is refused without a change."""

from typing import Any

import pytest
from tests.asked import ask, seen
from tests.serving.test_deployments import change, register

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.storage.workspace import Workspace


@pytest.fixture
def versions(workspace: Workspace, actor: Principal) -> list[str]:
    """Three versions of `late`; the first one answers as `delays`, of the project `flights`."""
    made = [register(workspace.database, actor, seed) for seed in "abc"]
    change(workspace.database, actor, "deploy", made[0], answer="on time")
    return made


def post(workspace: Workspace, actor: Principal, what: str, **body: Any) -> Any:
    return ask(workspace, actor, "POST", f"/api/deploy/delays/{what}", json=body)


def test_a_person_changes_what_is_served(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    first, second, third = versions
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("challenger", {"version": second, "reason": "look at it"}, first),
        ("challenger", {"version": third}, first),
        ("challenger/remove", {"version": third, "reason": "too slow"}, first),
        ("promote", {"version": second, "reason": "better"}, second),
        ("stop", {"mode": "previous", "reason": "odd answers"}, second),
        ("resume", {"reason": "a false alarm"}, second),
        ("stop", {"mode": "constant", "reason": "odd again", "answer": 0}, second),
        ("roll-back", {"reason": "it was odd"}, first),
    ]
    for what, body, champion in steps:
        answer = post(workspace, actor, what, **body)
        assert answer.status_code == 200, answer.text
        assert next(item["version"] for item in answer.json()["variants"] if item["role"] == "champion") == champion
    with workspace.database.read() as tx:
        trail = [(row.action, row.reason, row.actor) for row in audit.trail(tx, entity="deployment", entity_id="delays")]
    assert trail[0] == ("deployment.rolled_back", "it was odd", "ada") and len(trail) == 9
    shown = seen(workspace, actor, "/api/deploy/delays")
    assert shown == seen(workspace, actor, "/api/deploy")[0] and shown["generation"] == 9 and shown["stop"] is None


@pytest.mark.parametrize(
    ("what", "body", "status", "code"),
    [
        ("roll-back", {"reason": "why"}, 409, "deployment.no_previous"),
        ("roll-back", {}, 400, "json.invalid"),
        ("roll-back", {"reason": ""}, 400, "json.invalid"),
        ("roll-back", {"reason": "why", "force": True}, 400, "json.invalid"),
        ("promote", {"version": "late@2"}, 404, "deployment.challenger_not_found"),
        ("promote", {"version": 2}, 400, "json.invalid"),
        ("challenger", {"version": "late@9"}, 404, "model.not_found"),
        ("challenger", {"version": "late@1"}, 409, "deployment.challenger"),
        ("challenger/remove", {"version": "late@2"}, 404, "deployment.challenger_not_found"),
        ("stop", {"mode": "sideways", "reason": "why"}, 400, "json.invalid"),
        ("stop", {"mode": "previous", "reason": "why"}, 409, "deployment.no_previous"),
        ("stop", {"mode": "constant", "reason": "why", "answer": [1]}, 400, "json.invalid"),
        ("stop", {"mode": "constant"}, 400, "json.invalid"),
        ("resume", {}, 409, "deployment.not_stopped"),
        ("resume", {"reason": "x" * 3_000}, 400, "json.invalid"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    workspace: Workspace, actor: Principal, versions: list[str], what: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = post(workspace, actor, what, **body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert seen(workspace, actor, "/api/deploy/delays")["generation"] == 1


CHANGES = ["roll-back", "promote", "stop", "resume", "challenger", "challenger/remove"]


@pytest.mark.parametrize("what", CHANGES)
def test_who_may_not_is_refused(workspace: Workspace, versions: list[str], what: str) -> None:
    for role in (Role.VIEWER, Role.CONTRIBUTOR, Role.APPROVER, Role.AUDITOR, Role.CALLER):
        assert post(workspace, Principal("eve", roles=frozenset({role})), what, reason="why").status_code == 403, role
    elsewhere = Principal("eve", roles=frozenset({Role.DEPLOYER}), projects=frozenset({"others"}))
    assert post(workspace, elsewhere, what, reason="why").json()["error_code"] == "request.not_found"


def test_who_is_limited_to_a_project_may_there_and_sees_nothing_else(workspace: Workspace, versions: list[str]) -> None:
    inside = Principal("ida", roles=frozenset({Role.DEPLOYER}), projects=frozenset({"flights"}))
    outside = Principal("oda", roles=frozenset({Role.DEPLOYER}), projects=frozenset({"others"}))
    assert post(workspace, inside, "challenger", version=versions[1]).status_code == 200
    assert [item["name"] for item in seen(workspace, inside, "/api/deploy")] == ["delays"]
    assert seen(workspace, outside, "/api/deploy") == []
    assert ask(workspace, outside, "GET", "/api/deploy/delays").status_code == 404


def test_the_list_goes_on_after_a_name(workspace: Workspace, actor: Principal, versions: list[str]) -> None:
    assert [item["name"] for item in seen(workspace, actor, "/api/deploy?project=flights&limit=1")] == ["delays"]
    assert seen(workspace, actor, "/api/deploy?after=delays") == [] == seen(workspace, actor, "/api/deploy?project=none")
    for limit in ("-1", "x", "1e3"):
        assert ask(workspace, actor, "GET", f"/api/deploy?limit={limit}").json()["error_code"] == "request.query"
