"""What a program does with MLflow's client that traces calls, judges them, and keeps prompts and questions for evaluation.

python tests/protocols/mlflow/clients/language.py http://127.0.0.1:7373
"""

import sys
import time
import warnings
from typing import Any

import mlflow
from mlflow import MlflowClient

warnings.filterwarnings("ignore")
NAME = f"language-{time.time_ns()}"
VERSION = tuple(int(part) for part in mlflow.__version__.split(".")[:2])


def places(experiment: str) -> dict[str, Any]:
    """Return how an experiment is named in searches, which changed with version 3.5."""
    return {"locations": [experiment]} if VERSION >= (3, 5) else {"experiment_ids": [experiment]}


def trace_calls(client: MlflowClient, experiment: str) -> str:
    """Trace two calls; return the id of one of the traces."""

    @mlflow.trace(span_type="TOOL")
    def double(number: int) -> int:
        return number * 2

    @mlflow.trace(name="outer", attributes={"k": "v"})
    def answer(question: str) -> dict[str, int]:
        mlflow.update_current_trace(tags={"a": "b"})
        return {question: double(3)}

    answer("hello")
    answer("again")
    if hasattr(mlflow, "flush_trace_async_logging"):
        mlflow.flush_trace_async_logging()
    found = client.search_traces(**places(experiment))
    assert len(found) == len(mlflow.search_traces(**places(experiment))) == 2
    identity = str(found[0].info.trace_id if VERSION >= (3, 0) else found[0].info.request_id)
    trace = client.get_trace(identity)
    assert ([span.name for span in trace.data.spans], trace.info.tags["a"]) == (["outer", "double"], "b")
    client.set_trace_tag(identity, "x", "y")
    client.delete_trace_tag(identity, "x")
    return identity


def judge(identity: str) -> None:
    """Say what a person thinks of a trace, change it, and take some of it back."""
    from mlflow.entities import AssessmentSource, Feedback

    person = AssessmentSource(source_type="HUMAN", source_id="ada")
    said = mlflow.log_feedback(trace_id=identity, name="ok", value=True, rationale="because", source=person)
    expected = mlflow.log_expectation(trace_id=identity, name="expected", value={"a": 1}, source=person)
    assert {one.name for one in mlflow.get_trace(identity).info.assessments} == {"ok", "expected"}
    mlflow.update_assessment(trace_id=identity, assessment_id=said.assessment_id, assessment=Feedback(name="ok", value=False))
    mlflow.delete_assessment(trace_id=identity, assessment_id=expected.assessment_id)
    assert [one.name for one in mlflow.get_trace(identity).info.assessments] == ["ok"]


def keep_prompts() -> None:
    """Register two versions of a prompt, and load one by its alias."""
    prompt = mlflow.genai.register_prompt(name=f"p-{NAME}", template="Hi {{name}}", commit_message="first", tags={"a": "b"})
    mlflow.genai.set_prompt_alias(prompt.name, "prod", prompt.version)
    assert mlflow.genai.load_prompt(f"prompts:/{prompt.name}@prod").format(name="X") == "Hi X"
    assert mlflow.genai.register_prompt(name=prompt.name, template="Bye {{name}}").version == 2
    assert len(mlflow.genai.search_prompts(filter_string=f"name='{prompt.name}'")) == 1


def evaluate(experiment: str) -> None:
    """Keep questions, and let a scorer judge a program's answers."""
    from mlflow.genai import scorer

    kept = mlflow.genai.datasets.create_dataset(name=f"d-{NAME}", experiment_id=[experiment], tags={"t": "1"})
    kept.merge_records([{"inputs": {"q": "a"}, "expectations": {"e": 1}}, {"inputs": {"q": "b"}}])
    assert len(mlflow.genai.datasets.get_dataset(dataset_id=kept.dataset_id).to_df()) == 2
    assert len(mlflow.genai.datasets.search_datasets(experiment_ids=[experiment])) == 1

    @scorer
    def exact(outputs: str) -> bool:
        return outputs == "A"

    questions = [{"inputs": {"q": "a"}}, {"inputs": {"q": "b"}}]
    result = mlflow.genai.evaluate(data=questions, predict_fn=lambda q: q.upper(), scorers=[exact])
    assert result.metrics["exact/mean"] == 0.5


def main() -> None:
    """Do all of it, with the server of a URL."""
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    experiment = mlflow.set_experiment(NAME).experiment_id
    identity = trace_calls(client, experiment)
    if VERSION >= (3, 5):
        judge(identity)
        keep_prompts()
        evaluate(experiment)
        assert client.delete_traces(experiment_id=experiment, trace_ids=[identity]) == 1
    print(f"mlflow {mlflow.__version__}: all as expected")


if __name__ == "__main__":
    main()
