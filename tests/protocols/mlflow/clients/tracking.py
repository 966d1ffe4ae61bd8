"""What a program does with MLflow's client that logs runs and registers versions; needs no more than `mlflow-skinny`.

python tests/protocols/mlflow/clients/tracking.py http://127.0.0.1:7373
"""

import math
import sys
import time
import warnings
from collections.abc import Callable

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

NAME = f"study-{time.time_ns()}"
warnings.simplefilter("ignore")


def refused(ask: Callable[[], object], code: str) -> str:
    """Return what was said when something was refused, with a code."""
    try:
        ask()
    except MlflowException as error:
        said, words = error.error_code, str(error)
    else:
        said, words = "", "it was done"
    assert said == code, (said, words)
    return words


def log_runs(client: MlflowClient, experiment: str) -> str:
    """Log a run and one inside it; return the id of the first."""
    with mlflow.start_run(run_name="outer", tags={"team": "a"}, description="words") as outer:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"a": 1, "b": "x"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"x": math.nan, "y": math.inf}, step=2)
        mlflow.set_tags({"k": "v", "m": "n"})
        mlflow.delete_tag("m")
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_metric("q", 1)
        mlflow.log_metric("later", 1.0, synchronous=False).wait()
        mlflow.log_params({"p1": 1, "p2": 2}, synchronous=False).wait()
        assert "Changing param values is not allowed" in refused(lambda: mlflow.log_param("lr", 0.2), "INVALID_PARAMETER_VALUE")
    run = client.get_run(outer.info.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "outer") and run.info.end_time >= run.info.start_time
    assert run.data.params == {"lr": "0.1", "a": "1", "b": "x", "p1": "1", "p2": "2"}
    assert (run.data.metrics["loss"], run.data.metrics["later"], run.data.metrics["y"]) == (0.2, 1.0, sys.float_info.max)
    assert math.isnan(run.data.metrics["x"])
    assert (run.data.tags["mlflow.note.content"], run.data.tags["team"], "m" in run.data.tags) == ("words", "a", False)
    assert client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id
    client.delete_run(inner.info.run_id)
    assert len(client.search_runs([experiment])) == 1
    client.restore_run(inner.info.run_id)
    client.set_terminated(inner.info.run_id, "KILLED")
    client.update_run(inner.info.run_id, name="renamed")
    found = client.get_run(inner.info.run_id).info
    assert (found.status, found.run_name) == ("KILLED", "renamed")
    return str(outer.info.run_id)


def read_and_search(client: MlflowClient, experiment: str, run: str) -> None:
    """Read a history, log a batch, and find runs page by page."""
    assert [point.step for point in client.get_metric_history(run, "loss")] == [0, 1, 2, 3, 4]
    points = [Metric("b", step, 1000 + step, step) for step in range(900)]
    client.log_batch(run, metrics=points, params=[Param("z", "1")], tags=[RunTag("t", "1")])
    assert len(client.get_metric_history(run, "b")) == 900
    assert len(client.search_runs([experiment], run_view_type=ViewType.ALL)) == 2
    filtered = "metrics.loss < 0.5 and params.lr = '0.1' and tags.team = 'a'"
    assert [one.info.run_id for one in client.search_runs([experiment], filtered, order_by=["metrics.loss DESC"])] == [run]
    first = client.search_runs([experiment], max_results=1)
    second = client.search_runs([experiment], max_results=1, page_token=first.token)
    assert {first[0].info.run_name, second[0].info.run_name} == {"outer", "renamed"} and not second.token
    refused(lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST")


def name_experiments(client: MlflowClient, experiment: str) -> None:
    """Rename, tag, find, delete and restore experiments."""
    refused(lambda: client.create_experiment(NAME), "RESOURCE_ALREADY_EXISTS")
    client.rename_experiment(experiment, f"{NAME}-renamed")
    client.set_experiment_tag(experiment, "a", "b")
    assert client.get_experiment(experiment).tags == {"a": "b"}
    found = client.search_experiments(filter_string=f"name LIKE '{NAME}%'", order_by=["name DESC"])
    assert [one.name for one in found] == [f"{NAME}-renamed"]
    other = client.create_experiment(f"{NAME}-other", tags={"x": "y"})
    client.delete_experiment(other)
    assert client.get_experiment(other).lifecycle_stage == "deleted"
    client.restore_experiment(other)


def register(client: MlflowClient, run: str) -> None:
    """Register a model and a version, give it an alias and a stage, and take all of it away."""
    name = f"model-{NAME}"
    client.create_registered_model(name, tags={"a": "b"}, description="words")
    version = client.create_model_version(name, "s3://bucket/model", run_id=run, tags={"q": "r"}).version
    client.set_registered_model_alias(name, "champion", version)
    assert client.get_model_version_by_alias(name, "champion").version == version
    client.set_model_version_tag(name, version, "z", "1")
    client.update_model_version(name, version, description="more")
    assert client.get_model_version(name, version).description == "more"
    assert [one.name for one in client.search_registered_models(f"name = '{name}'")] == [name]
    assert len(client.search_model_versions(f"name='{name}'")) == 1
    client.transition_model_version_stage(name, version, "Staging")
    assert client.get_latest_versions(name, ["Staging"])[0].version == version
    client.delete_registered_model_alias(name, "champion")
    client.rename_registered_model(name, f"{name}-renamed")
    client.delete_model_version(f"{name}-renamed", version)
    client.delete_registered_model(f"{name}-renamed")


def keep_files(client: MlflowClient, run: str) -> None:
    """Put files among a run's artifacts and take them out again."""
    client.log_text(run, "hällo", "folder/ünicode ☃.txt")
    client.log_dict(run, {"a": [1]}, "a.json")
    assert [(one.path, one.is_dir) for one in client.list_artifacts(run)] == [("a.json", False), ("folder", True)]
    with open(client.download_artifacts(run, "folder/ünicode ☃.txt"), encoding="utf-8") as file:
        assert file.read() == "hällo"


def main() -> None:
    """Do all of it, with the server of a URL."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    experiment = mlflow.set_experiment(NAME).experiment_id
    run = log_runs(client, experiment)
    read_and_search(client, experiment, run)
    keep_files(client, run)
    name_experiments(client, experiment)
    register(client, run)
    print(f"mlflow {mlflow.__version__}: all as expected")


if __name__ == "__main__":
    main()
