"""Whatever way a store of MLflow is read, it holds the same."""

import hashlib
import math
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.postgres import PostgresServer
from tests.protocols.migration.conftest import unpack

from perenne.core.errors import Invalid, Unavailable
from perenne.protocols.mlflow.migration.entities import Run
from perenne.protocols.mlflow.migration.opening import open_source
from perenne.protocols.mlflow.migration.source import Source
from perenne.testing import SourceContract


@pytest.fixture
def source(store: str):  # type: ignore[no-untyped-def]
    opened = open_source(store)
    yield opened
    opened.close()


def run_named(source: Source, name: str) -> Run:
    return next(run for item in source.experiments() for run in source.runs(item.id) if run.name == name)


class TestStores(SourceContract):
    """The contract, for every store."""


def test_experiments_are_there_deleted_ones_too(source: Source) -> None:
    found = {item.name: item for item in source.experiments()}
    assert set(found) == {"Default", "churn", "old ideas"}
    assert found["Default"].id == "0"
    assert found["Default"].tags == {"mlflow.note.content": "where everything lands"}
    assert found["churn"].tags == {"team": "crm", "ünïcode": "näme"}
    assert (found["churn"].deleted, found["old ideas"].deleted) == (False, True)


def test_a_run_comes_with_all_it_has(source: Source) -> None:
    run = run_named(source, "deep one")
    assert run.status == "FINISHED"
    assert (run.started, run.ended) == (1_700_000_000_000, 1_700_000_060_000)
    assert run.params == {"depth": "8", "rate": "0.01", "text": "ä" * 500}
    assert run.tags["mlflow.note.content"] == "# A note\nover two lines"
    assert run.tags["owner"] == "ada"
    data = run.inputs[0]
    assert (data.name, data.source_type, data.tags) == ("customers", "code", {"mlflow.data.context": "training"})
    child = run_named(source, "fold 1")
    assert child.tags["mlflow.parentRunId"] == run.id
    assert child.inputs[0].tags == {"mlflow.data.context": "validation"}
    states = {run.name: (run.status, run.deleted) for run in source.runs(run.experiment)}
    assert states == {
        "deep one": ("FINISHED", False),
        "fold 1": ("FAILED", False),
        "odd": ("RUNNING", False),
        "dropped": ("KILLED", True),
    }


def test_a_history_comes_whole(source: Source) -> None:
    run = run_named(source, "deep one")
    pieces = [piece for piece in source.points(run.id) if piece.key == "loss"]
    steps = [step for piece in pieces for step in piece.steps]
    assert steps == list(range(1_200))
    assert [value for piece in pieces for value in piece.values] == [1 / (step + 1) for step in steps]
    assert [time for piece in pieces for time in piece.times] == [1_700_000_000_000 + step * 10 for step in steps]


def test_odd_values_stay_what_they_are(source: Source) -> None:
    run = run_named(source, "odd")
    assert run.ended is None
    points = {piece.key: piece for piece in source.points(run.id)}
    values = points["odd/value"].values
    assert math.isnan(values[0])
    assert values[1] in (math.inf, 1.7976931348623157e308)
    assert values[2] in (-math.inf, -1.7976931348623157e308)
    assert (values[3], values[5]) == (1e-300, 5.0)
    assert list(points["back"].steps) == [7, -3]


def test_registered_models_come_with_versions_stages_aliases_and_tags(source: Source) -> None:
    found = {model.name: model for model in source.registered_models()}
    assert set(found) == {"churn-model", "without versions", "greeting"}
    model = found["churn-model"]
    assert (model.description, model.tags) == ("Who leaves", {"area": "crm"})
    assert model.aliases == {"champion": 2, "challenger": 3}
    assert [(one.number, one.stage, one.tags) for one in model.versions] == [
        (2, "Production", {"number": "2"}),
        (3, "None", {"number": "3"}),
    ]
    assert model.highest == 3
    assert found["greeting"].tags["mlflow.prompt.is_prompt"] == "true"
    assert found["greeting"].versions[1].tags["mlflow.prompt.text"] == "Good day, {{ name }}"
    assert found["without versions"].versions == ()


