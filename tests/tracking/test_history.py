"""Histories: sealed and unsealed points together, each once, whole, by pages, evenly chosen and thinned."""

import math
import random
from typing import Any

import pytest
import sqlalchemy as sa

from perenne.app.wiring import Platform
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Invalid, Unavailable
from perenne.storage import jobs
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace
from perenne.tracking import history, logs, sealing, service
from perenne.tracking.errors import UnknownRun
from perenne.tracking.model import Metric, RunState
from perenne.tracking.tables import run_chunk, run_point


def begin(database: Database, actor: Principal) -> str:
    return database.write(lambda tx: service.create_run(tx, actor, 0)).id


def put(database: Database, actor: Principal, run: str, points: list[Metric]) -> None:
    for place in range(0, len(points), 1_000):
        part = points[place : place + 1_000]
        database.write(lambda tx, part=part: logs.log_batch(tx, actor, run, metrics=part), durable=False, alone=False)  # type: ignore[misc]


def number_of(database: Database, run: str) -> int:
    with database.read() as tx:
        return service.get_run(tx, run).number


def counts(database: Database) -> tuple[int, int]:
    """Return how many rows of points there are, and how many points in chunks."""
    with database.read() as tx:
        rows = tx.scalar(sa.select(sa.func.count()).select_from(run_point))
        return int(rows), int(tx.scalar(sa.select(sa.func.sum(run_chunk.c.count))) or 0)


def told(database: Database, actor: Principal, run: str, metric: str = "m") -> list[tuple[int, int, str]]:
    with database.read() as tx:
        return [(one.time, one.step, repr(one.value)) for one in history.history(tx, actor, run, metric)]


def test_sealing_changes_nothing_that_can_be_read(database: Database, actor: Principal) -> None:
    run, dice = begin(database, actor), random.Random(1)
    points = [
        Metric("m", dice.choice([math.nan, 0.0, dice.random()]), dice.randrange(50), dice.randrange(-20, 20)) for _ in range(900)
    ]
    points += [Metric("few", 1.0, 1, n) for n in range(sealing.FEWEST - 1)]
    put(database, actor, run, points)
    before, few = told(database, actor, run), told(database, actor, run, "few")
    number = number_of(database, run)
    assert sealing.seal_run(database, number) == 900
    assert sealing.seal_run(database, number) == 0
    assert counts(database) == (sealing.FEWEST - 1, len(before)), "what stood twice was sealed once"
    assert (told(database, actor, run), told(database, actor, run, "few")) == (before, few)
    put(database, actor, run, points[:400])
    assert told(database, actor, run) == before, "the same points again, as rows beside the chunk"
    late = [Metric("m", 7.0, 60, n) for n in range(40)]
    put(database, actor, run, late)
    assert sealing.seal_run(database, number) == 440
    assert told(database, actor, run) == sorted(before + [(60, n, "7.0") for n in range(40)], key=lambda row: (row[0], row[1], 0))
    with database.read() as tx:
        assert list(tx.execute(sa.select(run_chunk.c.seq).order_by(run_chunk.c.seq)).scalars()) == [0, 1]


