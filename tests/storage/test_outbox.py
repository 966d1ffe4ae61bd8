"""Events: delivered at least once, with effects in the database exactly once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from perenne.core.clock import DAY
from perenne.core.errors import Conflict, NotFound, Unavailable
from perenne.core.events import Event
from perenne.storage import outbox, steering
from perenne.storage.database import Database, Transaction
from perenne.storage.outbox import MAX_ATTEMPTS, Outbox, StoredEvent, emit
from perenne.storage.retention import BATCH, prune

effects = sa.Table("effect", sa.MetaData(), sa.Column("of", sa.Text))


class Happened(Event, frozen=True):
    """An event."""

    name = "thing.happened"
    what: str


@pytest.fixture(autouse=True)
def effect_table(database: Database) -> None:
    database.write(lambda tx: effects.create(tx.connection))


def note(tx: Transaction, event: Happened) -> None:
    tx.execute(effects.insert(), {"of": event.what})


def noted(database: Database) -> list[str]:
    with database.read() as tx:
        return [row.of for row in tx.execute(sa.select(effects))]


def stored(database: Database, state: str | None = None) -> list[StoredEvent]:
    with database.read() as tx:
        return outbox.events(tx, state=state)


def emit_all(database: Database, *names: str) -> None:
    for name in names:
        database.write(partial(emit, event=Happened(what=name)))


def make_due(database: Database) -> None:
    database.write(lambda tx: tx.execute(outbox.table.update().values(due=0)))


def test_every_subscriber_gets_every_event_once_in_order(database: Database) -> None:
    box = Outbox(database, {Happened: [note, note]})
    emit_all(database, "a", "b")
    assert box.deliver() == 2
    assert noted(database) == ["a", "a", "b", "b"]
    assert box.deliver() == 0
    assert [event.state for event in stored(database)] == ["delivered", "delivered"]


def test_an_event_of_a_change_that_is_undone_was_never_there(database: Database) -> None:
    def change(tx: Transaction) -> None:
        emit(tx, Happened(what="a"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(change)
    assert stored(database) == []


def test_an_event_nobody_listens_to_is_delivered_to_nobody(database: Database) -> None:
    emit_all(database, "a")
    assert Outbox(database, {}).deliver() == 1
    assert noted(database) == []


def test_what_a_failing_subscriber_did_is_undone_and_others_are_not_held_up(database: Database) -> None:
    def fails_for_a(tx: Transaction, event: Happened) -> None:
        note(tx, event)
        if event.what == "a":
            raise ValueError("not yet")

    box = Outbox(database, {Happened: [fails_for_a]})
    emit_all(database, "a", "b")
    assert box.deliver() == 1
    assert noted(database) == ["b"]
    (waiting,) = stored(database, state="waiting")
    assert (waiting.attempts, waiting.error) == (1, "ValueError: not yet")
    assert box.deliver() == 0, "it waits before it is tried again"


def test_an_event_is_set_aside_after_so_many_tries_and_can_be_brought_back(database: Database) -> None:
    broken = True

    def receive(tx: Transaction, event: Happened) -> None:
        note(tx, event)
        if broken:
            raise ValueError("broken")

    box = Outbox(database, {Happened: [receive]})
    emit_all(database, "a")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert stored(database)[0].state == "waiting"
        assert box.deliver() == 0
        assert stored(database)[0].attempts == attempt
        make_due(database)
    (event,) = stored(database)
    assert (event.state, event.attempts) == ("set_aside", MAX_ATTEMPTS)
    assert box.deliver() == 0
    assert stored(database)[0].attempts == MAX_ATTEMPTS
    broken = False
    assert database.write(lambda tx: steering.retry_event(tx, event.id)).state == "waiting"
    with pytest.raises(Conflict):
        database.write(lambda tx: steering.retry_event(tx, event.id))
    assert box.deliver() == 1
    assert noted(database) == ["a"]


def test_several_that_deliver_at_once_have_each_effect_once(database: Database) -> None:
    names = [str(number) for number in range(40)]
    emit_all(database, *names)
    box = Outbox(database, {Happened: [note]})
    with ThreadPoolExecutor(6) as pool:
        delivered = list(pool.map(lambda _: box.deliver(), range(6)))
    assert sum(delivered) == 40
    assert sorted(noted(database), key=int) == names


def test_a_delivery_that_failed_does_not_bring_back_what_another_delivered(database: Database) -> None:
    """One deliverer fails; before it can say so, another delivers the event: it stays delivered."""
    emit_all(database, "a")
    (event,) = stored(database)
    assert Outbox(database, {Happened: [note]}).deliver() == 1
    database.write(lambda tx: outbox._postpone(tx, event.id, "late"))
    assert stored(database)[0].state == "delivered"


def test_trouble_with_the_database_counts_against_no_event(database: Database) -> None:
    emit_all(database, "a")
    database._writer.close()
    with pytest.raises(Unavailable):
        Outbox(database, {Happened: [note]}).deliver()
    assert stored(database)[0].attempts == 0


def test_two_processes_that_deliver_at_once_have_each_effect_once(database: Database) -> None:
    names = [str(number) for number in range(60)]
    emit_all(database, *names)
    command = [sys.executable, str(Path(__file__).with_name("deliverers.py")), database.url.render_as_string(hide_password=False)]
    environment = {**os.environ, "PYTHONPATH": str(Path("src").resolve())}
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in started]
    assert sum(counts) == 60
    assert sorted(noted(database), key=int) == names


def test_what_was_delivered_goes_after_its_time_and_what_was_not_stays(database: Database) -> None:
    emit_all(database, *(str(number) for number in range(5)))
    Outbox(database, {}).deliver(limit=3)
    assert prune(database) == 0
    database.write(lambda tx: tx.execute(outbox.table.update().values(ended=outbox.table.c.ended - 8 * DAY, created=0)))
    assert prune(database) == 3
    assert [event.state for event in stored(database)] == ["waiting", "waiting"]


def test_many_rows_go_in_small_batches(database: Database) -> None:
    rows = [
        {"name": "x", "payload": "{}", "created": 1, "due": 1, "state": "delivered", "ended": 1 + n} for n in range(2 * BATCH + 5)
    ]
    database.write(lambda tx: tx.execute(outbox.table.insert(), rows))
    assert prune(database, batches=1) == BATCH
    assert prune(database) == BATCH + 5


def test_a_set_aside_event_can_be_dropped_and_no_other(database: Database) -> None:
    emit_all(database, "a", "b")
    first, second = sorted(event.id for event in stored(database))
    database.write(lambda tx: tx.execute(outbox.table.update().where(outbox.table.c.id == first).values(state="set_aside")))
    assert database.write(lambda tx: steering.drop_event(tx, first)).state == "dropped"
    for identity, error in ((first, Conflict), (second, Conflict), (999, NotFound)):
        with pytest.raises(error):
            database.write(lambda tx, identity=identity: steering.drop_event(tx, identity))  # type: ignore[misc]
    Outbox(database, {Happened: [note]}).deliver()
    assert noted(database) == ["b"]