@pytest.mark.parametrize("name", ["sqlite-3.17.2", "folder-3.17.2"])
def test_logged_models_come_with_params_metrics_and_their_run(name: str, tmp_path: Path) -> None:
    source = open_source(unpack(name, tmp_path))
    run = run_named(source, "deep one")
    found = {model.name: model for model in source.logged_models(run.experiment)}
    forest = found["forest"]
    assert (forest.status, forest.kind, forest.run, forest.params, forest.tags) == (
        2,
        "sklearn",
        run.id,
        {"trees": "100"},
        {"kind": "good"},
    )
    metric = forest.metrics[0]
    assert (metric.key, metric.value, metric.step, metric.data_name, metric.data_digest) == ("f1", 0.75, 1, "customers", "x1")
    assert found["bush"].status == 3
    assert run.makes == ((forest.id, 1),)
    source.close()


def test_traces_come_with_spans_tags_and_feedback(tmp_path: Path) -> None:
    source = open_source(unpack("sqlite-3.17.2", tmp_path))
    (trace,) = source.traces("1")
    assert (trace.status, trace.response, trace.tags["topic"]) == ("OK", "42", "numbers")
    assert {span["name"] for span in trace.spans} == {"answer", "inner"}
    assert trace.assessments[0]["name"] == "correct"
    source.close()


def test_reading_changes_nothing(store: str, tmp_path: Path) -> None:
    before = digests(tmp_path / "mlflow")
    source = open_source(store)
    for item in source.experiments():
        for run in source.runs(item.id):
            assert list(source.points(run.id)) is not None
            assert source.artifacts(run.artifacts).files is not None
    source.close()
    assert digests(tmp_path / "mlflow") == before


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="no folder of runs"):
        open_source(str(tmp_path / "empty"))
    with pytest.raises(Unavailable):
        open_source(f"sqlite:///{tmp_path / 'nothing.db'}")
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(Invalid, match="no store"):
        open_source("ftp://somewhere/x")


def test_a_folder_that_was_moved_finds_its_artifacts_beside_it(tmp_path: Path) -> None:
    source = open_source(unpack("folder-3.17.2", tmp_path))
    run = run_named(source, "deep one")
    assert run.artifacts.startswith(("/srv/store", "file:///srv/store"))
    assert {file.path for file in source.artifacts(run.artifacts).files} == {
        "empty.bin",
        "model/MLmodel",
        "plots/roc curve ä.svg",
        "report.txt",
    }
    source.close()


def test_a_postgresql_database_is_read_like_any_other(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.database()
    try:
        copy_tables(unpack("sqlite-3.17.2", tmp_path), url)
        source, other = open_source(url), open_source(f"sqlite:///{tmp_path / 'mlflow.db'}")
        assert source.experiments() == other.experiments()
        for place in source.experiments():
            assert list(source.runs(place.id)) == list(other.runs(place.id))
            assert list(source.logged_models(place.id)) == list(other.logged_models(place.id))
            assert list(source.traces(place.id)) == list(other.traces(place.id))
            for run in other.runs(place.id):
                assert [repr(piece) for piece in source.points(run.id)] == [repr(piece) for piece in other.points(run.id)]
        assert sorted(source.registered_models(), key=str) == sorted(other.registered_models(), key=str)
        source.close()
        other.close()
    finally:
        postgres.drop(url)


def copy_tables(source: str, target: str) -> None:
    """Copy MLflow's tables, as they are, from SQLite to PostgreSQL."""
    reading, writing = sa.create_engine(source), sa.create_engine(sa.make_url(target).set(drivername="postgresql+psycopg"))
    found = sa.MetaData()
    found.reflect(reading)
    copied = sa.MetaData()
    with reading.connect() as before, writing.begin() as after:
        for table in found.sorted_tables:
            columns = [sa.Column(column.name, column.type.as_generic()) for column in table.columns]
            fresh = sa.Table(table.name, copied, *columns)
            fresh.create(after)
            rows = [dict(row._mapping) for row in before.execute(sa.select(table))]
            if rows:
                after.execute(fresh.insert(), rows)
    reading.dispose()
    writing.dispose()
