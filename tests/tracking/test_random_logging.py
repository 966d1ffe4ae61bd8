"""Random histories of logging, sealing, deleting and restoring, compared with what plain Python would keep."""

import math
import random
from functools import partial

import pytest

from perenne.auth.principals import Principal
from perenne.storage.database import Database
from perenne.tracking import history, logs, sealing, service
from perenne.tracking.errors import Deleted, ParamChanged
from perenne.tracking.model import Metric, Param, Tag

NAMES = ("a", "b/c", "ü")
VALUES = (math.nan, math.inf, -1.0, 0.0, 0.5, 2.0)
LARGEST = 1.7976931348623157e308

Point = tuple[int, int, float, bool]
"""Step, time, value as it is stored, and whether it was no number: the order in which the last one is greatest."""


def stored(metric: Metric) -> Point:
    if math.isnan(metric.value):
        return metric.step, metric.time, 0.0, True
    return metric.step, metric.time, min(metric.value, LARGEST), False


class Model:
    """A run in plain Python."""

    def __init__(self) -> None:
        self.points: dict[str, set[Point]] = {}
        self.latest: dict[str, Point] = {}
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.deleted = False

    def log(self, metrics: list[Metric], params: list[Param], tags: list[Tag]) -> type[Exception] | None:
        """Log, or say why not."""
        if self.deleted:
            return Deleted
        if any(self.params.get(param.key, param.value) != param.value for param in params):
            return ParamChanged
        self.params |= {param.key: param.value for param in params}
        self.tags |= {tag.key: tag.value for tag in tags}
        for metric in metrics:
            point = stored(metric)
            self.points.setdefault(metric.key, set()).add(point)
            known = self.latest.get(metric.key)
            if known is None or point[:3] > known[:3]:
                self.latest[metric.key] = point
        return None


def drawn_batch(dice: random.Random) -> tuple[list[Metric], list[Param], list[Tag]]:
    size = dice.choice([0, 1, 1, 5, 60])
    metrics = [Metric(dice.choice(NAMES), dice.choice(VALUES), dice.randrange(30), dice.randrange(-3, 25)) for _ in range(size)]
    params = [Param(name, dice.choice("12")) for name in NAMES if dice.random() < 0.1]
    tags = [Tag(dice.choice(NAMES), dice.choice("xyz")) for _ in range(dice.randrange(3))]
    return metrics, params, tags


def play(database: Database, actor: Principal, run: str, number: int, dice: random.Random) -> Model:
    model = Model()
    for _ in range(40):
        what = dice.choice(["log"] * 8 + ["seal", "delete", "restore"])
        if what == "seal":
            sealing.seal_run(database, number)
        elif what == "log":
            metrics, params, tags = drawn_batch(dice)
            change = partial(logs.log_batch, actor=actor, identity=run, metrics=metrics, params=params, tags=tags)
            if len(metrics) == 1 and not params and not tags:
                change = partial(logs.log_metric, actor=actor, identity=run, metric=metrics[0])  # type: ignore[assignment,arg-type]
            error = database.submit(change, durable=False, alone=dice.random() < 0.5).exception()
            assert (error and type(error)) == model.log(metrics, params, tags)
        else:
            database.write(partial(service.delete_run if what == "delete" else service.restore_run, actor=actor, identity=run))
            model.deleted = what == "delete"
    return model


def look(database: Database, actor: Principal, run: str, model: Model) -> None:
    with database.read() as tx:
        found = service.get_logged(tx, actor, run)
        told = {name: [stored(one) for one in history.history(tx, actor, run, name)] for name in NAMES}
    assert {param.key: param.value for param in found.params} == model.params
    assert {tag.key: tag.value for tag in found.tags if tag.key in NAMES} == model.tags
    assert {metric.key: stored(metric)[:3] for metric in found.metrics} == {key: last[:3] for key, last in model.latest.items()}
    for name, points in told.items():
        assert len(points) == len(set(points))
        assert set(points) == model.points.get(name, set())
        assert points == sorted(points, key=lambda point: (point[1], point[0], point[2]))


@pytest.mark.parametrize("seed", range(4))
def test_a_run_is_what_was_logged_to_it(database: Database, actor: Principal, seed: int) -> None:
    run = database.write(lambda tx: service.create_run(tx, actor, 0))
    model = play(database, actor, run.id, run.number, random.Random(seed))
    look(database, actor, run.id, model)
    sealing.seal_run(database, run.number)
    look(database, actor, run.id, model)


@pytest.mark.long
def test_hundreds_of_runs_are_what_was_logged_to_them(database: Database, actor: Principal) -> None:
    for seed in range(1_000, 1_300):
        test_a_run_is_what_was_logged_to_it(database, actor, seed)
