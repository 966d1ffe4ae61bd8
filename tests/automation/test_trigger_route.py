"""REST of retraining by hand."""

import pytest
from tests.asked import ask, seen
from tests.automation.test_reactions import Stage

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock
from perenne.storage.workspace import Workspace


@pytest.fixture
def stage(workspace: Workspace, clock: ManualClock, actor: Principal) -> Stage:
    made = Stage(workspace, clock, actor)
    made.state()
    return made


def test_an_owner_retrains_by_hand_once(stage: Stage) -> None:
    stage.version("a")
    owner = Principal("ola", roles=frozenset({Role.OWNER}), projects=frozenset({"p"}))
    answer = ask(stage.workspace, owner, "POST", "/api/policy/p/trigger", json={"reason": "new season"})
    assert answer.status_code == 201 and answer.json()["cause"] == "by hand: new season"
    assert [item["id"] for item in seen(stage.workspace, owner, "/api/policy/p/episodes")] == [answer.json()["id"]]
    with stage.workspace.database.read() as tx:
        assert audit.trail(tx, entity="episode")[0].actor == "ola"
    again = ask(stage.workspace, owner, "POST", "/api/policy/p/trigger", json={"reason": "once more"})
    assert (again.status_code, again.json()["error_code"]) == (409, "policy.busy")


def test_what_cannot_be_is_refused(stage: Stage, actor: Principal) -> None:
    def post(who: Principal, project: str, body: object) -> tuple[int, str]:
        answer = ask(stage.workspace, who, "POST", f"/api/policy/{project}/trigger", json=body)
        return answer.status_code, answer.json()["error_code"]

    assert post(actor, "p", {"reason": "why"}) == (409, "policy.missing")
    assert post(actor, "q", {"reason": "why"}) == (404, "project.not_found")
    bodies: list[object] = [{}, {"reason": ""}, {"reason": None}, {"reason": "why", "force": 1}, []]
    for body in bodies:
        assert post(actor, "p", body) == (400, "json.invalid")
    assert post(actor, "p", {"reason": " "}) == (400, "policy.reason")
    for role in Role:
        if role is not Role.OWNER:
            assert post(Principal("eve", roles=frozenset({role})), "p", {"reason": "why"})[0] == 403
    assert post(Principal("eve", roles=frozenset({Role.OWNER}), projects=frozenset({"q"})), "p", {"reason": "why"})[0] == 404
