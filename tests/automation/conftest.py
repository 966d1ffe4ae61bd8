"""A small project on real rows: breast cancer, by day, with a linear model."""

from pathlib import Path

import pyarrow.csv as csv
import pytest
from tests.training.conftest import table_of

from perenne.auth.principals import Principal
from perenne.automation.rounds import RoundResult, run_round
from perenne.core.clock import ManualClock, parse_time
from perenne.projects import load_project
from perenne.storage.workspace import Workspace

PROJECT = """
from pathlib import Path

import perenne as pn

project = pn.Project(
    "lumps", problem="Tell benign from malignant.", owner="clinic",
    objectives=[pn.Objective("roc_auc", at_least=0.8), pn.Objective("latency_p99_ms", at_most=1_000)],
    guardrails=[pn.Guardrail("accuracy", by="group", at_least=0.5)],
)


@project.dataset(time="day")
def samples():
    return Path(__file__).parent / "samples.csv"


@project.model(target="target", data=samples, search={"C": [0.1, 1.0]})
def model(X, y, params):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2_000, **params))


project.retrain(
    on=[pn.drift(), pn.missed()], cooldown="1d", holdout="100d", label_delay="0s", shadow="1h", shadow_rows=10, soak="1h"
)
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_time("2021-12-01"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's folder; the workspace of the test lies beside it."""
    folder = tmp_path / "lumps"
    folder.mkdir()
    (folder / "project.py").write_text(PROJECT)
    csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")
    return folder


def do_round(workspace: Workspace, actor: Principal, folder: Path) -> RoundResult:
    """Do one round of the project in a folder."""
    return run_round(workspace, actor, load_project(folder))
