"""Runs and their histories go with a backup to any database."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perenne.auth.principals import Principal
from perenne.storage.backup import back_up, restore
from perenne.storage.database import Database
from perenne.storage.file_objects import FileObjects
from perenne.storage.workspace import Workspace
from perenne.tracking import experiments, history, logs, sealing, service
from perenne.tracking.model import MadeModel, Metric, Param, Tag, UsedDataset


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database that was not opened yet."""
    kind = request.param
    url = f"sqlite:///{tmp_path}/elsewhere/p.db" if kind == "sqlite" else request.getfixturevalue("postgres").database()
    database = Database(url)
    yield database
    database.close()


def told(database: Database, actor: Principal, run: str) -> Any:
    with database.read() as tx:
        points = [(one.time, one.step, repr(one.value)) for one in history.history(tx, actor, run, "m")]
        return repr(service.get_logged(tx, actor, run)), points, experiments.by_name(tx, actor, "study")


def test_a_backup_carries_runs_with_sealed_and_unsealed_points(
    workspace: Workspace, actor: Principal, elsewhere: Database, tmp_path: Path
) -> None:
    database = workspace.database
    study = database.write(lambda tx: experiments.create(tx, actor, "study", tags=[Tag("a", "b")]))
    run = database.write(lambda tx: service.create_run(tx, actor, study.id, tags=[Tag("t", "ü")]))
    used = [UsedDataset(name="d", digest="1", source_type="local", source="{}", tags={"k": "v"})]
    for first in (0, 500):
        points = [Metric("m", math.nan if n % 7 == 0 else n / 3, n * 10, n) for n in range(first, first + 500)]
        database.write(lambda tx, points=points: logs.log_batch(tx, actor, run.id, metrics=points))  # type: ignore[misc]
        if not first:
            database.write(lambda tx: logs.log_batch(tx, actor, run.id, params=[Param("p", "0.5")], tags=[Tag("x", "y")]))
            database.write(lambda tx: logs.log_inputs(tx, actor, run.id, datasets=used, models=["m-1"]))
            database.write(lambda tx: logs.log_outputs(tx, actor, run.id, [MadeModel("m-2", 3)]))
            assert sealing.seal_run(database, run.number) == 500
    back_up(database, workspace.objects, tmp_path / "b.zip")
    restore(elsewhere, FileObjects(tmp_path / "others"), tmp_path / "b.zip")
    assert told(elsewhere, actor, run.id) == told(database, actor, run.id)
    following = elsewhere.write(lambda tx: service.create_run(tx, actor, study.id))
    assert following.number == run.number + 1
