"""Silences by what alerts have in common, acknowledgement and comments, each with its undo, and by whom."""

import pytest
from tests.asked import ask, seen
from tests.monitoring.alerting.conftest import Desk, Move, drift

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.wording import told as worded
from perenne.core.clock import HOUR, ManualClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.monitoring.alerting import comments, silences
from perenne.monitoring.alerts import acknowledge, unacknowledge
from perenne.monitoring.model import Severity
from perenne.monitoring.silencing import Matcher, Silence, read_matcher
from perenne.storage.workspace import Workspace

INSIDE = Principal("ida", roles=frozenset({Role.CONTRIBUTOR}), projects=frozenset({"churn"}))


def silent(workspace: Workspace, actor: Principal, *matches: str, **values: str) -> Silence:
    now = workspace.clock.now()
    matchers = [read_matcher(text) for text in matches]
    return workspace.database.write(
        lambda tx: silences.add(tx, actor, until=now + HOUR, reason="known", now=now, matchers=matchers, **values)
    )


def test_what_matches_is_told_to_nobody_and_the_rest_is(desk: Desk, move: Move, workspace: Workspace, actor: Principal) -> None:
    silent(workspace, actor, "deployment=~churn-*", "severity!=critical")
    silent(workspace, actor, "feature=price")
    for name, severity, features in (
        ("churn-eu", Severity.WARNING, ("wind",)),
        ("churn-us", Severity.CRITICAL, ("wind",)),
        ("late", Severity.WARNING, ("price", "wind")),
        ("other", Severity.WARNING, ("wind",)),
    ):
        move(name, drift(name, severity=severity, features=features))
    desk.post()
    assert sorted(message.deployment for message in desk.boxes["mail"].messages) == ["churn-us", "other"]


def test_a_silence_that_is_ended_lets_people_hear_at_the_next_alarm(
    desk: Desk, move: Move, workspace: Workspace, actor: Principal, clock: ManualClock
) -> None:
    made = silent(workspace, actor, deployment="churn")
    move("churn")
    desk.post()
    ended = workspace.database.write(lambda tx: silences.end(tx, actor, made.id, clock.now(), "it is over"))
    assert (ended.until, ended.ended_by) == (clock.now(), "ada")
    move("churn")
    desk.post()
    assert desk.boxes["mail"].subjects == ["[warning] churn@1: continues"]
    with pytest.raises(Conflict):
        workspace.database.write(lambda tx: silences.end(tx, actor, made.id, clock.now()))
    with pytest.raises(NotFound):
        workspace.database.write(lambda tx: silences.end(tx, actor, "nothing", clock.now()))
    with workspace.database.read() as tx:
        said = [worded(row).sentence for row in audit.trail(tx, entity="silence")]
        assert silences.listed(tx, actor, clock.now()) == []
        assert [item.id for item in silences.listed(tx, actor, clock.now(), ended=True)] == [made.id]
    assert said == ["ada ended the silence of deployment churn: it is over", "ada silenced deployment churn: known"]


def test_whoever_is_limited_to_a_project_silences_nothing_beyond(workspace: Workspace) -> None:
    assert silent(workspace, INSIDE, "project=churn").owner == "ida"
    for matches in (["project=other"], ["severity=info"], ["project!=churn"]):
        with pytest.raises(Denied):
            silent(workspace, INSIDE, *matches)
    with pytest.raises(Denied):
        silent(workspace, Principal("eve", roles=frozenset({Role.VIEWER})), "project=churn")


@pytest.mark.parametrize("text", ["", "deployment", "colour=red", "deployment=", "deployment~x", "Deployment=x"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no matcher"):
        read_matcher(text)


def test_a_silence_of_everything_is_refused(workspace: Workspace, actor: Principal) -> None:
    with pytest.raises(Invalid, match="says what it matches"):
        silent(workspace, actor)


def test_acknowledging_can_be_taken_back_once(move: Move, workspace: Workspace, actor: Principal) -> None:
    alert = move("churn")
    assert alert is not None
    write = workspace.database.write
    assert write(lambda tx: acknowledge(tx, actor, alert.id)).acknowledged_by == "ada"
    assert write(lambda tx: unacknowledge(tx, actor, alert.id)).acknowledged_by == ""
    with pytest.raises(Conflict):
        write(lambda tx: unacknowledge(tx, actor, alert.id))


def test_comments_are_kept_in_order_with_who_and_told_in_words(
    move: Move, workspace: Workspace, actor: Principal, clock: ManualClock
) -> None:
    alert = move("churn")
    assert alert is not None
    for text in (" the feed is down ", "it is back"):
        workspace.database.write(lambda tx, text=text: comments.add(tx, actor, alert.id, text, clock.now()))  # type: ignore[misc]
    shown = seen(workspace, actor, f"/api/alert/{alert.id}")
    assert [(item["author"], item["text"]) for item in shown["comments"]] == [("ada", "the feed is down"), ("ada", "it is back")]
    with pytest.raises(Invalid):
        workspace.database.write(lambda tx: comments.add(tx, actor, alert.id, "  ", clock.now()))


def test_rest_of_silences_comments_and_undo(move: Move, workspace: Workspace, actor: Principal) -> None:
    alert = move("churn")
    assert alert is not None
    path = f"/api/alert/{alert.id}"
    assert ask(workspace, actor, "POST", f"{path}/comment", json={"text": "why?"}).status_code == 201
    assert ask(workspace, actor, "POST", f"{path}/acknowledge", json={}).json()["acknowledged_by"] == "ada"
    assert ask(workspace, actor, "POST", f"{path}/unacknowledge", json={}).json()["acknowledged_by"] == ""
    body = {"for": "2h", "reason": "moving", "match": ["project=churn"]}
    made = ask(workspace, actor, "POST", "/api/alert/silences", json=body)
    assert made.status_code == 201 and made.json()["matchers"] == [{"label": "project", "sign": "=", "value": "churn"}]
    assert [item["id"] for item in seen(workspace, actor, "/api/alert/silences")] == [made.json()["id"]]
    view = seen(workspace, actor, f"/api/view/alert?alert={alert.id}")
    assert view["rows"][0]["silence"]["reason"] == "moving" and view["chosen"]["comments"][0]["text"] == "why?"
    ended = ask(workspace, actor, "POST", f"/api/alert/silences/{made.json()['id']}/end", json={"reason": "done"})
    assert ended.json()["ended_by"] == "ada"
    assert [item["deployment"] for item in seen(workspace, actor, "/api/alert/digest?for=1d")["open"]] == ["churn"]
    for wrong in ({"for": "2h", "reason": "x"}, {"for": "2h", "reason": "x", "match": ["x"]}, {"reason": "x", "rule": "drift"}):
        assert ask(workspace, actor, "POST", "/api/alert/silences", json=wrong).status_code == 400
    assert Matcher("project", "=", "churn") == read_matcher("project=churn")
