"""Logged models: written down, measured, deleted; and which data sets runs used."""

import math

import pytest

from perenne import tracking
from perenne.auth.audit import trail
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Denied
from perenne.storage.database import Database, Transaction
from perenne.tracking import LoggedModel, Metric, Param, Tag, UsedDataset
from perenne.tracking.errors import Unfit, UnknownModel, UnknownTag
from perenne.tracking.models import PENDING, READY


def make(database: Database, actor: Principal, **more: object) -> LoggedModel:
    return database.write(lambda tx: tracking.models.create(tx, actor, 0, **more))  # type: ignore[arg-type]


def read(database: Database, actor: Principal, identity: str, *, deleted: bool = False) -> LoggedModel:
    with database.read() as tx:
        return tracking.models.get(tx, actor, identity, deleted=deleted)


def test_a_model_is_written_down_and_ready_later(database: Database, actor: Principal) -> None:
    made = make(database, actor, name="net", kind="Agent", params=[Param("a", "1")], tags=[Tag("t", "1"), Tag("t", "2")])
    assert (made.status, made.params, made.tags) == (PENDING, (Param("a", "1"),), (Tag("t", "2"),))
    assert made.artifact_uri == f"mlflow-artifacts:/0/models/{made.id}/artifacts"
    ready = database.write(lambda tx: tracking.models.set_status(tx, actor, made.id, READY))
    assert ready.status == READY and ready.updated >= made.updated
    database.write(lambda tx: tracking.models.log_params(tx, actor, made.id, [Param("b", "2"), Param("a", "3")]))
    database.write(lambda tx: tracking.models.set_tags(tx, actor, made.id, [Tag("u", "x")]))
    database.write(lambda tx: tracking.models.delete_tag(tx, actor, made.id, "t"))
    found = read(database, actor, made.id)
    assert (found.params, found.tags) == ((Param("a", "3"), Param("b", "2")), (Tag("u", "x"),))
    with pytest.raises(UnknownTag):
        database.write(lambda tx: tracking.models.delete_tag(tx, actor, made.id, "t"))
    assert make(database, actor).name.count("-") == 2, "a name is drawn"


@pytest.mark.parametrize("given", [{"name": "a/b"}, {"name": "a.b"}, {"name": "n" * 501}, {"tags": [Tag("a?", "1")]}])
def test_what_does_not_fit_is_refused(database: Database, actor: Principal, given: dict[str, object]) -> None:
    with pytest.raises(Unfit):
        make(database, actor, **given)


def test_a_point_is_written_once_and_keeps_what_it_was_measured_on(database: Database, actor: Principal) -> None:
    model = make(database, actor).id
    points = [
        Metric("acc", 0.9, 1, 0, model, "d", "x"),
        Metric("acc", 0.9, 1, 0, model, "d", "x"),
        Metric("acc", math.nan, 2, 1, model),
    ]
    for _ in range(2):
        database.write(lambda tx: tracking.models.log_metrics(tx, actor, "r", points))
    (first, second) = read(database, actor, model).metrics
    assert first == ("r", points[0]) and second[0] == "r" and math.isnan(second[1].value)
    with pytest.raises(UnknownModel):
        database.write(lambda tx: tracking.models.log_metrics(tx, actor, "r", [Metric("acc", 1.0, 1, 0, "m-none")]))


def test_a_deleted_model_is_found_only_by_who_asks_for_the_deleted(database: Database, actor: Principal) -> None:
    model = make(database, actor, name="net").id
    for _ in range(2):
        database.write(lambda tx: tracking.models.delete(tx, actor, model))
    with pytest.raises(UnknownModel):
        read(database, actor, model)
    assert read(database, actor, model, deleted=True).deleted is not None
    with database.read() as tx:
        actions = [record.action for record in trail(tx, entity="logged_model", entity_id=model)]
    assert sorted(actions) == ["logged_model.create", "logged_model.delete"]


def test_who_may_not_see_or_change_it_does_not(database: Database, actor: Principal) -> None:
    model = make(database, actor).id
    stranger = Principal("eve", roles=frozenset(Role), projects=frozenset({"elsewhere"}))
    with pytest.raises(UnknownModel):
        read(database, stranger, model)
    viewer = Principal("bob", roles=frozenset({Role.VIEWER}))
    with pytest.raises(Denied):
        database.write(lambda tx: tracking.models.set_tags(tx, viewer, model, [Tag("a", "b")]))


def test_data_sets_are_named_once_for_each_purpose(database: Database, actor: Principal) -> None:
    used = UsedDataset(name="d", digest="x", source_type="local", source="{}", tags={"mlflow.data.context": "training"})

    def work(tx: Transaction) -> None:
        for _ in range(2):
            run = tracking.service.create_run(tx, actor, 0)
            tracking.logs.log_inputs(tx, actor, run.id, datasets=[used])

    database.write(work)
    with database.read() as tx:
        found = tracking.models.used_datasets(tx, actor, [0], 10)
        assert [(one.name, one.digest, one.context) for one in found] == [("d", "x", "training")]
        assert tracking.models.used_datasets(tx, Principal("eve", projects=frozenset({"elsewhere"})), [0], 10) == []
