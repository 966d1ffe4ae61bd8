"""`perenne serve model.onnx`: a file answers without anything being registered; a pickle only if it is vouched for."""

import json
import os
import pickle
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perenne.core.errors import Denied, Invalid
from perenne.serving.admission import Admission
from perenne.serving.files import is_model_file, release_file
from perenne.serving.loading import load_version
from perenne.serving.releases import VERSIONS, read_release

LOGGED = Path(__file__).parents[1] / "inference" / "foreign" / "logged"
MODEL = LOGGED / "onnx" / "model.onnx"


def test_a_file_is_packaged_once_and_again_when_it_changes(tmp_path: Path) -> None:
    first = release_file(MODEL, tmp_path, name="size")
    assert first.packaged is not None and first.version.startswith("size@")
    assert release_file(MODEL, tmp_path, name="size").packaged is None
    release = read_release(first.folder)
    assert release.deployment.generation == 1
    loaded = load_version(first.folder, release.deployment.champion, Admission().admit(release, release.deployment.champion.tree))
    assert (loaded.model, loaded.predictor.manifest.form) == ("size", "onnx")
    other = release_file(LOGGED / "lightgbm" / "model.lgb", tmp_path, name="size")
    assert read_release(other.folder).deployment.generation == 2
    assert len(list((other.folder / VERSIONS).iterdir())) == 2, "the one before is kept for those who still ask it"


def test_rows_make_another_proof(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(60, 3))
    np.savetxt(tmp_path / "rows.csv", table, delimiter=",", header="height,weight,age", comments="")
    made = release_file(LOGGED / "xgboost", tmp_path / "served", rows=tmp_path / "rows.csv").packaged
    assert made is not None and made.parity.rows == 60 and not made.reference, "no control plane reads what would be counted"


def test_names_and_files_are_told_apart(tmp_path: Path) -> None:
    assert is_model_file("model.onnx") and is_model_file("./anything") and is_model_file(str(LOGGED / "onnx"))
    assert not any(is_model_file(name) for name in ("churn", "churn@3", "churn-eu", "churn.v2"))
    with pytest.raises(Invalid, match="is no name"):
        release_file(MODEL, tmp_path, name="../x")


def test_a_pickle_is_not_served_again_without_the_word_that_it_was_served_with(tmp_path: Path) -> None:
    path = LOGGED / "sklearn_pickle" / "model.pkl"
    (tmp_path / "model.pkl").write_bytes(path.read_bytes())
    with pytest.raises(Denied) as refused:
        release_file(tmp_path / "model.pkl", tmp_path / "served")
    digest = str(refused.value.hint).rpartition(" ")[2]
    assert release_file(tmp_path / "model.pkl", tmp_path / "served", trusted=frozenset({digest})).packaged
    with pytest.raises(Denied):
        release_file(tmp_path / "model.pkl", tmp_path / "served")


def run(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PERENNE_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    program = "import sys; from perenne.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "serve", *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_perenne_serve_answers_from_a_file_and_makes_no_database(tmp_path: Path) -> None:
    server = run(tmp_path / "home", str(MODEL), "--port", "0", "--name", "size")
    try:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "answers on http" in line)
        url = "http://" + line.partition("http://")[2].partition("/")[0]
        body = json.dumps({"instances": [[1.0, 1.0, 0.0], [-2.0, -1.0, 0.0]]}).encode()
        request = urllib.request.Request(f"{url}/v1/models/size:predict", body, {"content-type": "application/json"})
        answer: Any = json.load(urllib.request.urlopen(request, timeout=30))
        assert answer["predictions"] == ["large", "small"]
        described: Any = json.load(urllib.request.urlopen(f"{url}/v2/models/size", timeout=30))
        assert described["platform"] == "onnx_onnxv1" and described["parameters"]["forms"].startswith("onnx")
        assert not (tmp_path / "home" / "perenne.db").exists()
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0


def test_perenne_serve_refuses_a_pickle_before_it_is_opened(tmp_path: Path) -> None:
    sign = tmp_path / "sign"

    class Writes:
        def __reduce__(self) -> Any:
            return eval, (f"open({str(sign)!r}, 'w').close()",)

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Writes()))
    server = run(tmp_path / "home", str(tmp_path / "model.pkl"))
    said = server.communicate(timeout=60)[1]
    assert server.returncode == 4 and "error[model_file.untrusted]" in said and "--trust" in said
    assert not sign.exists()
