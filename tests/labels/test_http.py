"""REST of labels: strict bodies, what each role may, and what is kept."""

from typing import Any

import httpx
import pytest
from tests.asked import ask, seen
from tests.labels.people import ADA, BEN, ELSEWHERE, VAL, VIEWER, filled, ids, made, rows, say, taken

from perenne.storage.workspace import Workspace

BASE = "/api/label/late"
DEFINITION = {"kind": "binary", "classes": [{"name": "no"}, {"name": "yes"}], "keys": ["id"]}


def said(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def test_from_a_set_to_a_training_set(workspace: Workspace) -> None:
    body = {"name": "late", "project": "flights", "definition": DEFINITION}
    assert ask(workspace, VIEWER, "POST", "/api/label", json=body).status_code == 403
    assert said(ask(workspace, ADA, "POST", "/api/label", json=body), 201)["definition"]["classes"][1]["key"] == "2"
    assert said(ask(workspace, ADA, "POST", "/api/label", json=body), 409)["error_code"] == "label.exists"
    snapshot = taken(workspace, rows(4)).id
    assert said(ask(workspace, ADA, "POST", f"{BASE}/rows", json={"snapshot": snapshot}))["items"] == 4
    given = said(ask(workspace, BEN, "POST", f"{BASE}/next", json={"count": 2}))
    assert len(given["items"]) == 2 and set(given["items"][0]["fields"]) == {"id", "words", "size"}
    item = [each["item"] for each in given["items"]]
    kept = said(ask(workspace, BEN, "POST", f"{BASE}/labels", json={"labels": [{"item": item[0], "value": "yes"}]}), 201)
    assert kept == [{"item": item[0], "value": "yes", "state": "done"}]
    assert ask(workspace, BEN, "POST", f"{BASE}/skip", json={"item": item[1]}).status_code == 200
    assert said(ask(workspace, BEN, "POST", f"{BASE}/undo", json={}))["undone"] == {"item": item[1], "was": "skipped"}
    assert said(ask(workspace, BEN, "POST", f"{BASE}/undo", json={}))["item"]["item"] == item[0]
    assert ask(workspace, BEN, "POST", f"{BASE}/undo", json={}).status_code == 409
    said(ask(workspace, ADA, "PUT", f"{BASE}/rules/large", json={"when": "size > 0.6", "value": "yes"}))
    said(ask(workspace, ADA, "PUT", f"{BASE}/rules/small", json={"when": "size <= 0.6", "value": "no"}))
    assert said(ask(workspace, ADA, "POST", f"{BASE}/rules/run", json={"method": "majority"}))["labelled"] == 4
    assert [rule["report"]["covered"] for rule in seen(workspace, VIEWER, f"{BASE}/rules")] == [2, 2]
    version = said(ask(workspace, ADA, "POST", f"{BASE}/versions", json={}))
    assert (version["classes"], version["id"]) == ({"no": 2, "yes": 2}, seen(workspace, VIEWER, f"{BASE}/versions")[0]["id"])
    made_of = said(ask(workspace, ADA, "POST", f"{BASE}/training-set", json={"seed": 3, "version": version["id"][:9]}))
    assert (made_of["rows"], made_of["unlabelled"], made_of["seed"]) == (4, 0, 3)
    assert ask(workspace, ADA, "DELETE", f"{BASE}/rules/large").status_code == 200
    assert ask(workspace, ADA, "DELETE", f"{BASE}/rules/large").status_code == 404
    assert said(ask(workspace, ADA, "POST", f"{BASE}/errors", json={}), 409)["error_code"] == "label.too_few"


def test_decisions_and_what_people_differ_on(workspace: Workspace) -> None:
    filled(workspace, opinions=2)
    item = ids(workspace)[1]
    say(workspace, BEN, {item: "yes"})
    say(workspace, VAL, {item: "no"})
    assert ask(workspace, BEN, "GET", f"{BASE}/disputes").status_code == 403
    (dispute,) = seen(workspace, VAL, f"{BASE}/disputes")
    assert {each["labeller"] for each in dispute["opinions"]} == {"ben", "val"} and dispute["fields"]["id"] == 1
    decision = {"labels": [{"item": item, "value": "yes"}]}
    assert ask(workspace, BEN, "POST", f"{BASE}/decisions", json=decision).status_code == 403
    assert said(ask(workspace, VAL, "POST", f"{BASE}/decisions", json=decision), 201)[0]["state"] == "decided"
    gold = {"labels": [{"item": ids(workspace)[2], "value": "no"}], "gold": True}
    said(ask(workspace, VAL, "POST", f"{BASE}/decisions", json=gold), 201)
    assert len(seen(workspace, VAL, f"{BASE}/labels")) == 4
    assert [each["labeller"] for each in seen(workspace, BEN, f"{BASE}/labels")] == ["ben"]
    assert [each["role"] for each in seen(workspace, VAL, f"{BASE}/labels?item={item}&after=1")] == ["opinion", "decision"]
    agreement = seen(workspace, VIEWER, f"{BASE}/agreement")
    assert agreement["items"] == 1 and {each["labeller"]: each["right"] for each in agreement["labellers"]} == {
        "ben": 1,
        "val": 0,
    }
    page = seen(workspace, VIEWER, "/api/view/label/late")
    assert (page["may_label"], page["may_decide"], page["may_change"]) == (False, False, False)
    assert seen(workspace, VIEWER, "/api/view/label")["rows"][0]["same"] == 0.5
    assert seen(workspace, VIEWER, "/api/view/label/late/work")["progress"]["decided"] == 1
    assert seen(workspace, VAL, "/api/view/label/late/decide")["total"] == 0
    assert ask(workspace, BEN, "GET", "/api/view/label/late/decide").status_code == 403


def test_tasks_of_label_studio(workspace: Workspace) -> None:
    made(workspace)
    result = [{"from_name": "t", "to_name": "text", "type": "choices", "value": {"choices": ["yes"]}}]
    tasks = [{"data": {"text": "a"}, "annotations": [{"result": result, "completed_by": 1}]}, {"data": {"text": "b"}}]
    assert said(ask(workspace, ADA, "POST", f"{BASE}/tasks", json=tasks))["kept"] == 1
    back = seen(workspace, VAL, f"{BASE}/tasks?limit=5")
    assert [len(each["annotations"]) for each in sorted(back, key=lambda each: each["data"]["text"])] == [1, 0]
    assert ask(workspace, BEN, "GET", f"{BASE}/tasks").status_code == 403
    assert said(ask(workspace, ADA, "POST", f"{BASE}/tasks", json={"x": 1}), 400)["error_code"] == "label_studio.shape"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"name": "x", "project": "p", "definition": DEFINITION, "more": 1}),
        ("POST", "", {"name": "X y", "project": "p", "definition": DEFINITION}),
        ("POST", "", {"name": "x", "project": "p", "definition": {"kind": "odd"}}),
        ("PUT", "/late", {"kind": "text"}),
        ("POST", "/late/next", {"count": 0}),
        ("POST", "/late/next", {"order": "odd"}),
        ("POST", "/late/labels", {"labels": [{"item": "x"}]}),
        ("POST", "/late/labels", {"labels": [{"item": "x", "value": "yes", "by": "me"}]}),
        ("POST", "/late/labels", {"labels": []}),
        ("POST", "/late/labels", []),
        ("POST", "/late/undo", {"x": 1}),
        ("POST", "/late/rows", {}),
        ("PUT", "/late/rules/r", {"when": "1; select 2", "value": "yes"}),
        ("POST", "/late/rules/run", {"method": "vote"}),
        ("POST", "/late/versions", {"sources": ["me"]}),
        ("POST", "/late/errors", {"folds": 1}),
    ],
)
def test_bad_bodies_are_refused_and_change_nothing(workspace: Workspace, method: str, path: str, body: Any) -> None:
    filled(workspace)
    before = seen(workspace, VAL, "/api/view/label/late")
    answer = ask(workspace, ADA, method, f"/api/label{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"] and seen(workspace, VAL, "/api/view/label/late") == before


def test_who_is_limited_to_another_project_finds_nothing(workspace: Workspace) -> None:
    filled(workspace)
    assert seen(workspace, ELSEWHERE, "/api/label") == [] == seen(workspace, ELSEWHERE, "/api/view/label")["rows"]
    for method, path in (
        ("GET", ""), ("GET", "/labels"), ("GET", "/agreement"), ("GET", "/rules"), ("GET", "/versions"), ("GET", "/tasks"),
        ("POST", "/next"), ("POST", "/labels"), ("POST", "/decisions"), ("POST", "/rows"), ("POST", "/versions"),
    ):  # fmt: skip
        assert ask(workspace, ELSEWHERE, method, BASE + path, json={}).status_code == 404, path
