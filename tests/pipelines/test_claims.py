"""Who may run a step: one of many claimers, the next one after a death, nobody in between; late results do not count."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.core.clock import SystemClock
from perenne.pipelines import Engine, pipeline, step
from perenne.pipelines.artifacts import Output
from perenne.pipelines.store import Claim, Claimer, Settled, flow_run, lookup
from perenne.pipelines.store import step as table
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.owners import LeaseKeeper, is_dead, owner_token

CALLS: deque[str] = deque()
GATE = threading.Event()

RESULT = Output("digest", b"\xc0", None)


def wish(key: str = "k", *, retries: int = 0, dead: str = "", content_key: str = "c", reuse: bool = False) -> Claim:
    return Claim(key, content_key, "work", "code", "", {}, retries, reuse, dead)


def now() -> int:
    return SystemClock().now()


def claim(database: Database, claimer: Claimer, wish: Claim, at: int | None = None) -> object:
    return database.write(lambda tx: claimer.claim(tx, wish, at or now()), durable=False)


def settle(database: Database, claimer: Claimer, settled: Settled) -> bool:
    return database.write(lambda tx: claimer.settle(tx, settled, now()), durable=False)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()
    GATE.clear()


@pytest.mark.parametrize("round_", range(10))
def test_of_several_claimers_one_wins(database: Database, round_: int) -> None:
    """Each on a connection of its own, as several processes would be."""
    url = database.url.render_as_string(hide_password=False)
    barrier = threading.Barrier(8)
    answers: list[object] = []

    def compete(number: int) -> None:
        with Database(url) as own:
            claimer = Claimer(f"run{number}", owner_token())
            barrier.wait()
            answers.append(claim(own, claimer, wish()))

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [1] + [None] * 7


def test_a_lease_that_ran_out_is_taken_over_once_and_the_late_result_is_void(database: Database) -> None:
    slow, quick, third = (Claimer(name, f"owner of {name}", lease=1_000_000) for name in ("slow", "quick", "third"))
    begin = now()
    assert claim(database, slow, wish(), begin) == 1
    assert claim(database, quick, wish(), begin + 900_000) is None
    assert claim(database, quick, wish(), begin + 1_100_000) == 2
    assert claim(database, third, wish(), begin + 1_200_000) is None
    assert not settle(database, slow, Settled("k", 1, 0, RESULT))
    assert settle(database, quick, Settled("k", 2, 0, RESULT))
    assert not settle(database, quick, Settled("k", 2, 0, error="twice")), "what is done stays done"
    assert claim(database, third, wish(), begin + 9_000_000) is None
    with database.read() as tx:
        assert lookup(tx, ["k"])["k"].output == RESULT


def test_a_renewed_lease_is_not_taken_over(database: Database) -> None:
    owner, other = Claimer("one", "owner one", lease=1_000_000), Claimer("two", "owner two")
    begin = now()
    claim(database, owner, wish(), begin)
    database.write(lambda tx: owner.renew(tx, ["k"], begin + 900_000), durable=False)
    assert claim(database, other, wish(), begin + 1_800_000) is None
    assert claim(database, other, wish(), begin + 2_000_000) == 2


def test_a_dead_owner_is_replaced_at_once(database: Database) -> None:
    dead = Claimer("one", "owner one")
    claim(database, dead, wish())
    assert claim(database, Claimer("two", "owner two"), wish(dead="somebody else")) is None
    assert claim(database, Claimer("two", "owner two"), wish(dead="owner one")) == 2


def test_tries_count_within_a_run_and_attempts_for_ever(database: Database) -> None:
    one, two = Claimer("one", "a"), Claimer("two", "b")
    for attempt in (1, 2, 3):
        assert claim(database, one, wish(retries=2)) == attempt
        assert settle(database, one, Settled("k", attempt, 0, error="no"))
    assert claim(database, one, wish(retries=2)) is None
    assert claim(database, two, wish(retries=0)) == 4


def test_a_released_step_is_free_at_once_also_for_the_same_run(database: Database) -> None:
    one = Claimer("one", "a")
    claim(database, one, wish())
    database.write(lambda tx: one.release(tx, ["k"], now()), durable=False)
    assert claim(database, one, wish()) == 2
    database.write(lambda tx: one.release_all(tx, now()), durable=False)
    assert claim(database, Claimer("two", "b"), wish()) == 3


def test_equal_content_is_found_under_another_key(database: Database) -> None:
    one = Claimer("one", "a")
    claim(database, one, wish("k1"))
    assert claim(database, one, wish("k2", reuse=True)) == 1, "what is not done cannot be reused"
    settle(database, one, Settled("k1", 1, 0, RESULT))
    found = claim(database, one, wish("k3", reuse=True))
    assert getattr(found, "key", None) == "k1"


def test_many_rows_are_looked_up_in_chunks(database: Database) -> None:
    one = Claimer("one", "a")
    names = [f"k{number}" for number in range(1_203)]
    database.write(lambda tx: [one.claim(tx, wish(name), now()) for name in names], durable=False)
    with database.read() as tx:
        assert set(lookup(tx, [*names, "missing"])) == set(names)
        assert lookup(tx, []) == {}


def test_an_owner_is_dead_when_its_process_is(tmp_path: Path) -> None:
    mine = owner_token()
    assert not is_dead(mine)
    program = "from perenne.storage.owners import owner_token; print(owner_token())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    theirs = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert is_dead(theirs)
    host, pid, _, rest = mine.split("|")
    assert is_dead(f"{host}|{pid}|1|{rest}"), "the number was given to another process since"
    assert not is_dead(f"elsewhere|{theirs.partition('|')[2]}"), "of another host nothing is known"
    assert not is_dead("something else")


def test_leases_are_prolonged_until_the_end_also_when_that_fails_once() -> None:
    renewed = threading.Semaphore(0)
    failing = deque([True])

    def renew() -> None:
        renewed.release()
        if failing:
            failing.pop()
            raise OSError("for once")

    keeper = LeaseKeeper(renew, lease=30_000)
    keeper.start()
    for _ in range(3):
        assert renewed.acquire(timeout=10)
    keeper.stop()


@step
def gated(x: int) -> int:
    CALLS.append("gated")
    assert GATE.wait(30)
    return x + 1


@step
def after(x: int) -> int:
    CALLS.append("after")
    return x * 2


@pipeline
def waiting(x: int) -> int:
    return after(gated(x))


def test_two_runs_at_once_share_the_work(database: Database, objects: ObjectStore) -> None:
    outputs: list[object] = []

    def run() -> None:
        with Engine(database, objects) as engine:
            outputs.append(engine.run(waiting, 4).output)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while not CALLS and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    GATE.set()
    for thread in threads:
        thread.join()
    assert outputs == [10] * 4
    assert sorted(CALLS) == ["after", "gated"]


def test_a_result_that_comes_too_late_is_thrown_away(database: Database, objects: ObjectStore) -> None:
    """While a step runs its lease runs out, another run takes it over and finishes; the first one uses that result."""

    @step
    def replaced(x: int) -> int:
        CALLS.append("replaced")
        other = Claimer("other", "other owner")
        with database.read() as tx:
            key = tx.scalar(sa.select(table.c.key).where(table.c.name == "replaced"))
        later = now() + 60_000_000
        assert claim(database, other, wish(key, content_key="x"), later) == 2
        assert settle(database, other, Settled(key, 2, 0, Output("d", b"\xcd\x03\xe7", None)))
        return x

    @pipeline
    def flow(x: int) -> int:
        return after(replaced(x))

    with Engine(database, objects) as engine:
        run = engine.run(flow, 1)
    assert run.output == 2 * 999
    assert [record.hit for record in run.steps] == [True, False]


def test_an_interrupt_releases_what_was_claimed_and_keeps_what_is_done(database: Database, objects: ObjectStore) -> None:
    @step
    def interrupted(x: int) -> int:
        CALLS.append("interrupted")
        if len(CALLS) < 3:
            raise KeyboardInterrupt
        return x

    @pipeline
    def flow(x: int) -> int:
        return interrupted(after(x))

    with Engine(database, objects) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.run(flow, 1)
        with database.read() as tx:
            states = tx.execute(sa.select(table.c.name, table.c.state, table.c.lease).order_by(table.c.name)).all()
            runs = tx.execute(sa.select(flow_run.c.state)).scalars().all()
        assert [tuple(row) for row in states] == [("after", "done", 0), ("interrupted", "failed", 0)]
        assert runs == ["interrupted"]
        run = engine.run(flow, 1)
    assert run.output == 2
    assert list(CALLS) == ["after", "interrupted", "interrupted"]
