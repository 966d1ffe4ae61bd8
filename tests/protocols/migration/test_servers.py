"""From a running server and to one: ours, which speaks as MLflow's does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.servers import control_plane
from tests.protocols.migration.conftest import unpack
from tests.protocols.migration.test_exporting import histories, model, plain

from perenne.auth.principals import Principal
from perenne.core.config import load_settings
from perenne.core.errors import Unavailable
from perenne.protocols.mlflow.migration.exporting import Exporter
from perenne.protocols.mlflow.migration.importing import Importer
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.protocols.mlflow.migration.own import OwnSource
from perenne.protocols.mlflow.migration.sending import RUN, ServerTarget
from perenne.protocols.mlflow.migration.source import Source
from perenne.storage.workspace import Workspace


@pytest.fixture
def there(tmp_path: Path, empty_database: Path, actor: Principal) -> Iterator[str]:
    """The URL of a server that holds what MLflow 3.17 kept."""
    with other_workspace(tmp_path / "there", empty_database) as workspace:
        source = open_source(unpack("sqlite-3.17.2", tmp_path / "from"))
        assert Importer(workspace, actor, source).run().is_whole
        source.close()
        with control_plane(workspace) as port:
            yield f"http://127.0.0.1:{port}"


def other_workspace(folder: Path, empty_database: Path) -> Workspace:
    settings = load_settings(folder, {})
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.home / "perenne.db")
    return Workspace(settings)


def test_a_running_server_is_brought_in_whole(there: str, workspace: Workspace, actor: Principal, tmp_path: Path) -> None:
    source = open_source(there)
    try:
        report = Importer(workspace, actor, source).run()
        assert report.is_whole, report
        assert (report.runs.brought, report.files.brought, report.versions.brought) == (5, 4, 4)
        again = Importer(workspace, actor, source).run()
        assert (again.is_whole, again.runs.there, again.runs.brought) == (True, 4, 1)
        mine = OwnSource(workspace, actor)
        for place in source.experiments():
            before = {run.id: run for run in source.runs(place.id)}
            after = {run.id: run for run in mine.runs(place.id)}
            assert {key: plain(run) for key, run in after.items()} == {key: plain(run) for key, run in before.items()}
            assert all(histories(mine, identity) == histories(source, identity) for identity in before)
        assert [model(one) for one in sorted(mine.registered_models(), key=lambda one: one.name)] == [
            model(one) for one in sorted(source.registered_models(), key=lambda one: one.name)
        ]
    finally:
        source.close()


def test_what_is_here_goes_to_a_running_server_once(
    workspace: Workspace, actor: Principal, tmp_path: Path, empty_database: Path
) -> None:
    source = open_source(unpack("sqlite-3.17.2", tmp_path / "from"))
    Importer(workspace, actor, source).run()
    source.close()
    with other_workspace(tmp_path / "other", empty_database) as other, control_plane(other) as port:
        for brought in (5, 0):
            target = ServerTarget(f"http://127.0.0.1:{port}")
            report = Exporter(OwnSource(workspace, actor), target).run()
            target.close()
            assert (report.runs.brought, report.runs.found) == (brought, 5), report
            assert {one.kind for one in report.problems} <= {"logged model"}
        mine, theirs = OwnSource(workspace, actor), OwnSource(other, actor)
        sent = everything(theirs)
        for identity, (name, params, found) in everything(mine).items():
            assert sent[identity] == (name, params, found)
        assert {one.name: one.aliases for one in theirs.registered_models()} == {
            one.name: one.aliases for one in mine.registered_models()
        }


def everything(source: Source) -> dict[str, tuple[object, ...]]:
    """Return what runs have, by the ids they had first."""
    found: dict[str, tuple[object, ...]] = {}
    for place in source.experiments():
        for run in source.runs(place.id):
            found[run.tags.get(RUN, run.id)] = (run.name, run.params, histories(source, run.id))
    return found


def test_a_server_that_is_away_is_said(workspace: Workspace) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        open_source("http://127.0.0.1:9")
