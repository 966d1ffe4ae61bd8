# mypy: ignore-errors
"""Make a lived-in MLflow store: run by a Python that has MLflow, 2.22 or 3.17, never by perenne's own.

    python make_store.py sqlite:////srv/store/mlflow.db /srv/store/artifacts
    python make_store.py /srv/store/mlruns

What it makes is always the same, times and ids that MLflow chooses apart; the tests count on it. Without a folder for artifacts
they lie where MLflow puts them.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import mlflow.data
import numpy
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

THIRD = int(mlflow.__version__.partition(".")[0]) >= 3


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("artifacts", type=Path, nargs="?")
    parser.add_argument("--points", type=int, default=1_500)
    chosen = parser.parse_args()
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    mlflow.set_tracking_uri(chosen.store)
    mlflow.set_registry_uri(chosen.store)
    client = MlflowClient()
    experiment = client.create_experiment("churn", place(chosen.artifacts, "churn"), tags={"team": "crm", "ünïcode": "näme"})
    client.set_experiment_tag("0", "mlflow.note.content", "where everything lands")
    first = trained(client, experiment, chosen.points)
    odd(client, experiment)
    deleted(client, experiment)
    gone(client, chosen.artifacts)
    models(client, first)
    if THIRD:
        logged_models(client, experiment, first)
        if not Path(chosen.store).is_absolute():
            traces(client)


def place(artifacts: Path | None, name: str) -> str | None:
    """Return where an experiment's artifacts go, None for MLflow's own choice."""
    return None if artifacts is None else str(artifacts / name)


def trained(client: MlflowClient, experiment: str, points: int) -> str:
    """Make an ordinary run with a child, a long history, artifacts and data."""
    run = client.create_run(experiment, run_name="deep one", start_time=1_700_000_000_000, tags={"mlflow.user": "ada"})
    identity = str(run.info.run_id)
    for start in range(0, points, 1_000):
        steps = range(start, min(points, start + 1_000))
        client.log_batch(identity, [Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step * 10, step) for step in steps])
    client.log_batch(
        identity,
        [Metric("auc", 0.5 + step / 100, 1_700_000_000_500, step) for step in range(10)],
        [Param("depth", "8"), Param("rate", "0.01"), Param("text", "ä" * 500)],
        [RunTag("owner", "ada"), RunTag("mlflow.note.content", "# A note\nover two lines")],
    )
    model_file(client, identity)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "report.txt").write_text("all went well\n")
        Path(folder, "plots").mkdir()
        Path(folder, "plots", "roc curve ä.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        Path(folder, "empty.bin").write_bytes(b"")
        client.log_artifacts(identity, folder)
    data = mlflow.data.from_numpy(numpy.arange(6.0), name="customers")
    client.log_inputs(identity, [dataset_input(data, "training")])
    client.set_terminated(identity, "FINISHED", end_time=1_700_000_060_000)
    child = client.create_run(experiment, run_name="fold 1", tags={"mlflow.parentRunId": identity})
    client.log_metric(child.info.run_id, "loss", 0.25, timestamp=1_700_000_001_000, step=3)
    client.log_inputs(child.info.run_id, [dataset_input(data, "validation")])
    client.set_terminated(child.info.run_id, "FAILED")
    return identity


def model_file(client: MlflowClient, run: str) -> None:
    """Log the files of a model, as far as a registry looks at them."""
    text = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\nrun_id: " + run + "\n"
    client.log_text(run, text, "model/MLmodel")


def dataset_input(data: Any, context: str) -> Any:
    """Describe data as an input of a run."""
    from mlflow.entities import DatasetInput, InputTag

    return DatasetInput(data._to_mlflow_entity(), [InputTag("mlflow.data.context", context)])


def odd(client: MlflowClient, experiment: str) -> None:
    """Make a run with values at the edge of what there is, still going on."""
    run = client.create_run(experiment, run_name="odd", start_time=1_700_000_100_000)
    identity = run.info.run_id
    for step, value in enumerate([float("nan"), float("inf"), float("-inf"), 1e-300, -0.0, 5.0]):
        client.log_metric(identity, "odd/value", value, timestamp=1_700_000_100_000 + step, step=step)
    client.log_metric(identity, "odd/value", 5.0, timestamp=1_700_000_100_005, step=5)  # the same again
    client.log_metric(identity, "back", 1.0, timestamp=1_700_000_100_000, step=7)
    client.log_metric(identity, "back", 2.0, timestamp=1_700_000_100_009, step=-3)


def deleted(client: MlflowClient, experiment: str) -> None:
    """Make a run and delete it."""
    run = client.create_run(experiment, run_name="dropped")
    client.log_param(run.info.run_id, "depth", 1)
    client.set_terminated(run.info.run_id, "KILLED")
    client.delete_run(run.info.run_id)


def gone(client: MlflowClient, artifacts: Path | None) -> None:
    """Make an experiment with a run, and delete it."""
    experiment = client.create_experiment("old ideas", place(artifacts, "old"))
    run = client.create_run(experiment, run_name="an old one")
    client.log_metric(run.info.run_id, "loss", 1.5, timestamp=1_600_000_000_000)
    client.set_terminated(run.info.run_id)
    client.delete_experiment(experiment)


def models(client: MlflowClient, run: str) -> None:
    """Make registered models with versions, stages, aliases and tags."""
    client.create_registered_model("churn-model", tags={"area": "crm"}, description="Who leaves")
    source = f"{client.get_run(run).info.artifact_uri}/model"
    for number in (1, 2, 3):
        client.create_model_version("churn-model", source, run, tags={"number": str(number)}, description=f"version {number}")
    client.transition_model_version_stage("churn-model", "1", "Archived")
    client.transition_model_version_stage("churn-model", "2", "Production")
    client.set_registered_model_alias("churn-model", "champion", "2")
    client.set_registered_model_alias("churn-model", "challenger", "3")
    client.delete_model_version("churn-model", "1")
    client.create_registered_model("without versions")
    prompt(client)


def prompt(client: MlflowClient) -> None:
    """Make a prompt of two versions, as this MLflow does."""
    register = mlflow.genai.register_prompt if THIRD else mlflow.register_prompt
    register(name="greeting", template="Hello {{ name }}", commit_message="first words")
    register(name="greeting", template="Good day, {{ name }}", tags={"tone": "stiff"})


def logged_models(client: MlflowClient, experiment: str, run: str) -> None:
    """Make logged models, one with metrics on data, one that failed, and link one to its run."""
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(experiment, "forest", run, {"kind": "good"}, {"trees": "100"}, "sklearn")
    client.finalize_logged_model(model.model_id, "READY")
    client.log_metric(
        run,
        "f1",
        0.75,
        timestamp=1_700_000_002_000,
        step=1,
        model_id=model.model_id,
        dataset_name="customers",
        dataset_digest="x1",
    )
    client.log_outputs(run, [LoggedModelOutput(model.model_id, 1)])
    bad = client.create_logged_model(experiment, "bush", run)
    client.finalize_logged_model(bad.model_id, "FAILED")


def traces(client: MlflowClient) -> None:
    """Make a trace of two spans with a tag and feedback."""
    mlflow.set_experiment("churn")

    @mlflow.trace
    def inner(x: int) -> int:
        return x + 1

    @mlflow.trace(name="answer")
    def outer(x: int) -> int:
        return inner(x) * 2

    outer(20)
    identity = mlflow.get_last_active_trace_id()
    mlflow.flush_trace_async_logging()
    client.set_trace_tag(identity, "topic", "numbers")
    mlflow.log_feedback(trace_id=identity, name="correct", value=True, rationale="it is 42")


if __name__ == "__main__":
    main()
    print(len(MlflowClient().search_runs(["0", "1"], run_view_type=ViewType.ALL)), "runs")
