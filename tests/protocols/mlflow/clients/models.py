"""What a program does with MLflow's client that trains, logs, registers, loads and evaluates models; needs the whole of `mlflow`.

python tests/protocols/mlflow/clients/models.py http://127.0.0.1:7373
"""

import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

warnings.filterwarnings("ignore")
NAME = f"models-{time.time_ns()}"
VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])
X, y = load_iris(return_X_y=True, as_frame=True)
DATA = mlflow.data.from_pandas(X.assign(target=y), source="https://example.org/iris.csv", name="iris", targets="target")


def named(name: str) -> dict[str, str]:
    """Return how a model is named, which changed with version 3."""
    return {"name": name} if VERSION >= (3, 0) else {"artifact_path": name}


def log_model() -> tuple[Any, str, Any]:
    """Log a model, its data and some files; return the model, its run and what is said of it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "sub folder").mkdir()
    (folder / "sub folder" / "ünicode ☃.txt").write_text("hello")
    (folder / "empty").write_bytes(b"")
    (folder / "large.bin").write_bytes(bytes(range(256)) * 8_192)
    model = LogisticRegression(max_iter=300).fit(X, y)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "files")
        mlflow.log_text("text", "text.txt")
        mlflow.log_table({"q": ["a", "b"], "x": [1, 2]}, "table.json")
        mlflow.log_input(DATA, context="training")
        signature = mlflow.models.infer_signature(X, model.predict(X))
        info = mlflow.sklearn.log_model(
            model, signature=signature, input_example=X.head(2), registered_model_name=NAME, **named("model")
        )
    back = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="files"))
    for name in ("sub folder/ünicode ☃.txt", "empty", "large.bin"):
        assert (back / name).read_bytes() == (folder / name).read_bytes(), name
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/text.txt") == "text"
    assert len(mlflow.load_table("table.json", run_ids=[run.info.run_id])) == 2
    return model, run.info.run_id, info


def load(client: MlflowClient, model: Any, info: Any) -> None:
    """Load the model by alias, number and address."""
    client.set_registered_model_alias(NAME, "champion", "1")
    for address in (f"models:/{NAME}@champion", f"models:/{NAME}/1", f"models:/{NAME}/latest", info.model_uri):
        assert (mlflow.pyfunc.load_model(address).predict(X) == model.predict(X)).all(), address


def log_by_itself(client: MlflowClient, experiment: str) -> None:
    """Let scikit-learn's calls log themselves, a search for the best of three included."""
    mlflow.sklearn.autolog(max_tuning_runs=3)
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=300, C=0.5).fit(X, y)
    found = client.get_run(run.info.run_id).data
    assert found.params["C"] == "0.5" and "training_score" in found.metrics
    with mlflow.start_run() as parent:
        GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 2.0]}, cv=2).fit(X, y)
    mlflow.sklearn.autolog(disable=True)
    assert len(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")) == 3
    table = mlflow.search_runs(experiment_names=[NAME])
    assert len(table) >= 5 and "metrics.training_score" in table.columns


def measure_logged_models(experiment: str, info: Any) -> None:
    """Measure a logged model, and find it by that."""
    with mlflow.start_run():
        mlflow.log_metric("acc", 0.9, model_id=info.model_id, dataset=DATA)
        mlflow.log_metrics({"f1": 0.8}, model_id=info.model_id)
    found = mlflow.get_logged_model(info.model_id)
    assert (str(found.status), {metric.key for metric in found.metrics}) == ("READY", {"acc", "f1"})
    order = [{"field_name": "metrics.acc", "ascending": False}]
    listed = mlflow.search_logged_models(
        experiment_ids=[experiment], filter_string="metrics.acc > 0.5", order_by=order, output_format="list"
    )
    assert [model.model_id for model in listed] == [info.model_id]
    mlflow.set_logged_model_tags(info.model_id, {"a": "b"})


class Increment(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that is a program."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Add one."""
        return model_input["x"] + 1


def evaluate_and_register(client: MlflowClient) -> None:
    """Evaluate the champion, and register a second version that is a program."""
    settings = {"log_explainer": False, "log_model_explainability": False}
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            f"models:/{NAME}@champion", X.assign(label=y), targets="label", model_type="classifier", evaluator_config=settings
        )
    assert result.metrics["accuracy_score"] > 0.9
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(python_model=Increment(), **named("increment"))
    given = pd.DataFrame({"x": [1, 2]})
    assert list(np.asarray(mlflow.pyfunc.load_model(info.model_uri).predict(given))) == [2, 3]
    assert int(mlflow.register_model(info.model_uri, NAME).version) == 2


def watch_the_machine(client: MlflowClient) -> None:
    """Log what the machine does meanwhile."""
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as run:
        deadline = time.monotonic() + 20
        while not client.get_run(run.info.run_id).data.metrics and time.monotonic() < deadline:
            time.sleep(0.2)
    assert any(name.startswith("system/") for name in client.get_run(run.info.run_id).data.metrics)


def main() -> None:
    """Do all of it, with the server of a URL."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    experiment = mlflow.set_experiment(NAME).experiment_id
    model, run, info = log_model()
    assert client.get_run(run).inputs.dataset_inputs[0].dataset.name == "iris"
    load(client, model, info)
    log_by_itself(client, experiment)
    if VERSION >= (3, 0):
        measure_logged_models(experiment, info)
    evaluate_and_register(client)
    watch_the_machine(client)
    print(f"mlflow {mlflow.__version__}: all as expected")


if __name__ == "__main__":
    main()
