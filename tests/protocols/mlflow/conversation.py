"""A conversation with a tracking server: requests as clients send them, and what is left of the answers without ids and times.

Recorded once from MLflow's own server, and held with ours in the tests:

    python -m tests.protocols.mlflow.conversation http://127.0.0.1:5000 > tests/protocols/mlflow/recorded.json
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
import msgspec

OLD, NEW, AJAX = "/api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api/2.0/mlflow"
_PLACE = re.compile(r"\{(\w+)\}")
_TIMES = frozenset(
    {
        "creation_time",
        "last_update_time",
        "creation_timestamp",
        "last_updated_timestamp",
        "creation_timestamp_ms",
        "last_updated_timestamp_ms",
    }
)
_TOKEN, _GENERATED = "next_page_token", re.compile(r"[a-z]+-[a-z]+-\d+")


class Step(NamedTuple):
    """One request. What stands in braces is taken from earlier answers, as `keep` says by paths into them."""

    name: str
    method: str
    path: str
    given: Any = None
    keep: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


def _post(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return Step(name, "POST", f"{OLD}/{path}", {} if given is None else given, keep)


def _get(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return Step(name, "GET", f"{OLD}/{path}", {} if given is None else given, keep)


def _metric(key: str, value: Any, timestamp: Any = 1000, step: Any = 0) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step}


EXPERIMENTS = [
    _post(
        "create an experiment",
        "experiments/create",
        {"name": "alpha", "tags": [{"key": "team", "value": "a"}]},
        alpha="experiment_id",
    ),
    _get("get it", "experiments/get", {"experiment_id": "{alpha}"}),
    _get("get it by name", "experiments/get-by-name", {"experiment_name": "alpha"}),
    _get("get the default", "experiments/get", {"experiment_id": "0"}),
    _get("get one that is not there", "experiments/get", {"experiment_id": "999999"}),
    _get("get one by a name that is not there", "experiments/get-by-name", {"experiment_name": "nobody's"}),
    _get("get without an id", "experiments/get"),
    _get("get with a word for an id", "experiments/get", {"experiment_id": "abc"}),
    _post("create without a name", "experiments/create", {}),
    _post("create with a number for a name", "experiments/create", {"name": 5}),
    _post("create with a long name", "experiments/create", {"name": "n" * 501}),
    _post("create at a run's place", "experiments/create", {"name": "x", "artifact_location": "runs:/a/b"}),
    _post("tags that are no list", "experiments/create", {"name": "x", "tags": "t"}),
    _post("create a second", "experiments/create", {"name": "beta"}, beta="experiment_id"),
    _post("rename it", "experiments/update", {"experiment_id": "{beta}", "new_name": "gamma"}),
    _post("rename without a name", "experiments/update", {"experiment_id": "{beta}"}),
    _get("see the new name", "experiments/get", {"experiment_id": "{beta}"}),
    _post("set a tag", "experiments/set-experiment-tag", {"experiment_id": "{alpha}", "key": "k", "value": "v"}),
    _post("set a tag without a key", "experiments/set-experiment-tag", {"experiment_id": "{alpha}", "value": "v"}),
    _post("set a long tag", "experiments/set-experiment-tag", {"experiment_id": "{alpha}", "key": "k", "value": "v" * 20_001}),
    _post("set a badly named tag", "experiments/set-experiment-tag", {"experiment_id": "{alpha}", "key": "a?b", "value": "v"}),
    _post("delete a tag", "experiments/delete-experiment-tag", {"experiment_id": "{alpha}", "key": "k"}),
    _post("delete a tag that is not there", "experiments/delete-experiment-tag", {"experiment_id": "{alpha}", "key": "k"}),
    _post("delete an experiment", "experiments/delete", {"experiment_id": "{beta}"}),
    _post("delete it again", "experiments/delete", {"experiment_id": "{beta}"}),
    _get("get the deleted one", "experiments/get", {"experiment_id": "{beta}"}),
    _post("tag the deleted one", "experiments/set-experiment-tag", {"experiment_id": "{beta}", "key": "k", "value": "v"}),
    _post("a run in the deleted one", "runs/create", {"experiment_id": "{beta}"}),
    _post("search", "experiments/search", {"max_results": 10, "order_by": ["name ASC"]}),
    _post("search the deleted", "experiments/search", {"max_results": 10, "view_type": "DELETED_ONLY"}),
    _post("search all by number", "experiments/search", {"max_results": 10, "view_type": 3, "order_by": ["name DESC"]}),
    _get("search by query", "experiments/search", {"max_results": "10", "filter": "name = 'alpha'"}),
    _get("search by query, two orders", "experiments/search", {"max_results": "10", "order_by": ["name", "experiment_id"]}),
    _post("search by a tag", "experiments/search", {"max_results": 10, "filter": "tags.team = 'a'"}),
    _post("search for none", "experiments/search", {"max_results": 0}),
    _post("search for too many", "experiments/search", {"max_results": 50_001}),
    _post("search with a word for a number", "experiments/search", {"max_results": "ten"}),
    _post("a page of one", "experiments/search", {"max_results": 1, "order_by": ["name"]}, page="next_page_token"),
    _post("restore", "experiments/restore", {"experiment_id": "{beta}"}),
    _post("restore what lives", "experiments/restore", {"experiment_id": "{beta}"}),
]

RUNS = [
    _post(
        "create a run",
        "runs/create",
        {
            "experiment_id": "{alpha}",
            "user_id": "",
            "run_name": "first",
            "start_time": 1_700_000_000_000,
            "tags": [{"key": "mlflow.user", "value": "ada"}],
        },
        run="run.info.run_id",
    ),
    _get("get the run", "runs/get", {"run_id": "{run}"}),
    _get("get it by its old name", "runs/get", {"run_uuid": "{run}"}),
    _get("get no run", "runs/get"),
    _get("get a run that is not there", "runs/get", {"run_id": "0" * 32}),
    _post("a run without a name", "runs/create", {"experiment_id": "0", "start_time": "7"}, other="run.info.run_id"),
    _post("a run of nobody's experiment", "runs/create", {"experiment_id": "999999"}),
    _post("a run of a word", "runs/create", {"experiment_id": "abc"}),
    _post(
        "a run with two names",
        "runs/create",
        {"experiment_id": "{alpha}", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]},
    ),
    _post(
        "a run named by a tag",
        "runs/create",
        {"experiment_id": "{alpha}", "start_time": 5, "tags": [{"key": "mlflow.runName", "value": "tagged"}]},
        tagged="run.info.run_id",
    ),
    _post("log a metric", "runs/log-metric", {"run_id": "{run}", **_metric("m", 1.5)}),
    _post("log it again", "runs/log-metric", {"run_id": "{run}", **_metric("m", 1.5)}),
    _post("log by the old name of the run", "runs/log-metric", {"run_uuid": "{run}", **_metric("m", 2, 1001, 1)}),
    _post("log numbers as text", "runs/log-metric", {"run_id": "{run}", **_metric("m", "2.5", "1002", "2")}),
    _post("log whole floats", "runs/log-metric", {"run_id": "{run}", **_metric("m", 3, 1003.0, 3.0)}),
    _post("log what is not a number", "runs/log-metric", {"run_id": "{run}", **_metric("nan", "NaN")}),
    _post("log infinity", "runs/log-metric", {"run_id": "{run}", **_metric("inf", "Infinity")}),
    _post("log less than anything", "runs/log-metric", {"run_id": "{run}", **_metric("low", "-Infinity")}),
    _post("log without a run", "runs/log-metric", _metric("m", 1)),
    _post("log without a key", "runs/log-metric", {"run_id": "{run}", "value": 1, "timestamp": 1}),
    _post("log with an empty key", "runs/log-metric", {"run_id": "{run}", **_metric("", 1)}),
    _post("log without a value", "runs/log-metric", {"run_id": "{run}", "key": "m", "timestamp": 1}),
    _post("log without a time", "runs/log-metric", {"run_id": "{run}", "key": "m", "value": 1}),
    _post("log a word", "runs/log-metric", {"run_id": "{run}", **_metric("m", "high")}),
    _post("log before time began", "runs/log-metric", {"run_id": "{run}", **_metric("m", 1.5, -1)}),
    _post("log a bad name", "runs/log-metric", {"run_id": "{run}", **_metric("a?b", 1)}),
    _post("log a path", "runs/log-metric", {"run_id": "{run}", **_metric("a/../b", 1)}),
    _post("log a long name", "runs/log-metric", {"run_id": "{run}", **_metric("m" * 251, 1)}),
    _post("log to a run that is not there", "runs/log-metric", {"run_id": "0" * 32, **_metric("m", 1)}),
    _post("log in camelCase only", "runs/log-metric", {"runId": "{run}", **_metric("m", 1)}),
    _post("both spellings", "runs/log-metric", {"run_id": "{run}", "runId": "{run}", **_metric("m", 1)}),
    _post("log a parameter", "runs/log-parameter", {"run_id": "{run}", "key": "lr", "value": "0.1"}),
    _post("log it again", "runs/log-parameter", {"run_id": "{run}", "key": "lr", "value": "0.1"}),
    _post("change it", "runs/log-parameter", {"run_id": "{run}", "key": "lr", "value": "0.2"}),
    _post("a parameter that is a number", "runs/log-parameter", {"run_id": "{run}", "key": "n", "value": 5}),
    _post("a parameter without a value", "runs/log-parameter", {"run_id": "{run}", "key": "empty"}),
    _post("a parameter without a key", "runs/log-parameter", {"run_id": "{run}", "value": "1"}),
    _post("a parameter with a bad name", "runs/log-parameter", {"run_id": "{run}", "key": "..", "value": "1"}),
    _post("set a tag", "runs/set-tag", {"run_id": "{run}", "key": "t", "value": "1"}),
    _post("set it again", "runs/set-tag", {"run_id": "{run}", "key": "t", "value": "2"}),
    _post("rename by a tag", "runs/set-tag", {"run_id": "{run}", "key": "mlflow.runName", "value": "renamed"}),
    _post("set a tag with a long key", "runs/set-tag", {"run_id": "{run}", "key": "k" * 251, "value": "1"}),
    _post("delete a tag", "runs/delete-tag", {"run_id": "{run}", "key": "t"}),
    _post("delete it again", "runs/delete-tag", {"run_id": "{run}", "key": "t"}),
    _get("see it all", "runs/get", {"run_id": "{run}"}),
    _post(
        "log a batch",
        "runs/log-batch",
        {
            "run_id": "{run}",
            "metrics": [_metric("loss", 1.0 / (1 + i), 2000 + i, i) for i in range(5)],
            "params": [{"key": "depth", "value": "3"}, {"key": "lr", "value": "0.1"}],
            "tags": [{"key": "x", "value": "1"}],
        },
    ),
    _post("an empty batch", "runs/log-batch", {"run_id": "{run}"}),
    _post("a batch without a run", "runs/log-batch", {"metrics": []}),
    _post("a batch with a metric without a time", "runs/log-batch", {"run_id": "{run}", "metrics": [{"key": "m", "value": 1}]}),
    _post(
        "a batch with a metric without a value", "runs/log-batch", {"run_id": "{run}", "metrics": [{"key": "m", "timestamp": 1}]}
    ),
    _post("a batch with a parameter without a key", "runs/log-batch", {"run_id": "{run}", "params": [{"value": "1"}]}),
    _post("a batch with a tag without a key", "runs/log-batch", {"run_id": "{run}", "tags": [{"value": "1"}]}),
    _post("a batch with a bad metric", "runs/log-batch", {"run_id": "{run}", "metrics": [_metric("ok", 1), _metric("a?b", 1)]}),
    _post("a batch with a bad time", "runs/log-batch", {"run_id": "{run}", "metrics": [_metric("ok", 1.5, -1)]}),
    _post("a batch with a bad parameter", "runs/log-batch", {"run_id": "{run}", "params": [{"key": "a?b", "value": "1"}]}),
    _post("a batch with a bad tag", "runs/log-batch", {"run_id": "{run}", "tags": [{"key": "/a", "value": "1"}]}),
    _post("a batch with a long tag", "runs/log-batch", {"run_id": "{run}", "tags": [{"key": "k" * 251, "value": "1"}]}),
    _post("too many metrics", "runs/log-batch", {"run_id": "{run}", "metrics": [_metric("m", i) for i in range(1001)]}),
    _post(
        "too many parameters",
        "runs/log-batch",
        {"run_id": "{run}", "params": [{"key": f"p{i}", "value": "1"} for i in range(101)]},
    ),
    _post("too many tags", "runs/log-batch", {"run_id": "{run}", "tags": [{"key": f"p{i}", "value": "1"} for i in range(101)]}),
    _post(
        "too much at once",
        "runs/log-batch",
        {"run_id": "{run}", "metrics": [_metric("m", i) for i in range(1000)], "tags": [{"key": "a", "value": "1"}]},
    ),
    _post(
        "the same parameter twice",
        "runs/log-batch",
        {"run_id": "{run}", "params": [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}]},
    ),
    _post("a batch that changes a parameter", "runs/log-batch", {"run_id": "{run}", "params": [{"key": "depth", "value": "4"}]}),
    _post("a batch to a bad run", "runs/log-batch", {"run_id": "a b"}),
    _post("a batch to no run", "runs/log-batch", {"run_id": "0" * 32}),
    _get("the history", "metrics/get-history", {"run_id": "{run}", "metric_key": "loss"}),
    _get("the history of what is not a number", "metrics/get-history", {"run_id": "{run}", "metric_key": "nan"}),
    _get("the history of infinity", "metrics/get-history", {"run_id": "{run}", "metric_key": "inf"}),
    _get("the history of nothing", "metrics/get-history", {"run_id": "{run}", "metric_key": "none"}),
    _get("the history without a key", "metrics/get-history", {"run_id": "{run}"}),
    _get("no page of the history", "metrics/get-history", {"run_id": "{run}", "metric_key": "loss", "max_results": "0"}),
    _get(
        "a page of the history",
        "metrics/get-history",
        {"run_id": "{run}", "metric_key": "loss", "max_results": "2"},
        after="next_page_token",
    ),
    _get(
        "the next page",
        "metrics/get-history",
        {"run_id": "{run}", "metric_key": "loss", "max_results": "2", "page_token": "{after}"},
        last="next_page_token",
    ),
    _get(
        "the last page",
        "metrics/get-history",
        {"run_id": "{run}", "metric_key": "loss", "max_results": "2", "page_token": "{last}"},
    ),
    _get(
        "a forged page", "metrics/get-history", {"run_id": "{run}", "metric_key": "loss", "max_results": "2", "page_token": "?"}
    ),
    _get(
        "an offset for a token",
        "metrics/get-history",
        {"run_id": "{run}", "metric_key": "loss", "page_token": "eyJvZmZzZXQiOiAzfQ=="},
    ),
    _get("an interval", "metrics/get-history-bulk-interval", {"run_ids": ["{run}", "{other}"], "metric_key": "loss"}),
    _get(
        "few of an interval", "metrics/get-history-bulk-interval", {"run_ids": "{run}", "metric_key": "loss", "max_results": "2"}
    ),
    _get(
        "an interval of steps",
        "metrics/get-history-bulk-interval",
        {"run_ids": "{run}", "metric_key": "loss", "start_step": "1", "end_step": "3"},
    ),
    _get("half an interval", "metrics/get-history-bulk-interval", {"run_ids": "{run}", "metric_key": "loss", "start_step": "1"}),
    _get("an interval without runs", "metrics/get-history-bulk-interval", {"metric_key": "loss"}),
    _get(
        "too many of an interval",
        "metrics/get-history-bulk-interval",
        {"run_ids": "{run}", "metric_key": "loss", "max_results": "2501"},
    ),
    Step("in bulk", "GET", f"{AJAX}/metrics/get-history-bulk", {"run_id": ["{run}", "{other}"], "metric_key": "loss"}),
    Step("in bulk, without runs", "GET", f"{AJAX}/metrics/get-history-bulk", {"metric_key": "loss"}),
    Step("in bulk, without a key", "GET", f"{AJAX}/metrics/get-history-bulk", {"run_id": "{run}"}),
    _post(
        "log inputs",
        "runs/log-inputs",
        {
            "run_id": "{run}",
            "datasets": [
                {
                    "tags": [{"key": "mlflow.data.context", "value": "training"}],
                    "dataset": {
                        "name": "d",
                        "digest": "abc",
                        "source_type": "local",
                        "source": "{}",
                        "schema": "{}",
                        "profile": "{}",
                    },
                }
            ],
        },
    ),
    _post(
        "log them again",
        "runs/log-inputs",
        {"run_id": "{run}", "datasets": [{"dataset": {"name": "d", "digest": "abc", "source_type": "local", "source": "{}"}}]},
    ),
    _post("inputs without a run", "runs/log-inputs", {"datasets": []}),
    _post(
        "a long name of a dataset",
        "runs/log-inputs",
        {
            "run_id": "{run}",
            "datasets": [{"dataset": {"name": "d" * 501, "digest": "abc", "source_type": "local", "source": "{}"}}],
        },
    ),
    Step("search datasets, as the page does", "POST", f"{AJAX}/experiments/search-datasets", {"experiment_ids": ["{alpha}"]}),
    Step("search datasets of nothing", "POST", f"{AJAX}/experiments/search-datasets", {}),
    Step(
        "search datasets of too much",
        "POST",
        f"{AJAX}/experiments/search-datasets",
        {"experiment_ids": [str(i) for i in range(21)]},
    ),
    _post(
        "log a model by its description",
        "runs/log-model",
        {
            "run_id": "{run}",
            "model_json": json.dumps({"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": "r"}),
        },
    ),
    _post(
        "log a model without its fields",
        "runs/log-model",
        {"run_id": "{run}", "model_json": '{"artifact_path": "m", "flavors": {}, "run_id": "r"}'},
    ),
    _post("log a model that is no JSON", "runs/log-model", {"run_id": "{run}", "model_json": "model"}),
    _get("see it all again", "runs/get", {"run_id": "{run}"}),
    _post("end the run", "runs/update", {"run_id": "{run}", "status": "FINISHED", "end_time": 1_700_000_001_000}),
    _post("end it by number", "runs/update", {"run_id": "{other}", "status": 4, "end_time": "1700000002000"}),
    _post("rename it", "runs/update", {"run_id": "{tagged}", "run_name": "third"}),
    _get("see its name", "runs/get", {"run_id": "{tagged}"}),
    _post("update nothing", "runs/update", {}),
    _post("update a run that is not there", "runs/update", {"run_id": "0" * 32, "status": "FINISHED"}),
    _post("search runs", "runs/search", {"experiment_ids": ["{alpha}"], "order_by": ["start_time DESC"]}),
    _post("search runs of nothing", "runs/search", {"experiment_ids": []}),
    _post("search runs by a metric", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "metrics.loss < 0.5"}),
    _post("search runs by a parameter", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "params.lr = '0.1'"}),
    _post("search runs by a tag", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "tags.x LIKE '1%'"}),
    _post("search runs by status", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "status = 'RUNNING'"}),
    _post("search runs by name", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "attributes.run_name = 'third'"}),
    _post("search runs by an unknown entity", "runs/search", {"experiment_ids": ["{alpha}"], "filter": "things.x = '1'"}),
    _post("search runs for none", "runs/search", {"experiment_ids": ["{alpha}"], "max_results": 0}),
    _post("search runs for too many", "runs/search", {"experiment_ids": ["{alpha}"], "max_results": 50_001}),
    _post("a page of runs", "runs/search", {"experiment_ids": ["{alpha}"], "max_results": 1}, runs="next_page_token"),
    _post("the next page of runs", "runs/search", {"experiment_ids": ["{alpha}"], "max_results": 1, "page_token": "{runs}"}),
    _post("a forged page of runs", "runs/search", {"experiment_ids": ["{alpha}"], "page_token": "forged"}),
    _post("delete a run", "runs/delete", {"run_id": "{run}"}),
    _post("log to the deleted", "runs/log-metric", {"run_id": "{run}", **_metric("m", 9)}),
    _post("tag the deleted", "runs/set-tag", {"run_id": "{run}", "key": "k", "value": "v"}),
    _post("end the deleted", "runs/update", {"run_id": "{run}", "status": "FINISHED"}),
    _post("search the living", "runs/search", {"experiment_ids": ["{alpha}"]}),
    _post("search the deleted", "runs/search", {"experiment_ids": ["{alpha}"], "run_view_type": "DELETED_ONLY"}),
    _post("delete a run that is not there", "runs/delete", {"run_id": "0" * 32}),
    _post("delete no run", "runs/delete"),
    _post("restore it", "runs/restore", {"run_id": "{run}"}),
]

MODELS = [
    _post(
        "create a logged model",
        "logged-models",
        {
            "experiment_id": "{alpha}",
            "name": "model",
            "model_type": "Agent",
            "source_run_id": "{run}",
            "params": [{"key": "a", "value": "1"}],
            "tags": [{"key": "t", "value": "1"}],
        },
        model="model.info.model_id",
    ),
    _get("get it", "logged-models/{model}"),
    _post("one with a bad name", "logged-models", {"experiment_id": "{alpha}", "name": "a/b"}),
    _post("one without an experiment", "logged-models", {"name": "model"}),
    _post("one of nobody's experiment", "logged-models", {"experiment_id": "999999", "name": "model"}),
    _get("one that is not there", "logged-models/m-x"),
    Step("ready", "PATCH", OLD + "/logged-models/{model}", {"model_id": "{model}", "status": "LOGGED_MODEL_READY"}),
    Step("ready, by number", "PATCH", OLD + "/logged-models/{model}", {"model_id": "{model}", "status": 2}),
    Step("no status", "PATCH", OLD + "/logged-models/{model}", {"model_id": "{model}"}),
    Step(
        "tags", "PATCH", OLD + "/logged-models/{model}/tags", {"tags": [{"key": "t", "value": "2"}, {"key": "u", "value": "3"}]}
    ),
    Step("delete a tag", "DELETE", OLD + "/logged-models/{model}/tags/u"),
    Step("delete it again", "DELETE", OLD + "/logged-models/{model}/tags/u"),
    _post("parameters", "logged-models/{model}/params", {"model_id": "{model}", "params": [{"key": "b", "value": "2"}]}),
    _post(
        "a metric of the model",
        "runs/log-metric",
        {"run_id": "{run}", **_metric("acc", 0.9), "model_id": "{model}", "dataset_name": "d", "dataset_digest": "abc"},
    ),
    _post("outputs", "runs/outputs", {"run_id": "{run}", "models": [{"model_id": "{model}", "step": 3}]}),
    _post("outputs without models", "runs/outputs", {"run_id": "{run}"}),
    _post("models as inputs", "runs/log-inputs", {"run_id": "{other}", "models": [{"model_id": "{model}"}]}),
    _get("see it all", "logged-models/{model}"),
    _get("see the run", "runs/get", {"run_id": "{run}"}),
    _get("see the other run", "runs/get", {"run_id": "{other}"}),
    _post("search", "logged-models/search", {"experiment_ids": ["{alpha}"]}),
    _post("search by name", "logged-models/search", {"experiment_ids": ["{alpha}"], "filter": "name = 'model'"}),
    _post("search by a metric", "logged-models/search", {"experiment_ids": ["{alpha}"], "filter": "metrics.acc > 0.95"}),
    _post(
        "search by a metric on a dataset",
        "logged-models/search",
        {
            "experiment_ids": ["{alpha}"],
            "filter": "metrics.acc > 0.5",
            "datasets": [{"dataset_name": "d", "dataset_digest": "abc"}],
        },
    ),
    _post(
        "search in order of a metric",
        "logged-models/search",
        {"experiment_ids": ["{alpha}"], "order_by": [{"field_name": "metrics.acc", "ascending": False}]},
    ),
    _post(
        "search in no order", "logged-models/search", {"experiment_ids": ["{alpha}"], "order_by": [{"field_name": "params.a"}]}
    ),
    _post("search without experiments", "logged-models/search", {}),
    Step("delete", "DELETE", OLD + "/logged-models/{model}"),
    _get("get the deleted", "logged-models/{model}"),
    _get("get it all the same", "logged-models/{model}", {"allow_deleted": "true"}),
]

STEPS = [*EXPERIMENTS, *RUNS, *MODELS]


def hold(client: httpx.Client, steps: list[Step]) -> list[dict[str, Any]]:
    """Hold a conversation; return each step's name and its answer without ids and times."""
    kept: dict[str, str] = {}
    answers = []
    for step in steps:
        status, found = _send(client, step, kept)
        for name, path in step.keep.items():
            value: Any = found
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            kept[name] = str(value)
        known = {value: f"<{name}>" for name, value in kept.items() if len(value) > 8}
        answers.append({"step": step.name, "status": status, "answer": _bare(found, known)})
    return answers


