"""REST of alerts: listed, acknowledged, silenced; by whom, and what is refused."""

from typing import Any

import pytest
from tests.asked import ask, seen
from tests.monitoring.conftest import DEPLOYMENT, Spool, make_rows

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.storage.workspace import Workspace

INSIDE = Principal("ida", roles=frozenset({Role.CONTRIBUTOR}), projects=frozenset({"flight-delays"}))
OUTSIDE = Principal("oda", roles=frozenset({Role.CONTRIBUTOR}), projects=frozenset({"others"}))


@pytest.fixture
def alert(workspace: Workspace, spool: Spool, actor: Principal) -> str:
    """An alert that fires."""
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0), window)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    (found,) = seen(workspace, actor, "/api/alert")
    assert found["state"] == "firing" and found["causes"][0]["feature"] == "wind"
    return str(found["id"])


def post(workspace: Workspace, actor: Principal, alert: str, what: str, body: dict[str, Any]) -> Any:
    return ask(workspace, actor, "POST", f"/api/alert/{alert}/{what}", json=body)


def test_a_person_says_that_they_are_on_it_and_asks_for_silence(workspace: Workspace, alert: str) -> None:
    assert post(workspace, INSIDE, alert, "acknowledge", {}).json()["acknowledged_by"] == "ida"
    silence = post(workspace, INSIDE, alert, "silence", {"for": "1h", "reason": "a storm"}).json()
    assert (silence["deployment"], silence["rule"], silence["owner"]) == (DEPLOYMENT, "drift", "ida")
    assert silence["until"] == workspace.clock.now() + HOUR
    with workspace.database.read() as tx:
        trail = [(row.action, row.actor, row.reason) for row in audit.trail(tx, entity="alert", entity_id=alert, limit=2)]
    assert trail == [("alert.silence", "ida", "a storm"), ("alert.acknowledge", "ida", "")]


@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("acknowledge", {"by": "me"}, "json.invalid"),
        ("silence", {"for": "1h"}, "json.invalid"),
        ("silence", {"for": "1h", "reason": ""}, "json.invalid"),
        ("silence", {"for": "1h", "reason": "  "}, "alert.reason"),
        ("silence", {"for": "", "reason": "why"}, "time.duration"),
        ("silence", {"for": "soon", "reason": "why"}, "time.duration"),
        ("silence", {"for": "0s", "reason": "why"}, "alert.until"),
        ("silence", {"for": "53w", "reason": "why"}, "alert.until"),
        ("silence", {"for": "9" * 39 + "w", "reason": "why"}, "alert.until"),
        ("silence", {"for": "9" * 400 + "w", "reason": "why"}, "json.invalid"),
        ("silence", {"for": 3600, "reason": "why"}, "json.invalid"),
        ("silence", {"for": "1h", "reason": "why", "rule": ""}, "json.invalid"),
    ],
)
def test_what_cannot_be_said_is_refused(
    workspace: Workspace, actor: Principal, alert: str, what: str, body: dict[str, Any], code: str
) -> None:
    answer = post(workspace, actor, alert, what, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    with workspace.database.read() as tx:
        assert {row.actor for row in audit.trail(tx, entity="alert", entity_id=alert)} == {"monitoring"}


def test_who_may_not_is_refused_and_who_is_elsewhere_sees_nothing(workspace: Workspace, alert: str) -> None:
    for role in (Role.VIEWER, Role.AUDITOR, Role.ADMIN, Role.CALLER):
        for what in ("acknowledge", "silence"):
            assert post(workspace, Principal("eve", roles=frozenset({role})), alert, what, {}).status_code == 403, role
    assert post(workspace, OUTSIDE, alert, "acknowledge", {}).status_code == 404
    assert post(workspace, INSIDE, "nothing", "acknowledge", {}).status_code == 404
    assert seen(workspace, OUTSIDE, "/api/alert") == []
    assert [item["id"] for item in seen(workspace, INSIDE, f"/api/alert?deployment={DEPLOYMENT}&all=1")] == [alert]
    assert seen(workspace, INSIDE, "/api/alert?deployment=elsewhere") == []
    assert ask(workspace, INSIDE, "GET", "/api/alert?limit=x").json()["error_code"] == "request.query"
