"""What came from MLflow goes back to it, and is the same."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.protocols.migration.conftest import unpack

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid
from perenne.protocols.mlflow.migration.entities import RegisteredModel, Run
from perenne.protocols.mlflow.migration.exporting import Exporter, open_target
from perenne.protocols.mlflow.migration.importing import Importer
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.protocols.mlflow.migration.own import OwnSource
from perenne.protocols.mlflow.migration.report import Report
from perenne.protocols.mlflow.migration.source import Source
from perenne.storage.workspace import Workspace

OURS = ("perenne.import.seal", "perenne.import.experimentId")


@pytest.fixture
def filled(workspace: Workspace, actor: Principal, tmp_path: Path) -> Iterator[Source]:
    """Give a store that was brought in, to be compared with."""
    source = open_source(unpack("sqlite-3.17.2", tmp_path / "from"))
    assert Importer(workspace, actor, source).run().is_whole
    yield source
    source.close()


def export(workspace: Workspace, actor: Principal, target: str, *experiments: str) -> Report:
    opened = open_target(target)
    try:
        return Exporter(OwnSource(workspace, actor), opened, experiments=experiments).run()
    finally:
        opened.close()


def plain(run: Run) -> dict[str, Any]:
    """Return what is the same on both sides."""
    names = ("id", "experiment", "name", "status", "started", "ended", "deleted", "params", "inputs", "makes")
    tags = {key: text for key, text in run.tags.items() if key not in OURS}
    return {name: getattr(run, name) for name in names} | {"tags": tags}


def model(said: RegisteredModel) -> tuple[Any, ...]:
    versions = [(one.number, one.stage, one.tags, one.description, one.run) for one in said.versions]
    return said.name, said.tags, said.aliases, said.description, versions


def test_a_folder_holds_what_was_brought(filled: Source, workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    report = export(workspace, actor, str(tmp_path / "mlruns"))
    assert report.is_whole, report
    back = open_source(str(tmp_path / "mlruns"))
    assert [(one.id, one.name, one.deleted, one.tags) for one in back.experiments()] == [
        (one.id, one.name, one.deleted, one.tags) for one in filled.experiments()
    ]
    for place in filled.experiments():
        before = {run.id: run for run in filled.runs(place.id)}
        after = {run.id: run for run in back.runs(place.id)}
        assert {key: plain(run) for key, run in after.items()} == {key: plain(run) for key, run in before.items()}
        for identity, run in before.items():
            assert histories(back, identity) == histories(filled, identity)
            assert list(back.artifacts(after[identity].artifacts).files) == list(filled.artifacts(run.artifacts).files)
        assert {one.id: (one.name, one.params, one.metrics) for one in back.logged_models(place.id)} == {
            one.id: (one.name, one.params, one.metrics) for one in filled.logged_models(place.id)
        }
    assert {one.name: model(one) for one in back.registered_models()} == {
        one.name: model(one) for one in filled.registered_models()
    }


def histories(source: Source, run: str) -> dict[str, set[tuple[int, int, float | str]]]:
    found: dict[str, set[tuple[int, int, float | str]]] = {}
    for piece in source.points(run):
        values = ["nan" if math.isnan(value) else value for value in piece.values]
        found.setdefault(piece.key, set()).update(zip(piece.steps, piece.times, values, strict=True))
    return found


def test_twice_is_as_good_as_once(filled: Source, workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    export(workspace, actor, str(tmp_path / "mlruns"))
    again = export(workspace, actor, str(tmp_path / "mlruns"))
    assert again.is_whole
    assert (again.runs.there, again.runs.brought) == (5, 0)
    run = next(run for run in OwnSource(workspace, actor).runs("1") if run.name == "odd")
    workspace.database.write(lambda tx: tracking.logs.set_tag(tx, actor, run.id, tracking.Tag("more", "x")))
    assert export(workspace, actor, str(tmp_path / "mlruns"), "churn").runs.brought == 1


def test_nothing_of_others_is_overwritten(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(Conflict, match="not empty"):
        export(workspace, actor, str(tmp_path / "mine"))
    for target in ("ftp://x/y", str(tmp_path / "mine" / "thesis.tex"), "new.db"):
        with pytest.raises(Invalid, match="no place to export to"):
            open_target(target)


def test_names_that_would_lead_elsewhere_are_refused(workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    from perenne.protocols.mlflow.migration.entities import Experiment, Points
    from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts
    from perenne.protocols.mlflow.migration.writing import FolderTarget

    target = FolderTarget(tmp_path / "mlruns")
    target.experiment(Experiment(id="1", name="e"))
    for key in ("../../up", "a/../../b", "/etc/x", ""):
        with pytest.raises(Invalid, match="cannot be a file's name"):
            target.run(Run(id="r", experiment="1"), [Points(key, [0], [0], [1.0])], ElsewhereArtifacts())
    with pytest.raises(Invalid, match="cannot be a folder's name"):
        target.registered_model(RegisteredModel(name="../x"))
    assert not (tmp_path / "up").exists()
