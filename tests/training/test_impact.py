"""What data did to a model: judged on rows that nobody learned from, a harmful source is found, and nothing is fitted twice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perenne import data, tracking
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.projects import LoadedProject, load_project
from perenne.storage.workspace import Workspace
from perenne.tracking import RunState
from perenne.training import study_impact
from perenne.training.impact_page import write_page
from perenne.training.model import Impact, VariantImpact

PROJECT = """
import perenne as pn

project = pn.Project("loans", problem="Who pays back.", owner="bank", objectives=[pn.Objective("roc_auc", at_least=0.5)],
                     guardrails=[pn.Guardrail("accuracy", by="plan", at_least=0.1)])


@project.dataset(KEYS)
def rows():
    return "rows.csv"


@project.model(target="paid", data=rows, ignore=["source"], search={"C": [1.0]})
def model(X, y, params):
    if params["C"] < 0:
        raise ValueError("no such C")
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(max_iter=2_000, **params))
"""


def loaded(folder: Path, keys: str = 'key="id"') -> LoadedProject:
    folder.mkdir(exist_ok=True)
    (folder / "project.py").write_text(PROJECT.replace("KEYS", keys))
    return load_project(folder)


def table_of(rows: int, *, seed: int = 0, first: int = 0, liars: float = 0.25) -> pa.Table:
    """Three sources; what "liar" says of the answer is turned round."""
    rng = np.random.default_rng(seed)
    income, source = rng.normal(size=rows), rng.choice(["branch", "web", "liar"], rows, p=[0.4, 0.6 - liars, liars])
    paid = (income + rng.normal(scale=0.5, size=rows) > 0) ^ (source == "liar")
    day = np.datetime64("2020-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    columns = {"id": np.arange(first, first + rows), "day": day, "income": income, "noise": rng.normal(size=rows)}
    groups = {"plan": rng.choice(["basic", "pro"], rows), "source": source, "paid": np.where(paid, "yes", "no")}
    return pa.table(columns | groups)


def take(workspace: Workspace, actor: Principal, table: pa.Table) -> str:
    return data.take_snapshot(workspace.database, workspace.objects, actor, table, dataset="rows").id


def only(found: Impact, name: str) -> VariantImpact:
    return next(item for item in found.variants if item.variant.name == name)


@pytest.mark.parametrize("keys", ['key="id"', 'time="day"', ""])
def test_a_source_that_lies_is_found_and_the_rest_is_not_blamed(
    workspace: Workspace, actor: Principal, tmp_path: Path, keys: str
) -> None:
    snapshot = take(workspace, actor, table_of(1_500))
    study = study_impact(workspace, actor, loaded(tmp_path / "p", keys), [snapshot], leave_out="source", metrics=["log_loss"])
    found = study.impact
    assert [item.variant.name for item in found.variants] == ["all rows", "without branch", "without web", "without liar"]
    honest = next(e for e in only(found, "without liar").effects if (e.by, e.group) == ("source", "branch"))
    betrayed = next(e for e in only(found, "without liar").effects if (e.by, e.group) == ("source", "liar"))
    assert (honest.verdict, betrayed.verdict) == ("better", "worse")
    assert all(item.rows + item.held_out <= 1_500 for item in found.variants)
    assert found.variants[0].rows == 1_500 - found.holdout
    assert all(effect.difference is None for effect in found.variants[0].effects)


def test_no_variant_learns_from_what_it_is_judged_on(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    """The earlier version holds rows of the later one's holdout too, so they are kept from it by their key."""
    later = table_of(1_000)
    both = [take(workspace, actor, later.slice(0, 600)), take(workspace, actor, later)]
    found = study_impact(workspace, actor, loaded(tmp_path / "p"), both).impact
    early, whole = found.variants
    assert early.rows + early.held_out == 600 and 0 < early.held_out < found.holdout
    assert whole.rows == 1_000 - found.holdout
    assert {effect.metric for effect in whole.effects} >= {"roc_auc", "log_loss", "accuracy"}


