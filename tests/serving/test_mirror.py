"""The wire to the observer: nothing waits, nothing is lost unsaid, and large requests travel in parts."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.packages import FIELDS, flights
from tests.serving.worker import received

from perenne.inference import Signature
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import MAX_MESSAGE, Served, pack_columns, unpack_columns, unpack_message
from perenne.serving.mirror import Mirror
from perenne.serving.options import socket_pair
from perenne.stats.columns import Task

SIGNATURE = Signature(FIELDS, Task.BINARY, ("on time", "late"), "late")


def served(rows: int, seed: int = 0, name: str = "r") -> Served:
    table = flights(rows, seed)
    return Served(
        request_id=name,
        first_row=0,
        rows=rows,
        arrival=1,
        event_time=2,
        latency_us=3,
        batch_rows=rows,
        status=200,
        role="champion",
        reason="",
        version="late@1",
        tree="t",
        dropped=0,
        columns=pack_columns(table, FIELDS),
        predictions=np.arange(rows, dtype=np.int64).tobytes(),
        scores=np.arange(2.0 * rows).tobytes(),
    )


def with_mirror(work: Callable[[Mirror, Callable[[], list[Served]], Counters], Awaitable[None]], backlog: int = 1 << 20) -> None:
    async def run() -> None:
        ours, theirs = socket_pair()
        counters = Counters.create(2)
        mirror = Mirror(ours, counters, backlog)

        def read() -> list[Served]:
            mirror.pump()
            return [served for data in received(theirs) for served in unpack_message(data)[1]]

        try:
            await work(mirror, read, counters)
        finally:
            asyncio.get_running_loop().remove_writer(ours)
            ours.close()
            theirs.close()

    asyncio.run(run())


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=3))
def test_a_request_of_any_size_arrives_whole_in_messages_that_fit(sizes: list[int]) -> None:
    async def work(mirror: Mirror, read: Callable[[], list[Served]], counters: Counters) -> None:
        for number, rows in enumerate(sizes):
            sent = served(rows, number)
            parts: list[Served] = []
            mirror.send(sent, SIGNATURE)
            while sum(part.rows for part in parts) < rows:
                parts += read()
                mirror.pump()
            assert [part.first_row for part in parts] == [sum(p.rows for p in parts[:i]) for i in range(len(parts))]
            table = unpack_columns([part.columns for part in parts], FIELDS)
            for name, column in flights(rows, number).items():
                np.testing.assert_array_equal(table[name], column)
            assert b"".join(part.predictions for part in parts) == sent.predictions
            assert b"".join(part.scores for part in parts) == sent.scores
        assert counters.total(Gauge.DROPPED) == counters.total(Gauge.BACKLOG) == 0

    with_mirror(work, backlog=1 << 24)


def test_what_finds_no_room_is_counted_and_said_once_there_is_room_again() -> None:
    async def work(mirror: Mirror, read: Callable[[], list[Served]], counters: Counters) -> None:
        asked = 0
        while counters.total(Gauge.DROPPED) < 2_000:
            mirror.send(served(500), SIGNATURE)
            mirror.pump()
            asked += 500
        assert counters.total(Gauge.BACKLOG) > 0
        arrived: list[Served] = []
        while counters.total(Gauge.BACKLOG):
            arrived += read()
            mirror.pump()
        arrived += read()
        dropped = counters.total(Gauge.DROPPED)
        assert sum(message.rows for message in arrived) == asked - dropped
        assert [(message.rows, message.dropped) for message in arrived if message.dropped] == [(0, dropped)]

    with_mirror(work, backlog=200_000)


def test_a_row_too_large_for_any_message_is_a_gap_in_the_next() -> None:
    async def work(mirror: Mirror, read: Callable[[], list[Served]], counters: Counters) -> None:
        huge = served(1)
        huge.columns[2] = ["x" * MAX_MESSAGE]
        mirror.send(huge, SIGNATURE)
        mirror.send(served(1), SIGNATURE)
        assert [(message.rows, message.dropped) for message in read()] == [(0, 1), (1, 0)]

    with_mirror(work)


def test_what_is_answered_in_one_turn_goes_in_one_message_and_counts_as_waiting_until_then() -> None:
    async def work(mirror: Mirror, read: Callable[[], list[Served]], counters: Counters) -> None:
        for number in range(7):
            mirror.send(served(2, name=f"r{number}"), SIGNATURE)
        assert counters.total(Gauge.BACKLOG_ROWS) == 14 and counters.total(Gauge.SENT) == 0
        await asyncio.sleep(0)
        assert counters.total(Gauge.BACKLOG_ROWS) == 0 and counters.total(Gauge.SENT) == 1
        assert [message.request_id for message in read()] == [f"r{number}" for number in range(7)]

    with_mirror(work)


def test_the_other_end_may_be_gone_for_good() -> None:
    async def work(mirror: Mirror, _: Callable[[], list[Served]], counters: Counters) -> None:
        mirror._wire.shutdown(1)
        mirror.send(served(3), SIGNATURE)
        mirror.pump()
        assert counters.total(Gauge.DROPPED) == 3

    with_mirror(work)
