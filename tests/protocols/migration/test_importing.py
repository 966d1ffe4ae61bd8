"""A store of MLflow is brought in whole: ids, times, histories, models; twice is as good as once, and half is made whole."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.protocols.migration.conftest import unpack

from perenne import llm, registry, tracking
from perenne.auth import audit
from perenne.auth.principals import Principal, local_principal
from perenne.core.errors import NotFound
from perenne.protocols.mlflow.migration.importing import Importer
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.protocols.mlflow.migration.report import Report
from perenne.storage.workspace import Workspace
from perenne.tracking import LoggedRun, RunState


def bring(workspace: Workspace, actor: Principal, store: str, *experiments: str, artifacts: bool = True) -> Report:
    source = open_source(store)
    try:
        return Importer(workspace, actor, source, experiments=experiments, artifacts=artifacts).run()
    finally:
        source.close()


def runs_of(workspace: Workspace) -> dict[str, LoggedRun]:
    with workspace.database.read() as tx:
        numbers = [run.number for run in tracking.service.runs(tx, limit=1_000)]
        numbers += [number for number in range(1, 20) if number not in numbers]
        return {run.name: run for run in tracking.service.runs_of(tx, numbers)}


def files_of(workspace: Workspace, actor: Principal, run: str) -> dict[str, bytes]:
    with workspace.database.read() as tx:
        place = tracking.artifacts.place_of_run(tx, actor, run)
        found = tracking.artifacts.below(tx, actor, place)
    return {item.path: tracking.artifacts.load(workspace.blobs, item) for item in found}


def test_everything_comes_and_keeps_ids_and_times(workspace: Workspace, actor: Principal, store: str) -> None:
    report = bring(workspace, actor, store)
    assert report.is_whole, report
    assert (report.experiments.brought, report.runs.brought, report.registered_models.brought) == (3, 5, 3)
    found = runs_of(workspace)
    run = found["deep one"]
    assert run.state is RunState.FINISHED
    assert (run.started, run.ended) == (1_700_000_000_000_000, 1_700_000_060_000_000)
    assert {one.key: one.value for one in run.params} == {"depth": "8", "rate": "0.01", "text": "ä" * 500}
    assert {one.key: one.value for one in run.tags}["mlflow.note.content"] == "# A note\nover two lines"
    assert [(one.name, one.context) for one in run.datasets] == [("customers", "training")]
    with workspace.database.read() as tx:
        history = tracking.history.history(tx, actor, run.id, "loss")
        odd = tracking.history.history(tx, actor, found["odd"].id, "odd/value")
        places = {place.name: place for place in tracking.experiments.some(tx, range(-1, 10))}
    assert [(one.step, one.time, one.value) for one in history] == [
        (step, 1_700_000_000_000 + step * 10, 1 / (step + 1)) for step in range(1_200)
    ]
    assert [one.value for one in odd][1:] == [1.7976931348623157e308, -1.7976931348623157e308, 1e-300, 0.0, 5.0]
    assert math.isnan(odd[0].value)
    last = {one.key: one for one in found["odd"].metrics}
    assert (last["back"].step, last["back"].value) == (7, 1.0)
    assert {name: run.state.value for name, run in found.items()} == {
        "deep one": "finished",
        "fold 1": "failed",
        "odd": "running",
        "dropped": "killed",
        "an old one": "finished",
    }
    assert {run.name for run in found.values() if run.deleted is not None} == {"dropped", "an old one"}
    assert files_of(workspace, actor, run.id) == {
        "empty.bin": b"",
        "model/MLmodel": files_of(workspace, actor, run.id)["model/MLmodel"],
        "plots/roc curve ä.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "report.txt": b"all went well\n",
    }
    if "sqlite" in store:
        assert places["churn"].id == 1
    assert places["churn"].tags["team"] == "crm"
    assert {one.key: one.value for one in found["fold 1"].tags}["mlflow.parentRunId"] == run.id


def test_models_come_with_numbers_aliases_and_stages(workspace: Workspace, actor: Principal, store: str) -> None:
    bring(workspace, actor, store)
    with workspace.database.read() as tx:
        model = registry.models.get(tx, actor, "churn-model")
        (entry,) = registry.models.entries(tx, [model])
        versions = {one.number: one for one in registry.versions(tx, "churn-model")}
        prompt = registry.models.get(tx, actor, "greeting")
        words = registry.registrations.entries(tx, registry.versions(tx, "greeting"))
    assert model.description == "Who leaves"
    assert entry.tags == {"area": "crm"}
    assert entry.aliases == {"champion": "churn-model@2", "challenger": "churn-model@3"}
    assert {number: version.stage for number, version in versions.items()} == {2: "Production", 3: "None"}
    run = runs_of(workspace)["deep one"]
    assert (versions[2].run, versions[2].source) == (run.id, f"runs:/{run.id}/model")
    assert prompt.prompt
    assert sorted(one.tags["mlflow.prompt.text"] for one in words) == ["Good day, {{ name }}", "Hello {{ name }}"]


def test_traces_come_with_spans_and_what_was_said_of_them(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    store = unpack("sqlite-3.17.2", tmp_path / "s")
    assert bring(workspace, actor, store).traces.brought == 1
    again = bring(workspace, actor, store)
    assert (again.traces.there, again.is_whole) == (1, True)
    source = open_source(store)
    (said,) = source.traces("1")
    source.close()
    with workspace.database.read() as tx:
        (found,) = llm.traces.batch(tx, actor, [said.id])
        spans = llm.traces.complete_spans(tx, [found])[said.id]
    assert (found.started, found.state.value, found.response_preview, found.tags["topic"]) == (said.time, "OK", "42", "numbers")
    assert {one.name: one.attributes["mlflow.spanOutputs"] for one in spans} == {"answer": "42", "inner": "21"}
    by_id = {one.span_id: one for one in spans}
    assert [by_id[one.parent_id].name for one in spans if one.parent_id] == ["answer"]
    (judged,) = found.assessments
    assert (judged.id, judged.name, judged.value, judged.rationale) == (
        said.assessments[0]["assessment_id"],
        "correct",
        True,
        "it is 42",
    )


def test_twice_is_as_good_as_once(workspace: Workspace, actor: Principal, one_store: str) -> None:
    bring(workspace, actor, one_store)
    before = runs_of(workspace)
    again = bring(workspace, actor, one_store)
    assert again.is_whole
    assert (again.runs.there, again.runs.brought) == (4, 1)  # the one that goes on is read again
    assert (again.versions.brought, again.registered_models.brought) == (0, 0)
    after = runs_of(workspace)
    assert {name: (run.id, run.metrics, run.params) for name, run in after.items() if name != "odd"} == {
        name: (run.id, run.metrics, run.params) for name, run in before.items() if name != "odd"
    }
    with workspace.database.read() as tx:
        assert len(tracking.history.history(tx, actor, after["deep one"].id, "loss")) == 1_200


def test_one_experiment_comes_alone(workspace: Workspace, actor: Principal, one_store: str) -> None:
    report = bring(workspace, actor, one_store, "old ideas")
    assert (report.experiments.brought, report.runs.brought, report.registered_models.found) == (1, 1, 0)
    with pytest.raises(NotFound, match="no experiment 'nothing'"):
        bring(workspace, actor, one_store, "nothing")


def test_counting_brings_nothing(workspace: Workspace, actor: Principal, one_store: str) -> None:
    source = open_source(one_store)
    counted = Importer(workspace, actor, source).count()
    source.close()
    assert (counted.experiments.found, counted.runs.found, counted.versions.found) == (3, 5, 4)
    assert counted.points.found >= 1_218
    assert counted.files.found == 4
    assert runs_of(workspace) == {}


def test_a_run_that_was_logged_here_is_not_touched(workspace: Workspace, actor: Principal, one_store: str) -> None:
    source = open_source(one_store)
    identity = next(run.id for one in source.experiments() for run in source.runs(one.id) if run.name == "deep one")
    source.close()
    workspace.database.write(lambda tx: tracking.service.create_run(tx, actor, 0, name="mine", identity=identity))
    report = bring(workspace, actor, one_store)
    assert [(one.kind, one.id) for one in report.problems if one.kind == "run"] == [("run", identity)]
    assert not report.is_whole
    assert runs_of(workspace)["mine"].id == identity


def test_the_audit_trail_has_what_was_brought(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    bring(workspace, actor, unpack("sqlite-3.17.2", tmp_path / "s"))
    with workspace.database.read() as tx:
        said = [record.action for record in audit.trail(tx, limit=100)]
    assert said.count("run.bring") == 5
    assert "alias.move" in said


PROGRAM = """
import sys
from tests.dying import die_after
from perenne.auth.principals import local_principal
from perenne.protocols.mlflow.migration.importing import Importer
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.storage.workspace import Workspace

with Workspace() as workspace:
    workspace.database
    source = open_source(sys.argv[1])
    die_after(int(sys.argv[2]))
    Importer(workspace, local_principal(), source).run()
"""


@pytest.mark.parametrize("steps", [3_000, 9_000, 20_000])
def test_killed_anywhere_it_is_made_whole(
    workspace: Workspace, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = unpack("sqlite-3.17.2", tmp_path / "store")
    monkeypatch.setenv("PERENNE_HOME", str(workspace.settings.home))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, store, str(steps)], env=environment, check=False, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    report = bring(workspace, local_principal(), store)
    assert report.is_whole, report
    assert report.runs.found == report.runs.brought + report.runs.there == 5
    with workspace.database.read() as tx:
        run = runs_of(workspace)["deep one"]
        assert len(tracking.history.history(tx, local_principal(), run.id, "loss")) == 1_200
        assert len(registry.versions(tx, "churn-model")) == 2
