"""A conversation about traces and all that is said of them; recorded from MLflow's own server, and held with ours in the tests.

What brings the first trace is what MLflow's client sent for a function with two others inside, byte for byte.

python -m tests.protocols.mlflow.traces_conversation http://127.0.0.1:5000 > tests/protocols/mlflow/traces_recorded.json
"""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
from tests.protocols.mlflow.conversation import NEW, OLD, Step, hold

SENT = json.loads(Path(__file__).with_name("spans_recorded.json").read_bytes())
ASK = "tr-edde343deb8be8d3c8af6c29e137b4f3"
PLAIN, LATE = "tr-" + "1" * 32, "tr-" + "2" * 32
_TIMES: tuple[str, ...] = (
    "created_time",
    "created_timestamp",
    "last_updated_timestamp",
    "creation_time_ms",
    "last_update_time_ms",
)
_TIMES += ("created_at", "last_updated_at", "completed_time_ms", "digest", "scorer_id")


def _step(method: str, name: str, path: str, given: Any = None, **keep: str) -> Step:
    return Step(name, method, path if path.startswith("/") else f"{NEW}/{path}", {} if given is None else given, keep)


def _get(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return _step("GET", name, path, given, **keep)


def _post(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return _step("POST", name, path, given, **keep)


def _patch(name: str, path: str, given: Any = None) -> Step:
    return _step("PATCH", name, path, given)


def _delete(name: str, path: str, given: Any = None) -> Step:
    return _step("DELETE", name, path, given)


def _sent(number: int) -> Step:
    one = SENT[number]
    body = base64.b64decode(one["body"])
    if one["headers"]["content-type"] == "application/json":
        return Step(f"what the client sent, {number}", "POST", one["path"], moved(json.loads(body)))
    return Step(f"what the client sent, {number}", "POST", one["path"], body, headers=one["headers"])


def moved(sent: Any) -> Any:
    """Put a recorded trace into the experiment of the conversation."""
    sent["trace"]["trace_info"]["trace_location"]["mlflow_experiment"]["experiment_id"] = "{exp}"
    return sent


def _info(identity: str, **more: Any) -> dict[str, Any]:
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{exp}"}}
    info = {"trace_id": identity, "trace_location": place, "request_time": "2026-01-01T00:00:00.123Z", "state": "OK"}
    return {"trace": {"trace_info": info | more}}


def _otlp(**span: Any) -> dict[str, Any]:
    whole = {"traceId": LATE[3:], "spanId": "2" * 16, "name": "late", "startTimeUnixNano": "1767225600123456789", "kind": 1}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [whole | {"endTimeUnixNano": "1767225601123456789"} | span]}]}]}


def _export(name: str, given: Any, **headers: str) -> Step:
    told = {"content-type": "application/json", "x-mlflow-experiment-id": "{exp}"} | headers
    return Step(name, "POST", "/v1/traces", json.dumps(given).encode(), headers=told)


EXP: dict[str, Any] = {"experiment_ids": ["{exp}"]}
PLACES = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "{exp}"}}]
SOURCE = {"source_type": "HUMAN", "source_id": "ada"}
WHEN = {"create_time": "2026-01-02T03:04:05.678Z", "last_update_time": "2026-01-02T03:04:05.678Z"}


def _search(name: str, text: str = "", **more: Any) -> Step:
    return _post(name, "traces/search", {"locations": PLACES, "filter": text} | more)


def _said(name: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"assessment": {"assessment_name": name, "source": SOURCE, "feedback": {"value": value}, "valid": True} | WHEN | more}


