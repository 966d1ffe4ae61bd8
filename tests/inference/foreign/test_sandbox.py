"""The process in which code of models runs: it has nothing of ours, is late only once, and is there again after it died."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perenne.core.errors import Unavailable
from perenne.inference.foreign import Trust, find, package_model
from perenne.inference.model import Signature
from perenne.inference.sandbox import Guest, GuestSetting, SourceFailed, SourceForm, python_for
from perenne.stats.columns import Field, FieldKind, Task

FIELDS = (Field("a", FieldKind.NUMBER),)
SIGNATURE = Signature(FIELDS, Task.REGRESSION, (), "y")
MLFLOW = os.environ.get("PERENNE_MLFLOW_PYTHON", "")
needs_mlflow = pytest.mark.skipif(not MLFLOW, reason="PERENNE_MLFLOW_PYTHON names no Python with mlflow")


class Calls:
    """A pickle of a call: what is loaded is what the call gives."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __reduce__(self) -> Any:
        return eval, (self.expression,)


MODEL = """type("Model", (), {
    "predict": lambda self, x: (
        __import__("os")._exit(3) if x[0, 0] > 9
        else __import__("time").sleep(3600) if x[0, 0] > 8
        else 1 / 0 if x[0, 0] > 7
        else x[:1, 0] if x[0, 0] > 6
        else x[:, 0] * 2
    ),
})()"""


def form(tmp_path: Path, expression: str, seconds: float = 30.0) -> SourceForm:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Calls(expression)))
    return SourceForm(
        tmp_path, GuestSetting(kind="estimator", path="model.pkl", form="pickle", trust="a test"), SIGNATURE, seconds
    )


def ask(source: SourceForm, *values: float) -> list[float]:
    found: list[float] = source.predict({"a": np.array(values)}).predictions.tolist()
    return found


def test_it_answers_dies_is_late_and_answers_again(tmp_path: Path) -> None:
    source = form(tmp_path, MODEL, seconds=1.0)
    try:
        assert ask(source, 1.0, 2.0) == [2.0, 4.0]
        for value, said in ((7.5, "ZeroDivisionError"), (6.5, "another number of answers"), (9.5, "died"), (8.5, "1 seconds")):
            with pytest.raises(SourceFailed, match=said):
                ask(source, value, 0.0)
            assert ask(source, 3.0) == [6.0], "and the next one is answered"
        assert ask(source) == []
    finally:
        source.close()


def test_it_has_no_variables_of_ours_no_network_and_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNE_SECRET", "s")
    seen = "1 / 0 if 'PERENNE_SECRET' in os.environ or os.listdir() or os.stat('.').st_mode & 0o77 else model"
    source = form(tmp_path, f"(lambda os, model: {seen})(__import__('os'), {MODEL})")
    assert ask(source, 1.0) == [2.0]
    isolated = source.guest.isolated
    source.close()
    if isolated["network"]:
        reach = form(tmp_path, "__import__('socket').create_connection(('127.0.0.1', 9), 1)")
        with pytest.raises(Unavailable, match="unreachable"):
            ask(reach, 1.0)


def test_what_cannot_be_loaded_is_said_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    source = form(tmp_path, "1 / 0")
    with pytest.raises(Unavailable, match="ZeroDivisionError"):
        ask(source, 1.0)
    assert source.guest._started is None


def test_mlflow_is_asked_for_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNE_MLFLOW_PYTHON", "/some/python")
    assert python_for("mlflow") == "/some/python"
    monkeypatch.delenv("PERENNE_MLFLOW_PYTHON")
    from importlib.util import find_spec

    if find_spec("pandas") is None:
        with pytest.raises(Unavailable, match="needs MLflow"):
            python_for("mlflow")


@pytest.mark.long
@needs_mlflow
def test_a_python_model_answers_in_a_process_of_its_own(tmp_path: Path) -> None:
    from perenne.inference import load

    logged = Path(__file__).parent / "logged" / "python_model"
    made = package_model(logged, tmp_path / "made", trust=Trust(frozenset({find(logged).digest})))
    assert [output.name for output in made.signature.outputs] == ["twice", "word"]
    predictor = load(tmp_path / "made")
    try:
        rows = {"height": np.array([2.0, 4.0]), "word": np.array(["a", "ü"], object)}
        assert predictor.labels(predictor.predict(rows)) == [{"twice": 4.0, "word": "a!"}, {"twice": 8.0, "word": "ü!"}]
        for tall, said in ((1e4 + 1, "too tall"), (1e6 + 1, "died")):
            with pytest.raises(SourceFailed, match=said):
                predictor.predict({"height": np.array([tall]), "word": np.array(["a"], object)})
        assert predictor.predict(rows).size == 2
    finally:
        predictor.close()


@pytest.mark.long
@needs_mlflow
def test_what_the_real_client_logs_today_is_served(tmp_path: Path) -> None:
    import subprocess

    from perenne.inference import load

    script = Path(__file__).parent / "record.py"
    subprocess.run([MLFLOW, str(script), str(tmp_path)], check=True, capture_output=True, cwd=tmp_path)
    forms = {}
    for folder in sorted(path for path in tmp_path.iterdir() if (path / "MLmodel").exists()):
        made = package_model(folder, tmp_path / f"made {folder.name}", trust=Trust(frozenset({find(folder).digest})))
        predictor = load(tmp_path / f"made {folder.name}")
        predictor.close()
        forms[folder.name] = made.parity.form
    assert forms == {"lightgbm": "onnx", "onnx": "onnx", "python_model": "python", "pytorch": "onnx",
                     "sklearn_pickle": "linear", "sklearn_skops": "onnx", "xgboost": "onnx"}  # fmt: skip


def test_a_guest_is_ended_with_whoever_had_it(tmp_path: Path) -> None:
    guest: Guest | None = form(tmp_path, MODEL).guest
    assert guest is not None
    guest.ask({"@matrix": np.zeros((1, 1))})
    started = guest._started
    assert started is not None and Path(started.home).is_dir()
    guest = None
    assert started.process.poll() is not None and not Path(started.home).exists()
