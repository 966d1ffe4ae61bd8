"""A request is found again: its id, its trace, its line in the log; and what fails is logged once, with what it was about."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from tests.app.conftest import Ask

from perenne.app import requests
from perenne.app.requests import AccessLog
from perenne.automation import overview
from perenne.core.clock import DAY
from perenne.core.errors import Invalid
from perenne.projects import ProjectRecord
from perenne.projects.store import save
from perenne.telemetry import logs

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines() -> Iterator[Any]:
    """Everything that is logged, as it would be written."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter("test"))
    logger = logging.getLogger("perenne")
    logger.addHandler(handler)
    before, level = logger.level, logging.INFO
    logger.setLevel(level)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_caller_finds_its_request_by_its_own_id_or_gets_one(ask: Ask) -> None:
    given = ask("GET", "/health", headers={"x-request-id": "order-66", "traceparent": TRACE})
    assert (given.headers["x-request-id"], given.headers["traceparent"]) == ("order-66", TRACE)
    made = [ask("GET", path).headers["x-request-id"] for path in ("/health", "/nothing")]
    assert len(set(made)) == 2 and all(len(item) == 26 for item in made)
    odd = ask("GET", "/health", headers={"x-request-id": "<script>", "traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
    assert "script" not in odd.headers["x-request-id"] and "traceparent" not in odd.headers


def test_a_defect_is_logged_once_with_the_request_it_happened_in(ask: Ask, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(tx: object, **options: object) -> None:
        raise RuntimeError("password=hunter2 is wrong")

    monkeypatch.setattr(overview, "status", broken)
    answer = ask("GET", "/api/status", headers={"x-request-id": "order-66", "traceparent": TRACE})
    assert answer.status_code == 500 and "hunter2" not in answer.text
    defects = [line for line in lines() if "error.type" in line]
    assert [(line["error.type"], line["http.request.id"], line["trace.id"]) for line in defects] == [
        ("RuntimeError", "order-66", TRACE[3:35])
    ]
    assert "overview" in defects[0]["error.stack_trace"] or "broken" in defects[0]["error.stack_trace"]
    (access,) = [line for line in lines() if line["log.logger"] == "perenne.access"]
    assert (access["log.level"], access["http.response.status_code"], access["event.outcome"]) == ("warning", 500, "failure")
    assert "hunter2" not in json.dumps(lines())


def test_requests_that_go_well_are_logged_if_asked_for_by_route_and_person(
    lines: Any, workspace: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PERENNE_ACCESS_LOG", "all")
    record = ProjectRecord("lumps", "problem", "ada", "", (), (), (), None, DAY, "/nowhere", "", None, 0, 0)
    workspace.database.write(lambda tx: save(tx, record))
    ask = request.getfixturevalue("ask")
    for path in ("/api/policy/lumps/episodes?token=hunter2", "/health", "/metrics"):
        assert ask("GET", path).status_code == 200
    (line,) = [line for line in lines() if line["log.logger"] == "perenne.access"]
    assert line["labels.route"] == "/api/policy/{project}/episodes"
    assert line["http.request.method"] == "GET" and line["http.response.status_code"] == 200
    assert line["user.name"] and line["event.duration"] > 0 and line["http.response.body.bytes"] == 2
    assert line["event.category"] == ["web"] and line["event.type"] == ["access"]
    assert "hunter2" not in json.dumps(line)


def test_by_default_only_problems_are_logged(ask: Ask, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("GET", "/api/status")
    assert lines() == []
    monkeypatch.setattr(requests, "SLOW_SECONDS", 0.0)
    ask("GET", "/api/status")
    assert [line["log.level"] for line in lines()] == ["warning"]


def test_an_unknown_policy_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="PERENNE_ACCESS_LOG"):
        AccessLog({"PERENNE_ACCESS_LOG": "loud"})