TRACES = [
    Step("an experiment", "POST", f"{OLD}/experiments/create", {"name": "traced"}, {"exp": "experiment_id"}),
    Step("a run", "POST", f"{OLD}/runs/create", {"experiment_id": "{exp}", "start_time": 1}, {"run": "run.info.run_id"}),
    *(_sent(number) for number in range(4)),
    _get("the trace", f"traces/{ASK}"),
    _get("the trace with its spans", "traces/get", {"trace_id": ASK}),
    _get("a trace that is not there", "traces/tr-nobody"),
    _get("spans of a trace that is not there", "traces/get", {"trace_id": "tr-nobody", "allow_partial": "true"}),
    _get("get without an id", "traces/get"),
    _post(
        "a trace without spans", "traces", _info(PLAIN, execution_duration="1.500s", tags={"mlflow.traceName": "plain", "a": "b"})
    ),
    _post("a trace that says nothing", "traces", {}),
    _post("a trace in no experiment", "traces", _info("tr-x", trace_location={"mlflow_experiment": {"experiment_id": "99999"}})),
    _export("a child, as JSON", _otlp(parentSpanId="3" * 16, attributes=[{"key": "n", "value": {"intValue": "5"}}])),
    _get("a trace in progress", f"traces/{LATE}"),
    _export("its root", _otlp(spanId="3" * 16, name="root", status={"code": 2, "message": "no"})),
    _get("a trace that failed", "traces/get", {"trace_id": LATE}),
    _get("several", "traces/batchGet", {"trace_ids": [ASK, "tr-nobody", LATE]}),
    _get("none of no experiment", "traces/batchGet?experiment_ids="),
    _post("several without spans", "traces/batchGetInfos", {"trace_ids": [LATE, PLAIN]}),
    _post("none of none", "traces/batchGetInfos", {"trace_ids": [LATE], "experiment_ids": []}),
    _post("without ids", "traces/batchGetInfos", {}),
    _patch("set a tag", f"traces/{PLAIN}/tags", {"key": "k", "value": "v"}),
    _patch("set a tag the old way", f"{OLD}/traces/{PLAIN}/tags", {"key": "k", "value": "w"}),
    _patch("set a tag without a key", f"traces/{PLAIN}/tags", {"value": "v"}),
    _patch("set what is not for setting", f"traces/{PLAIN}/tags", {"key": "mlflow.trace.spansLocation", "value": "x"}),
    _patch("set the name", f"traces/{PLAIN}/tags", {"key": "mlflow.traceName", "value": "renamed"}),
    _delete("delete a tag", f"traces/{PLAIN}/tags", {"key": "k"}),
    _delete("delete it again", f"traces/{PLAIN}/tags", {"key": "k"}),
    _post("link to the run", f"{OLD}/traces/link-to-run", {"trace_ids": [PLAIN], "run_id": "{run}"}),
    _post("link without a run", f"{OLD}/traces/link-to-run", {"trace_ids": [PLAIN]}),
    _post("link to a run that is not there", f"{OLD}/traces/link-to-run", {"trace_ids": [PLAIN], "run_id": "0" * 32}),
    _post("link prompts", f"{OLD}/traces/link-prompts", {"trace_id": PLAIN, "prompt_versions": [{"name": "p", "version": "2"}]}),
    _post(
        "prompts of nobody",
        f"{OLD}/traces/link-prompts",
        {"trace_id": "tr-x", "prompt_versions": [{"name": "p", "version": "2"}]},
    ),
]
SEARCHES = [
    _search("all"),
    _search("two", max_results=2, order_by=["timestamp_ms ASC"]),
    *(
        _search(f"where {text}", text, order_by=["timestamp DESC"])
        for text in (
            "status = 'ERROR'",
            "trace.status != 'ERROR'",
            "name LIKE 'a%'",
            "tags.a = 'b' AND name = 'renamed'",
            "tags.a IS NULL",
            "metadata.`mlflow.trace.session` = 's-1'",
            "request_metadata.own = 'x'",
            "execution_time_ms > 1000",
            "timestamp_ms >= 1767225600123",
            "client_request_id = 'req-1'",
            "request_id IN ('tr-x', 'tr-" + "1" * 32 + "')",
            "run_id = '{run}'",
            "prompt = 'p/2'",
            "span.name = 'llm' AND span.type = 'CHAT_MODEL'",
            "span.name = 'llm' AND span.type = 'RETRIEVER'",
            "span.status = 'ERROR'",
            "span.attributes.`mlflow.llm.model` LIKE '%gpt%'",
            "span.content LIKE '%doc about%'",
            "trace.text LIKE '%doc about%'",
            "name RLIKE '^re'",
            "nonsense = 'x'",
            "status > 'OK'",
            "execution_time_ms = 'long'",
            "prompt != 'p/2'",
        )
    ),
    _search("for none", max_results=0),
    _search("for too many", max_results=501),
    _post("nowhere", "traces/search", {}),
    _post(
        "correlation",
        "traces/calculate-filter-correlation",
        EXP | {"filter_string1": "status = 'OK'", "filter_string2": "tags.a = 'b'"},
    ),
    _post(
        "no correlation",
        "traces/calculate-filter-correlation",
        EXP | {"filter_string1": "name = 'no'", "filter_string2": "tags.a = 'b'"},
    ),
]
ASSESSMENTS = [
    _post(
        "say yes",
        f"traces/{PLAIN}/assessments",
        _said("good", True, rationale="fine", metadata={"a": "b"}),
        a="assessment.assessment_id",
    ),
    _post("say a number", f"traces/{PLAIN}/assessments", _said("score", 0.75), b="assessment.assessment_id"),
    _post("say yes as a word", f"traces/{PLAIN}/assessments", _said("word", "yes"), c="assessment.assessment_id"),
    _post("say a list", f"traces/{ASK}/assessments", _said("list", ["a", {"x": None}]), d="assessment.assessment_id"),
    _post(
        "expect",
        f"traces/{PLAIN}/assessments",
        {"assessment": {"assessment_name": "right", "source": SOURCE, "expectation": {"value": "so"}} | WHEN},
        e="assessment.assessment_id",
    ),
    _post(
        "fail to say",
        f"traces/{PLAIN}/assessments",
        {
            "assessment": {
                "assessment_name": "broken",
                "source": {"source_type": "CODE", "source_id": "c"},
                "feedback": {"error": {"error_code": "E", "error_message": "m"}},
            }
            | WHEN
        },
        f="assessment.assessment_id",
    ),
    _post("say nothing", f"traces/{PLAIN}/assessments", {}),
    _post("say of nobody", "traces/tr-nobody/assessments", _said("good", True)),
    _get("what was said", f"traces/{PLAIN}/assessments/{{a}}"),
    _get("what was not said", f"traces/{PLAIN}/assessments/a-nothing"),
    _patch(
        "change it",
        f"traces/{PLAIN}/assessments/{{a}}",
        {"assessment": {"feedback": {"value": False}, "metadata": {"c": "d"}}, "update_mask": "feedback,metadata"},
    ),
    _patch(
        "change its kind",
        f"traces/{PLAIN}/assessments/{{a}}",
        {"assessment": {"expectation": {"value": 1}}, "update_mask": "expectation"},
    ),
    _patch("change without a mask", f"traces/{PLAIN}/assessments/{{a}}", {"assessment": {"feedback": {"value": False}}}),
    _post("override it", f"traces/{PLAIN}/assessments", _said("good", True, overrides="{a}"), g="assessment.assessment_id"),
    _get("what was overridden", f"traces/{PLAIN}/assessments/{{a}}"),
    _post("override nothing", f"traces/{PLAIN}/assessments", _said("good", True, overrides="a-nothing")),
    *(
        _search(f"where {text}", text)
        for text in (
            "feedback.good = 'true'",
            "feedback.good = 'false'",
            "feedback.word = 'yes'",
            "feedback.score > 0.7",
            "feedback.word > 0",
            "expectation.right = 'so'",
            "feedback.score IS NOT NULL",
            "feedback.score IS NULL",
        )
    ),
    _delete("take the override back", f"traces/{PLAIN}/assessments/{{g}}"),
    _delete("twice", f"traces/{PLAIN}/assessments/{{g}}"),
    _get("what counts again", f"traces/{PLAIN}/assessments/{{a}}"),
]


