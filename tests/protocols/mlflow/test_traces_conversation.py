"""What MLflow's own server answered about traces, held against what ours does; where ours differs on purpose, it says why."""

import json
from pathlib import Path
from typing import Any

import httpx
from tests.protocols.mlflow.traces_conversation import STEPS, held

RECORDED = Path(__file__).with_name("traces_recorded.json")
_NAMED = "a trace of OpenTelemetry has the name of its root, by which it is found"
DIFFERENT = {
    "what the client sent, 3": "the answer has the tags that were just set",
    "spans of a trace that is not there": "one text for what is not there",
    "a trace in no experiment": "it is said that there is no such experiment",
    "a child, as JSON": "JSON is answered with JSON, as OTLP asks",
    "its root": "JSON is answered with JSON, as OTLP asks",
    "a trace that failed": _NAMED,
    "several": _NAMED,
    "several without spans": _NAMED,
    "link to a run that is not there": "404, where MLflow keeps a link to nothing",
    "all": _NAMED,
    "two": _NAMED,
    "where status = 'ERROR'": _NAMED,
    "where tags.a IS NULL": _NAMED,
    "where timestamp_ms >= 1767225600123": _NAMED,
    "where span.status = 'ERROR'": _NAMED,
    "where feedback.score IS NULL": _NAMED,
    "where nonsense = 'x'": "sets are printed sorted",
    "where status > 'OK'": "sets are printed sorted, and more can be asked",
    "where execution_time_ms = 'long'": "400, where MLflow compares a number with a text",
    "spans": "spans without a type count as UNKNOWN",
    "where it belongs now": "experiments are listed by their numbers",
    "issues": "no empty token after the last page",
    "issues that are open": "no empty token after the last page",
    "Ada's queues": "no empty token after the last page",
    "what waits": "no empty token after the last page",
    "begin the old way": "what has not ended did not take 0 milliseconds",
}


def test_every_answer_is_that_of_mlflows_server_but_for_what_differs_on_purpose(client: httpx.Client) -> None:
    recorded: list[dict[str, Any]] = json.loads(RECORDED.read_bytes())
    answers = held(client)
    assert [one["step"] for one in recorded] == [step.name for step in STEPS], "it was recorded after the last change"
    for ours, theirs in zip(answers, recorded, strict=True):
        if isinstance(ours["answer"], dict):
            ours["answer"].pop("hint", None)  # ours alone
        assert ours["status"] < 500, ours
        if theirs["step"] in DIFFERENT:
            assert ours != theirs, f"{theirs['step']}: the same by now"
        else:
            assert ours == theirs
