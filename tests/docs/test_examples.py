"""Each example runs, by the command its README names, in a copy of its folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perenne import registry
from perenne.core.config import load_settings
from perenne.registry import GateState
from perenne.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/run.sh"))
MODELS = {"flights": "flight-delays", "mlflow-clients": "wine", "own-model": "loans", "regression": "diabetes"}


def copy(name: str, folder: Path) -> Path:
    target = folder / name
    shutil.copytree(EXAMPLES / name, target, ignore=shutil.ignore_patterns(".perenne", "__pycache__", "*.csv", "*.parquet"))
    return target


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    programs = folder.parent / "bin"
    programs.mkdir()
    (programs / "perenne").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m perenne "$@"\n')
    (programs / "perenne").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_every_example_is_listed() -> None:
    assert set(NAMES) == set(MODELS)
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"({name}/README.md)" in listed for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_example_makes_a_version_whose_checks_pass(name: str, tmp_path: Path) -> None:
    folder = copy(name, tmp_path)
    done = run(folder, "sh", "run.sh", "--fast")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    with Workspace(load_settings(folder, {})) as workspace, workspace.database.read() as tx:
        (version,) = registry.versions(tx, MODELS[name])
        gate = registry.dossier(tx, version.id).gate
    assert gate.state is (GateState.WAITING if name == "flights" else GateState.OPEN)


ESTIMATOR = """

from sklearn.base import BaseEstimator, ClassifierMixin


class Ours(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        self.inner_ = RisingLogistic().fit(X, y).as_estimator()
        return self

    def predict(self, X):
        return self.inner_.predict(X)

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)
"""


@pytest.mark.parametrize(
    ("returned", "code"), [("RisingLogistic()", "training.fit_failed"), ("rising.Ours()", "inference.not_compilable")]
)
def test_a_class_of_one_s_own_that_is_returned_is_refused_as_the_readme_says(returned: str, code: str, tmp_path: Path) -> None:
    folder = copy("own-model", tmp_path)
    (folder / "rising.py").write_text((folder / "rising.py").read_text() + ESTIMATOR)
    project = folder / "project.py"
    learned = "RisingLogistic(**params).fit(X, y).as_estimator()"
    assert learned in project.read_text()
    project.write_text(
        project.read_text().replace(learned, returned).replace("import perenne as pn", "import perenne as pn\nimport rising")
    )
    done = run(folder, "sh", "run.sh")
    assert done.returncode == 1
    assert f"error[{code}]" in done.stderr, done.stderr