def _figures(name: str, view: str, metric: str, *aggregations: Any, **more: Any) -> Step:
    told = [
        {"aggregation_type": "PERCENTILE", "percentile_value": one} if isinstance(one, float) else {"aggregation_type": one}
        for one in aggregations
    ]
    return _post(name, "traces/metrics", EXP | {"view_type": view, "metric_name": metric, "aggregations": told} | more)


FIGURES = [
    _figures("how many", "TRACES", "trace_count", "COUNT", dimensions=["trace_status"]),
    _figures("sessions", "TRACES", "session_count", "COUNT"),
    _figures("how long", "TRACES", "latency", "AVG", "MIN", "MAX", 50.0, 90.0),
    _figures("tokens", "TRACES", "total_tokens", "SUM", dimensions=["trace_name"]),
    _figures("tokens of a session", "TRACES", "total_tokens", "SUM", filters=["trace.metadata.`mlflow.trace.session` = 's-1'"]),
    _figures(
        "by the hour",
        "TRACES",
        "trace_count",
        "COUNT",
        time_interval_seconds=3600,
        start_time_ms=1767225600000,
        end_time_ms=1767225700000,
    ),
    _figures("spans", "SPANS", "span_count", "COUNT", dimensions=["span_type"]),
    _figures("spans of a name", "SPANS", "span_count", "COUNT", filters=["span.name = 'llm'"]),
    _figures("cost", "SPANS", "total_cost", "SUM", dimensions=["span_model_name"]),
    _figures("what was said", "ASSESSMENTS", "assessment_count", "COUNT", dimensions=["assessment_name"]),
    _figures("what it comes to", "ASSESSMENTS", "assessment_value", "AVG", dimensions=["assessment_name"]),
    _figures("no such figure", "TRACES", "bogus", "COUNT"),
    _figures("no such sum", "TRACES", "trace_count", "SUM"),
    _figures("no such dimension", "TRACES", "trace_count", "COUNT", dimensions=["colour"]),
    _post("no figure", "traces/metrics", EXP),
]
RECORDS: list[dict[str, Any]] = [
    {
        "inputs": {"q": "a", "n": 1},
        "expectations": {"e": "x"},
        "tags": {"t": "1"},
        "source": {"source_type": "human", "source_data": {}},
    },
    {"inputs": {"q": "b"}, "outputs": "hello"},
]
DATASETS = [
    _post(
        "make a dataset",
        "datasets/create",
        {"name": "golden", "tags": '{"team": "x", "mlflow.user": "ada"}'} | EXP,
        ds="dataset.dataset_id",
    ),
    _post("make one without a name", "datasets/create", {}),
    _post("put records in", "datasets/{ds}/records", {"records": json.dumps(RECORDS)}),
    _post("put one in again", "datasets/{ds}/records", {"records": json.dumps([RECORDS[0] | {"expectations": {"e2": 2}}])}),
    _get("the dataset", "datasets/{ds}"),
    _get("no dataset", "datasets/d-nobody"),
    _patch("tag it", "datasets/{ds}/tags", {"tags": '{"a": "1"}'}),
    _delete("take the tag off", "datasets/{ds}/tags/a"),
    _post("find it", "datasets/search", EXP | {"filter_string": "name LIKE 'gol%' AND tags.team = 'x'", "order_by": ["name"]}),
    _post("find what is not there", "datasets/search", {"filter_string": "created_by = 'nobody'"}),
    _get("where it belongs", "datasets/{ds}/experiment-ids"),
    _post("put it elsewhere too", "datasets/{ds}/add-experiments", {"experiment_ids": ["0"]}),
    _get("where it belongs now", "datasets/{ds}/experiment-ids"),
    _post("take it from there", "datasets/{ds}/remove-experiments", {"experiment_ids": ["0"]}),
    _delete("remove no record", "datasets/{ds}/records", {"dataset_record_ids": ["dr-nobody"]}),
    _delete("remove it", "datasets/{ds}"),
    _delete("remove it again", "datasets/{ds}"),
]
SCORER: dict[str, Any] = {"experiment_id": "{exp}", "name": "tone", "serialized_scorer": '{"name": "tone"}'}
SCORERS = [
    _post("register a scorer", "scorers/register", SCORER),
    _post("register it again", "scorers/register", SCORER),
    _post("register no JSON", "scorers/register", SCORER | {"serialized_scorer": "{"}),
    _get("scorers", "scorers/list", {"experiment_id": "{exp}"}),
    _get("its versions", "scorers/versions", {"experiment_id": "{exp}", "name": "tone"}),
    _get("the newest", "scorers/get", {"experiment_id": "{exp}", "name": "tone"}),
    _get("the first", "scorers/get", {"experiment_id": "{exp}", "name": "tone", "version": "1"}),
    _get("none", "scorers/get", {"experiment_id": "{exp}", "name": "tune"}),
    _get("the ninth", "scorers/get", {"experiment_id": "{exp}", "name": "tone", "version": "9"}),
    _delete("delete the first", "scorers/delete", {"experiment_id": "{exp}", "name": "tone", "version": 1}),
    _delete("delete the rest", "scorers/delete", {"experiment_id": "{exp}", "name": "tone"}),
    _delete("delete it again", "scorers/delete", {"experiment_id": "{exp}", "name": "tone"}),
]
ISSUE: dict[str, Any] = {"experiment_id": "{exp}", "name": "rude", "description": "it is rude"}
ISSUES = [
    _post("open an issue", "issues", ISSUE | {"severity": "high", "categories": ["tone"]}, issue="issue.issue_id"),
    _post("open a second", "issues", ISSUE | {"name": "slow"}, slow="issue.issue_id"),
    _post("open one without a name", "issues", {"experiment_id": "{exp}", "description": "x"}),
    _get("the issue", "issues/{issue}"),
    _get("no issue", "issues/iss-nobody"),
    _patch("resolve it", "issues/{issue}", {"issue_id": "{issue}", "status": "resolved"}),
    _post("issues", "issues/search", {"experiment_id": "{exp}"}),
    _post("issues that are open", "issues/search", {"experiment_id": "{exp}", "filter_string": "status = 'pending'"}),
]
SCHEMA: dict[str, Any] = {
    "experiment_id": "{exp}",
    "name": "Is it right?",
    "type": "FEEDBACK",
    "input": {"pass_fail": {"positive_label": "y", "negative_label": "n"}},
}
QUEUE: dict[str, Any] = {
    "experiment_id": "{exp}",
    "name": "Team",
    "queue_type": "CUSTOM",
    "users": ["Ada "],
    "schema_ids": ["{schema}"],
}
REVIEWS = [
    _post("ask a question", "label-schemas/create", SCHEMA, schema="label_schema.schema_id"),
    _post("ask it again", "label-schemas/create", SCHEMA),
    _post("ask without a way to answer", "label-schemas/create", {"experiment_id": "{exp}", "name": "x", "type": "FEEDBACK"}),
    _get("the question", "label-schemas/get", {"schema_id": "{schema}"}),
    _get("by its name", "label-schemas/get-by-name", {"experiment_id": "{exp}", "name": "Is it right?"}),
    _get("no question", "label-schemas/get", {"schema_id": "ls-nobody"}),
    _patch("change it", "label-schemas/update", {"schema_id": "{schema}", "instruction": "be fair"}),
    _post("make a queue", "review-queues/create", QUEUE, queue="review_queue.queue_id"),
    _post("make it again", "review-queues/create", QUEUE | {"name": "TEAM"}),
    _post(
        "a user's own", "review-queues/get-or-create-user", {"experiment_id": "{exp}", "user": "Bob"}, own="review_queue.queue_id"
    ),
    _post("the same", "review-queues/get-or-create-user", {"experiment_id": "{exp}", "user": "bob"}),
    _get("the queue", "review-queues/get", {"queue_id": "{queue}"}),
    _get("by its name, in small letters", "review-queues/get-by-name", {"experiment_id": "{exp}", "name": "team"}),
    _get("no queue", "review-queues/get", {"queue_id": "rq-nobody"}),
    _get("Ada's queues", "review-queues/list", {"experiment_id": "{exp}", "user": "ada"}),
    _post("put a trace in", "review-queues/items/add", {"queue_id": "{queue}", "item_type": "TRACE", "item_ids": [PLAIN]}),
    _post("put nobody in", "review-queues/items/add", {"queue_id": "{queue}", "item_ids": ["tr-nobody"]}),
    _get("what waits", "review-queues/items/list", {"queue_id": "{queue}", "status": "PENDING"}),
    _post("done, by whom?", "review-queues/items/set-status", {"queue_id": "{queue}", "item_id": PLAIN, "status": "COMPLETE"}),
    _post(
        "done",
        "review-queues/items/set-status",
        {"queue_id": "{queue}", "item_id": PLAIN, "status": "COMPLETE", "completed_by": "Ada"},
    ),
    _post(
        "not in it",
        "review-queues/items/set-status",
        {"queue_id": "{queue}", "item_id": ASK, "status": "COMPLETE", "completed_by": "Ada"},
    ),
    _post("other questions", "review-queues/update", {"queue_id": "{queue}", "update_schema_ids": True, "schema_ids": []}),
    _post("another name", "review-queues/update", {"queue_id": "{queue}", "name": "Crew"}),
    _post("take it out", "review-queues/items/remove", {"queue_id": "{queue}", "item_ids": [PLAIN]}),
    _post("end the queue", "review-queues/delete", {"queue_id": "{queue}"}),
    _delete("ask no more", "label-schemas/delete", {"schema_id": "{schema}"}),
]
OLDER = [
    _post(
        "begin the old way",
        f"{OLD}/traces",
        {"experiment_id": "{exp}", "timestamp_ms": 1000, "tags": [{"key": "k", "value": "v"}]},
        old="trace_info.request_id",
    ),
    _patch(
        "end the old way",
        f"{OLD}/traces/{{old}}",
        {"timestamp_ms": 3000, "status": "OK", "request_metadata": [{"key": "m", "value": "n"}]},
    ),
    _get("read the old way", f"{OLD}/traces/{{old}}/info"),
    _get("search the old way", f"{OLD}/traces", {"experiment_ids": ["{exp}"], "filter": "tags.k = 'v'"}),
]
DELETIONS = [
    _post("delete nothing in particular", "traces/delete-traces", {"experiment_id": "{exp}"}),
    _post("delete one", f"{OLD}/traces/delete-traces", {"experiment_id": "{exp}", "request_ids": [PLAIN, "tr-nobody"]}),
    _post("delete one too many ways", "traces/delete-traces", {"experiment_id": "{exp}", "request_ids": [ASK], "max_traces": 1}),
    _post(
        "delete the oldest",
        "traces/delete-traces",
        {"experiment_id": "{exp}", "max_timestamp_millis": 1767225600123, "max_traces": 1},
    ),
    _get("what is deleted", f"traces/{PLAIN}"),
]
STEPS = [*TRACES, *SEARCHES, *ASSESSMENTS, *FIGURES, *DATASETS, *SCORERS, *ISSUES, *REVIEWS, *OLDER, *DELETIONS]


def held(client: httpx.Client) -> list[Any]:
    """Hold the conversation, and return the answers without what no two servers have in common."""
    return [_bare(answer) for answer in hold(client, STEPS)]


def _bare(found: Any) -> Any:
    match found:
        case dict():
            return {name: "<time>" if name in _TIMES else _bare(value) for name, value in sorted(found.items())}
        case list():
            return [_bare(value) for value in found]
        case str() if found[:1] in "{[" and found:
            return _read(found)
        case float():
            return int(found) if found.is_integer() else round(found, 9)
        case _:
            return re.sub(r"\b[adr]{1,2}-[0-9a-f]{32}", "<id>", found) if isinstance(found, str) else found


def _read(text: str) -> Any:
    """Read JSON inside a text: its spaces are nobody's concern."""
    try:
        return _bare(json.loads(text))
    except ValueError:
        return text


def main() -> None:
    """Print the conversation with the server of a URL."""
    with httpx.Client(base_url=sys.argv[1], timeout=60) as client:
        print(msgspec.json.format(json.dumps(held(client)), indent=1))


if __name__ == "__main__":
    main()
