"""What clients log to runs: points, parameters, tags, inputs; and the life of their runs and experiments."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Conflict, Denied, PerenneError
from perenne.storage.database import Database, Transaction
from perenne.tracking import experiments, history, logs, service
from perenne.tracking.errors import Deleted, NameTwice, ParamChanged, Unfit, UnknownExperiment, UnknownRun, UnknownTag
from perenne.tracking.model import LoggedRun, MadeModel, Metric, Param, Provenance, RunState, Tag, UsedDataset
from perenne.tracking.tables import run_point

T = TypeVar("T")


def read(database: Database, work: Callable[[Transaction], T]) -> T:
    with database.read() as tx:
        return work(tx)


@pytest.fixture
def run(database: Database, actor: Principal) -> str:
    return database.write(lambda tx: service.create_run(tx, actor, experiments.DEFAULT, name="first", started=1_000_000)).id


def log(database: Database, actor: Principal, run: str, **given: Any) -> list[str]:
    return database.write(lambda tx: logs.log_batch(tx, actor, run, **given), durable=False, alone=False)


def look(database: Database, actor: Principal, run: str) -> LoggedRun:
    return read(database, lambda tx: service.get_logged(tx, actor, run))


def test_a_batch_is_read_as_it_was_logged(database: Database, actor: Principal, run: str) -> None:
    metrics = [Metric("loss", 0.5, 10, 1), Metric("loss", 0.4, 20, 2), Metric("auc", 0.9, 20), Metric("loss", 0.7, 15, 1)]
    assert (
        log(database, actor, run, metrics=metrics, params=[Param("lr", "0.1"), Param("opt", "adam")], tags=[Tag("a", "b")]) == []
    )
    found = look(database, actor, run)
    assert (found.name, found.started, found.state, found.experiment) == ("first", 1_000_000, RunState.RUNNING, 0)
    assert found.artifact_uri == f"mlflow-artifacts:/0/{run}/artifacts"
    assert {(metric.key, metric.value, metric.time, metric.step) for metric in found.metrics} == {
        ("loss", 0.4, 20, 2),
        ("auc", 0.9, 20, 0),
    }
    assert set(found.params) == {Param("lr", "0.1"), Param("opt", "adam")}
    assert {tag.key: tag.value for tag in found.tags} == {"a": "b", "mlflow.runName": "first"}
    told = read(database, lambda tx: history.history(tx, actor, run, "loss"))
    assert [(metric.step, metric.time, metric.value) for metric in told] == [(1, 10, 0.5), (1, 15, 0.7), (2, 20, 0.4)]


def test_the_last_value_is_that_of_the_greatest_step_time_and_value(database: Database, actor: Principal, run: str) -> None:
    def last(*points: Metric) -> tuple[float, int, int]:
        log(database, actor, run, metrics=points)
        (found,) = look(database, actor, run).metrics
        return found.value, found.time, found.step

    assert last(Metric("m", 3.0, 50, 5)) == (3.0, 50, 5)
    assert last(Metric("m", 9.0, 99, 4)) == (3.0, 50, 5)
    assert last(Metric("m", 2.0, 50, 5), Metric("m", 4.0, 50, 5)) == (4.0, 50, 5)
    assert last(Metric("m", -1.0, 51, 5)) == (-1.0, 51, 5)
    value, time, step = last(Metric("m", math.nan, 51, 5))
    assert (math.isnan(value), time, step) == (True, 51, 5), "no number counts as 0, which is more than -1"
    assert last(Metric("m", 0.0, 51, 6)) == (0.0, 51, 6)


def test_the_same_point_twice_is_one_point(database: Database, actor: Principal, run: str) -> None:
    points = [Metric("m", 1.0, 5, 1), Metric("m", math.nan, 5, 1), Metric("m", 0.0, 5, 1), Metric("m", 1.0, 5, 1)]
    for _ in range(3):
        log(database, actor, run, metrics=points)
    told = read(database, lambda tx: history.history(tx, actor, run, "m"))
    assert [str(metric.value) for metric in told] in (["0.0", "nan", "1.0"], ["nan", "0.0", "1.0"])


def test_what_is_no_finite_number_is_kept(database: Database, actor: Principal, run: str) -> None:
    log(database, actor, run, metrics=[Metric("up", math.inf, 1), Metric("down", -math.inf, 1), Metric("none", math.nan, 7, 8)])
    found = {metric.key: metric for metric in look(database, actor, run).metrics}
    assert (found["up"].value, found["down"].value) == (1.7976931348623157e308, -1.7976931348623157e308)
    assert (math.isnan(found["none"].value), found["none"].time, found["none"].step) == (True, 7, 8)


def test_a_parameter_keeps_its_first_value_and_the_whole_batch_falls_with_another(
    database: Database, actor: Principal, run: str
) -> None:
    log(database, actor, run, params=[Param("a", "1"), Param("b", "2")])
    log(database, actor, run, params=[Param("a", "1")])
    with pytest.raises(ParamChanged) as error:
        log(
            database, actor, run,
            params=[Param("new", "x"), Param("b", "3"), Param("a", "0")], metrics=[Metric("m", 1.0, 1)], tags=[Tag("t", "t")],
        )  # fmt: skip
    assert (error.value.run, error.value.changes) == (run, (("b", "2", "3"), ("a", "1", "0")))
    found = look(database, actor, run)
    assert {param.key: param.value for param in found.params} == {"a": "1", "b": "2"}
    assert (found.metrics, [tag.key for tag in found.tags]) == ((), ["mlflow.runName"])


def test_tags_have_their_last_value_and_the_name_is_one_of_them(database: Database, actor: Principal, run: str) -> None:
    log(database, actor, run, tags=[Tag("t", "1"), Tag("t", "2"), Tag("mlflow.runName", "second")])
    assert look(database, actor, run).name == "second"
    assert database.write(lambda tx: service.update_run(tx, actor, run, name="third")).name == "third"
    found = look(database, actor, run)
    assert {tag.key: tag.value for tag in found.tags} == {"t": "2", "mlflow.runName": "third"}
    database.write(lambda tx: logs.set_tag(tx, actor, run, Tag("mlflow.runName", "")))
    assert look(database, actor, run).name == "third"
    database.write(lambda tx: logs.delete_tag(tx, actor, run, "t"))
    for missing in ("t", "never seen"):
        with pytest.raises(UnknownTag):
            database.write(lambda tx, missing=missing: logs.delete_tag(tx, actor, run, missing))  # type: ignore[misc]


def test_long_values_are_cut_and_that_is_said(database: Database, actor: Principal, run: str) -> None:
    said = log(database, actor, run, params=[Param("p", "x" * 6_001)], tags=[Tag("t", "y" * 8_001)])
    assert said == ["parameter p was cut from 6001 to 6000 characters", "tag t was cut from 8001 to 8000 characters"]
    found = look(database, actor, run)
    assert found.params == (Param("p", "x" * 6_000),)
    assert log(database, actor, run, params=[Param("p", "x" * 7_000)]) != [], "the same once it is cut"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"metrics": [Metric("m", 1.0, 1), Metric("a*b", 1.0, 1)]}, "log.characters", "metrics[1].key"),
        ({"metrics": [Metric("m", 1.0, -1)]}, "log.timestamp", "metrics[0].timestamp"),
        ({"metrics": [Metric("", 1.0, 1)]}, "log.missing", "metrics[0].key"),
        ({"metrics": [Metric("m" * 251, 1.0, 1)]}, "log.long", "Metric name"),
        ({"metrics": [Metric("m", 1.0, n) for n in range(1_001)]}, "log.too_many", "metrics"),
        ({"params": [Param("../up", "1")]}, "log.path", "params[0].key"),
        ({"params": [Param("a//b", "1")]}, "log.path", "params[0].key"),
        ({"params": [Param("/a", "1")]}, "log.path", "params[0].key"),
        ({"params": [Param(".", "1")]}, "log.path", "params[0].key"),
        ({"params": [Param("p\n", "1")]}, "log.characters", "params[0].key"),
        ({"params": [Param(str(n), "1") for n in range(101)]}, "log.too_many", "params"),
        ({"params": [Param("a", "1"), Param("a", "1")]}, "log.twice", "params"),
        ({"tags": [Tag("k" * 251, "1")]}, "log.long", "tags[0].key"),
        ({"tags": [Tag(str(n), "1") for n in range(101)]}, "log.too_many", "tags"),
        (
            {"metrics": [Metric("m", 1.0, n) for n in range(950)], "params": [Param(str(n), "1") for n in range(51)]},
            "log.too_many",
            "metrics, params, and tags",
        ),
    ],
)
def test_what_is_beyond_its_limits_is_named_and_nothing_is_kept(
    database: Database, actor: Principal, run: str, given: dict[str, Any], code: str, field: str
) -> None:
    with pytest.raises(Unfit) as error:
        log(database, actor, run, **given)
    assert (error.value.code, error.value.field) == (code, field)
    found = look(database, actor, run)
    assert (found.metrics, found.params, len(found.tags)) == ((), (), 1)


def test_names_of_every_script_and_paths_are_fine(database: Database, actor: Principal, run: str) -> None:
    names = ["größe", "損失/val loss", "a.b-c_d:e", "..hidden"[2:], "x" * 250]
    log(database, actor, run, metrics=[Metric(name, 1.0, 1) for name in names], params=[Param(name, "1") for name in names])
    assert {metric.key for metric in look(database, actor, run).metrics} == set(names)


def test_a_deleted_run_is_read_and_restored_and_nothing_else(database: Database, actor: Principal, run: str) -> None:
    database.write(lambda tx: service.delete_run(tx, actor, run))
    database.write(lambda tx: service.delete_run(tx, actor, run))
    assert look(database, actor, run).deleted is not None
    for attempt in (
        lambda tx: logs.log_batch(tx, actor, run, metrics=[Metric("m", 1.0, 1)]),
        lambda tx: logs.log_metric(tx, actor, run, Metric("m", 1.0, 1)),
        lambda tx: logs.log_param(tx, actor, run, Param("a", "1")),
        lambda tx: logs.set_tag(tx, actor, run, Tag("a", "1")),
        lambda tx: logs.delete_tag(tx, actor, run, "mlflow.runName"),
        lambda tx: logs.log_inputs(tx, actor, run),
        lambda tx: logs.log_outputs(tx, actor, run, []),
        lambda tx: service.update_run(tx, actor, run, name="other"),
    ):
        with pytest.raises(Deleted) as error:
            database.write(attempt)
        assert (error.value.code, error.value.identity) == ("run.deleted", run)
    database.write(lambda tx: service.restore_run(tx, actor, run))
    log(database, actor, run, metrics=[Metric("m", 1.0, 1)])
    assert read(database, lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(run_point))) == 1


def test_an_experiment_is_deleted_and_restored_with_its_runs(database: Database, actor: Principal) -> None:
    made = database.write(lambda tx: experiments.create(tx, actor, "study", tags=[Tag("a", "b")]))
    assert (made.artifact_location, made.project, made.tags) == (f"mlflow-artifacts:/{made.id}", "study", {"a": "b"})
    inside = database.write(lambda tx: service.create_run(tx, actor, made.id)).id
    database.write(lambda tx: experiments.delete(tx, actor, made.id))
    assert look(database, actor, inside).deleted is not None
    assert read(database, lambda tx: experiments.by_name(tx, actor, "study")).deleted is not None
    for refused in (
        lambda tx: service.create_run(tx, actor, made.id),
        lambda tx: experiments.rename(tx, actor, made.id, "other"),
        lambda tx: experiments.set_tag(tx, actor, made.id, Tag("a", "b")),
        lambda tx: experiments.of_project(tx, "study"),
    ):
        with pytest.raises(Deleted):
            database.write(refused)
    with pytest.raises(UnknownExperiment):
        database.write(lambda tx: experiments.delete(tx, actor, made.id))
    with pytest.raises(Conflict) as taken:
        database.write(lambda tx: experiments.create(tx, actor, "study"))
    assert taken.value.code == "experiment.exists"
    database.write(lambda tx: experiments.restore(tx, actor, made.id))
    assert look(database, actor, inside).deleted is None
    database.write(lambda tx: experiments.rename(tx, actor, made.id, "studies"))
    database.write(lambda tx: experiments.delete_tag(tx, actor, made.id, "a"))
    found = read(database, lambda tx: experiments.get(tx, actor, made.id))
    assert (found.name, found.project, found.tags) == ("studies", "study", {})
    with database.read() as tx:
        told = [record.action for record in reversed(audit.trail(tx, entity="experiment"))]
    assert told == [f"experiment.{action}" for action in ("create", "delete", "restore", "rename")]


def test_the_default_experiment_is_there_and_a_run_gets_a_name(database: Database, actor: Principal) -> None:
    found = read(database, lambda tx: experiments.get(tx, actor, 0))
    assert (found.name, found.artifact_location) == ("Default", "mlflow-artifacts:/0")
    run = database.write(lambda tx: service.create_run(tx, actor, 0, user="bob"))
    assert len(run.name.split("-")) == 3
    assert (run.started_by, {tag.key: tag.value for tag in run.tags}) == ("bob", {"mlflow.runName": run.name})
    named = database.write(lambda tx: service.create_run(tx, actor, 0, tags=[Tag("mlflow.runName", "mine"), Tag("x", "y")]))
    assert (named.name, len(named.tags)) == ("mine", 2)
    with pytest.raises(NameTwice):
        database.write(lambda tx: service.create_run(tx, actor, 0, name="a", tags=[Tag("mlflow.runName", "b")]))
    with pytest.raises(UnknownExperiment):
        database.write(lambda tx: service.create_run(tx, actor, 999))
    with pytest.raises(Conflict):
        database.write(lambda tx: service.create_run(tx, actor, 0, identity=run.id))


def test_a_run_of_a_project_is_a_run_like_any_other(database: Database, actor: Principal) -> None:
    def start(tx: Transaction) -> str:
        return service.start_run(
            tx, actor, project="churn", kind="round", parameters={"depth": 3, "name": "x"}, provenance=Provenance()
        ).id

    run = database.write(start)
    log(database, actor, run, metrics=[Metric("auc", 0.5, 1, 1)])
    database.write(
        lambda tx: service.end_run(tx, actor, run, state=RunState.FINISHED, outcome="good", metrics={"auc": 0.7, "none": None})
    )
    found = look(database, actor, run)
    assert read(database, lambda tx: experiments.by_name(tx, actor, "churn")).id == found.experiment
    assert set(found.params) == {Param("depth", "3"), Param("name", "x")}
    assert {metric.key: metric.value for metric in found.metrics if metric.key == "auc"} == {"auc": 0.5}, "a greater step"
    native = read(database, lambda tx: service.get_run(tx, run))
    assert (native.metrics["none"], native.parameters["depth"], native.outcome) == (None, "3", "good")


def test_inputs_and_outputs_are_told_with_the_run(database: Database, actor: Principal, run: str) -> None:
    first = UsedDataset(
        name="d", digest="1", source_type="local", source="{}", schema="s", tags={"mlflow.data.context": "training"}
    )
    again = UsedDataset(name="d", digest="1", source_type="http", source="other")
    other = UsedDataset(name="d", digest="2", source_type="local", source="{}", profile="p")
    database.write(lambda tx: logs.log_inputs(tx, actor, run, datasets=[first, again, other], models=["m-1", "m-1"]))
    database.write(lambda tx: logs.log_inputs(tx, actor, run, datasets=[again]))
    database.write(lambda tx: logs.log_outputs(tx, actor, run, [MadeModel("m-2", 3)]))
    found = look(database, actor, run)
    assert set(found.datasets[0].tags) <= {"mlflow.data.context"}
    assert {(item.name, item.digest, item.source_type, item.context) for item in found.datasets} == {
        ("d", "1", "local", "training"),
        ("d", "2", "local", ""),
    }
    assert (found.used_models, found.made_models) == (("m-1",), (MadeModel("m-2", 3),))
    for name in ("a", "b"):
        database.write(lambda tx, name=name: logs.record_model(tx, actor, run, {"path": name}))  # type: ignore[misc]
    tags = {tag.key: tag.value for tag in look(database, actor, run).tags}
    assert tags["mlflow.log-model.history"] == '[{"path":"a"},{"path":"b"}]'


def test_what_may_not_be_seen_does_not_exist_and_what_may_not_be_done_is_refused(
    database: Database, actor: Principal, run: str
) -> None:
    elsewhere = Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))
    viewer = Principal("vic", roles=frozenset({Role.VIEWER}))

    def refused(kind: type[PerenneError], work: Callable[[Transaction], object]) -> None:
        with pytest.raises(kind):
            database.write(work)

    for who, kind in ((elsewhere, UnknownRun), (viewer, Denied)):
        refused(kind, lambda tx, who=who: logs.log_metric(tx, who, run, Metric("m", 1.0, 1)))  # type: ignore[misc]
        refused(kind, lambda tx, who=who: service.delete_run(tx, who, run))  # type: ignore[misc]
    refused(UnknownRun, lambda tx: service.get_logged(tx, elsewhere, run))
    refused(UnknownRun, lambda tx: history.history(tx, elsewhere, run, "m"))
    refused(UnknownExperiment, lambda tx: experiments.get(tx, elsewhere, 0))
    refused(Denied, lambda tx: experiments.create(tx, viewer, "mine"))
    refused(Denied, lambda tx: experiments.create(tx, elsewhere, "mine"))
    assert look(database, viewer, run).id == run