def _send(client: httpx.Client, step: Step, kept: Mapping[str, str]) -> tuple[int, Any]:
    kind = "params" if step.method == "GET" else "content" if isinstance(step.given, bytes) else "json"
    headers = _filled(dict(step.headers), kept)
    answer = client.request(step.method, _filled(step.path, kept), headers=headers, **{kind: _filled(step.given, kept)})
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


def _filled(given: Any, kept: Mapping[str, str]) -> Any:
    match given:
        case str():
            return _PLACE.sub(lambda found: kept.get(found[1], found[0]), given)
        case dict():
            return {name: _filled(value, kept) for name, value in given.items()}
        case list():
            return [_filled(value, kept) for value in given]
        case _:
            return given


def _bare(found: Any, known: Mapping[str, str]) -> Any:
    """Return an answer without what differs from server to server: ids, times, tokens, generated names, SQL."""
    match found:
        case dict():
            return {name: _scalar(name, _bare(value, known)) for name, value in sorted(found.items())}
        case list():
            bare = [_bare(value, known) for value in found]
            keyed = bare and all(isinstance(value, dict) and {"key", "value"} >= value.keys() for value in bare)
            latest = bare and all(isinstance(value, dict) and "timestamp" in value for value in bare)
            names = [value.get("key") for value in bare] if keyed or latest else []
            return sorted(bare, key=lambda value: value["key"]) if len(set(names)) == len(bare) else bare
        case str():
            for value, name in known.items():
                found = found.replace(value, name)
            return json.loads(found) if found.startswith("[{") else found
        case _:
            return found


def _scalar(name: str, value: Any) -> Any:
    if name in _TIMES:
        return "<time>"
    if name == _TOKEN:
        return "<token>"
    return "<generated>" if isinstance(value, str) and _GENERATED.fullmatch(value) else value


def main() -> None:
    """Print the conversation with the server of a URL."""
    with httpx.Client(base_url=sys.argv[1], timeout=60) as client:
        answers = hold(client, STEPS)
    print(msgspec.json.format(json.dumps(answers), indent=1))


if __name__ == "__main__":
    main()