def test_with_time_rows_that_are_not_earlier_are_kept_out(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    old, new = take(workspace, actor, table_of(2_000, seed=5)), take(workspace, actor, table_of(1_000))
    found = study_impact(workspace, actor, loaded(tmp_path / "p", 'time="day"'), [old, new]).impact
    assert found.variants[0].rows == found.variants[1].rows == 1_000 - found.holdout
    assert found.variants[0].held_out == 2_000 - found.variants[0].rows


def test_what_a_version_lacks_counts_as_missing_and_other_labels_are_left_out(
    workspace: Workspace, actor: Principal, tmp_path: Path
) -> None:
    first = table_of(400, seed=1, first=10_000, liars=0).drop_columns(["income", "plan"])
    labels = first.column("paid").to_pylist()
    first = first.set_column(first.column_names.index("paid"), "paid", pa.array(["perhaps", *labels[1:]]))
    found = study_impact(
        workspace, actor, loaded(tmp_path / "p"), [take(workspace, actor, first), take(workspace, actor, table_of(800, liars=0))]
    ).impact
    assert found.variants[0].lacking == ("income", "plan") and found.variants[0].unknown == 1
    told = next(effect for effect in found.variants[1].effects if effect.metric == "roc_auc")
    assert told.verdict == "better", "income is what tells"


def test_it_is_kept_as_a_run_and_what_was_fitted_is_not_fitted_again(
    workspace: Workspace, actor: Principal, tmp_path: Path
) -> None:
    project = loaded(tmp_path / "p")
    snapshots = [take(workspace, actor, table_of(rows)) for rows in (300, 400, 500)]
    started: list[str] = []

    def hear(event: Any) -> None:
        if type(event).__name__ == "Started":
            started.append(event.step.partition("#")[0])

    first = study_impact(workspace, actor, project, snapshots, on_event=hear)
    assert sorted(started) == ["judge", "learn", "learn", "learn"]
    started.clear()
    again = study_impact(workspace, actor, project, snapshots, metrics=["roc_auc"], on_event=hear)
    assert started == ["judge"], "only the judging changed"
    assert (again.impact.variants[1].effects[0]) == first.impact.variants[1].effects[0]
    with workspace.database.read() as tx:
        run = tracking.service.get_run(tx, first.run)
        kept = tracking.artifacts.entries(tx, actor, tracking.artifacts.place_of_run(tx, actor, first.run, ""))
    assert (run.kind, run.state, set(run.data)) == ("impact", RunState.FINISHED, set(snapshots))
    assert {entry.path for entry in kept} == {"impact.json", "impact.html"}


def test_names_of_data_are_only_names_on_the_page(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    table = table_of(400)
    names = pa.array(["<script>alert(1)</script>" if number % 2 else None for number in range(400)])
    snapshot = take(workspace, actor, table.set_column(table.column_names.index("source"), "source", names))
    page = write_page(study_impact(workspace, actor, loaded(tmp_path / "p"), [snapshot], leave_out="source").impact)
    assert "<script" not in page and "without &lt;script&gt;" in page and "without (none)" in page


def test_what_cannot_be_compared_is_refused_and_leaves_no_run(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    project, snapshot = loaded(tmp_path / "p"), take(workspace, actor, table_of(300))
    given: Mapping[str, Any]
    for given, error, code in (
        ({"snapshots": [snapshot]}, Invalid, "training.one_version"),
        ({"snapshots": [snapshot, "feed"]}, NotFound, "data.snapshot_not_found"),
        ({"snapshots": [snapshot], "leave_out": "nothing"}, Invalid, "training.column"),
        ({"snapshots": [snapshot], "leave_out": "plan", "metrics": ["rmse"]}, Invalid, "training.metric"),
    ):
        with pytest.raises(error) as caught:
            study_impact(workspace, actor, project, **given)
        assert isinstance(caught.value, PerenneError) and caught.value.code == code
    with workspace.database.read() as tx:
        assert tracking.service.runs(tx, "loans") == []


def test_a_fit_that_fails_leaves_a_failed_run_with_its_reason(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    snapshot = take(workspace, actor, table_of(300))
    with pytest.raises(Invalid, match="no such C"):
        study_impact(workspace, actor, loaded(tmp_path / "p"), [snapshot], leave_out="plan", parameters={"C": -1.0})
    with workspace.database.read() as tx:
        [run] = tracking.service.runs(tx, "loans")
    assert run.state is RunState.FAILED and "no such C" in run.outcome