def test_a_long_metric_is_cut_into_chunks_that_know_their_range(
    database: Database, actor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perenne.tracking.chunks.MOST", 100)
    monkeypatch.setattr(sealing, "AT_ONCE", 250)
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", float(n), 1_000 + n, n) for n in range(600)])
    assert sealing.seal_run(database, number_of(database, run)) == 600
    with database.read() as tx:
        found = [tuple(row) for row in tx.execute(sa.select(run_chunk).order_by(run_chunk.c.seq))]
        part = history.read(tx, [number_of(database, run)], "m", 240, 260)
    assert [row[2:8] for row in found[:3]] == [
        (0, 100, 0, 99, 1_000, 1_099), (1, 100, 100, 199, 1_100, 1_199), (2, 50, 200, 249, 1_200, 1_249)
    ]  # fmt: skip
    assert [row[3] for row in found] == [100, 100, 50, 100, 100, 50, 100]
    assert next(iter(part.values())).step.tolist() == list(range(240, 261))


def test_a_run_that_ends_is_sealed_by_a_job_and_so_is_one_that_grows_long(
    workspace: Workspace, actor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "LONG", 120)
    monkeypatch.setattr(sealing, "_DELAY", 0)
    database, platform = workspace.database, Platform(workspace)
    short, long = begin(database, actor), begin(database, actor)
    put(database, actor, short, [Metric("m", 1.0, n, n) for n in range(50)])
    assert not platform.errands.run_one(), "it goes on"
    database.write(lambda tx: service.update_run(tx, actor, short, state=RunState.FINISHED, ended=5))
    assert platform.errands.run_one()
    assert counts(database) == (0, 50)
    put(database, actor, long, [Metric("m", 1.0, n, n) for n in range(200)])
    assert platform.errands.run_one()
    assert counts(database) == (0, 250)
    small = begin(database, actor)
    put(database, actor, small, [Metric("m", 1.0, 1, 1)])
    database.write(lambda tx: service.update_run(tx, actor, small, state=RunState.KILLED))
    assert not platform.errands.run_one(), "one point is not worth a chunk"
    with database.read() as tx:
        assert {(row.kind, row.state) for row in tx.execute(sa.select(jobs.table.c.kind, jobs.table.c.state))} == {
            ("runs.seal", "done")
        }


def test_rows_that_another_sealed_meanwhile_are_left_alone(
    database: Database, actor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", 1.0, n, n) for n in range(100)])
    number, reads = number_of(database, run), sealing._read

    def overtaken(*given: Any) -> Any:
        rows = reads(*given)
        monkeypatch.setattr(sealing, "_read", reads)
        assert sealing.seal_run(database, number) == 100
        return rows

    before = told(database, actor, run)
    monkeypatch.setattr(sealing, "_read", overtaken)
    assert sealing.seal_run(database, number) == 0
    assert (counts(database), told(database, actor, run)) == ((0, 100), before)


def test_pages_and_many_runs_and_who_may_see_them(database: Database, actor: Principal) -> None:
    first, second = sorted((begin(database, actor), begin(database, actor)))
    for run, offset in ((first, 0.0), (second, 100.0)):
        put(database, actor, run, [Metric("m", offset + n, 10 - n, n) for n in range(10)])
    elsewhere = Principal("eve", roles=frozenset(Role), projects=frozenset({"other"}))
    with database.read() as tx:
        page = history.page(tx, actor, first, "m", limit=4)
        assert ([one.value for one in page.points], page.following) == ([9.0, 8.0, 7.0, 6.0], 4)
        page = history.page(tx, actor, first, "m", limit=6, offset=4)
        assert ([one.value for one in page.points], page.following) == ([5.0, 4.0, 3.0, 2.0, 1.0, 0.0], None)
        both = history.bulk(tx, actor, [second, first, "nothing"], "m", limit=12)
        assert [(run, one.value) for run, one in both[9:]] == [(first, 0.0), (second, 109.0), (second, 108.0)]
        assert history.bulk(tx, elsewhere, [first], "m", limit=5) == []
        assert history.curves(tx, elsewhere, [first], "m") == {}
        assert history.history(tx, actor, first, "never logged") == []
        with pytest.raises(UnknownRun):
            history.interval(tx, elsewhere, [first], "m", limit=5)
        with pytest.raises(UnknownRun):
            history.history(tx, actor, "nothing", "m")


@pytest.mark.parametrize(("count", "limit"), [(10, 3), (10, 4), (10, 10), (10, 11), (1, 1), (7, 1), (100, 9), (101, 50)])
def test_an_interval_is_chosen_as_window_functions_choose_it(
    database: Database, actor: Principal, count: int, limit: int
) -> None:
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", float(n % 3), n // 2, n // 4) for n in range(count)])
    each = "SELECT DISTINCT step, time, value, nan FROM run_point"
    dealt = f"SELECT p.*, ntile(:limit) OVER (ORDER BY step, time, value, nan) AS bucket FROM ({each}) p"
    ranked = f"SELECT b.*, row_number() OVER (PARTITION BY bucket ORDER BY step, time, value, nan) AS place FROM ({dealt}) b"
    bucket = sa.text(f"SELECT step, time, value FROM ({ranked}) r WHERE place = 1 ORDER BY step, time, value")
    last = sa.text("SELECT step, time, value FROM run_point ORDER BY step DESC, time DESC, value DESC LIMIT 1")
    with database.read() as tx:
        expected = [tuple(row) for row in tx.execute(bucket, {"limit": limit})]
        end = tuple(tx.execute(last).one())
        if expected[-1] != end:
            expected = [*expected[: limit - 1], end]
        chosen = history.interval(tx, actor, [run], "m", limit=limit)
    assert [(one.step, one.time, one.value) for _, one in chosen] == expected


def test_an_interval_between_steps(database: Database, actor: Principal) -> None:
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", float(n), n, n) for n in range(100)])
    with database.read() as tx:
        between = history.interval(tx, actor, [run], "m", limit=3, start=10, end=20)
        assert [one.step for _, one in between] == [10, 14, 20]
        for wrong in ({"start": 5}, {"end": 5}, {"start": 6, "end": 5}):
            with pytest.raises(Invalid):
                history.interval(tx, actor, [run], "m", limit=3, **wrong)


def test_a_curve_of_sealed_and_unsealed_points(database: Database, actor: Principal) -> None:
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", math.sin(n), n * 10, n) for n in range(500)])
    sealing.seal_run(database, number_of(database, run))
    put(database, actor, run, [Metric("m", 5.0, n * 10, n) for n in range(500, 510)])
    with database.read() as tx:
        thin = history.curves(tx, actor, [run], "m", buckets=20)[run]
        by_time = history.curves(tx, actor, [run], "m", buckets=20, by="time", start=1_000, end=1_100)[run]
    assert (thin.count, thin.start, thin.end, thin.exact, len(thin.at)) == (510, 0, 509, False, 20)
    assert (max(value for value in thin.greatest if value is not None), thin.last[-1]) == (5.0, 5.0)
    assert (by_time.count, by_time.exact, by_time.at) == (11, True, list(range(1_000, 1_101, 10)))


def test_a_damaged_chunk_is_said_to_be_one(database: Database, actor: Principal) -> None:
    run = begin(database, actor)
    put(database, actor, run, [Metric("m", 1.0, n, n) for n in range(100)])
    sealing.seal_run(database, number_of(database, run))
    database.write(lambda tx: tx.execute(run_chunk.update().values(body=b"d" + b"x" * 50)))
    with database.read() as tx, pytest.raises(Unavailable) as error:
        history.history(tx, actor, run, "m")
    assert error.value.code == "history.damaged"
