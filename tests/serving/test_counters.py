"""The shared counters: each process writes its own block, any process reads all."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from perenne.formats.windows import LATENCY_EDGES_US
from perenne.serving.counters import Counters, Gauge, Outcome, SeriesKey

KEY = SeriesKey("delays", "late@1", "champion", "infer")


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(list(Outcome)), st.integers(0, 10**8)), max_size=30))
def test_what_is_counted_anywhere_is_read_everywhere(counted: list[tuple[int, Outcome, int]]) -> None:
    first = Counters.create(3)
    blocks = [Counters(first.handle, 3, own) for own in range(3)]
    for own, outcome, latency in counted:
        blocks[own].series(KEY).count(outcome, 2, latency)
    read = first.read().get(KEY)
    assert (read is None) == (not counted)
    if read is not None:
        assert read.outcomes == tuple(sum(o is outcome for _, o, _ in counted) for outcome in Outcome)
        assert (read.rows, read.latency_us) == (2 * len(counted), sum(latency for *_, latency in counted))
        for cell, edge in enumerate(LATENCY_EDGES_US):
            assert sum(read.cells[: cell + 1]) == sum(latency <= edge for *_, latency in counted)
    os.close(first.handle)


def test_more_series_than_there_are_places_share_the_last() -> None:
    counters = Counters.create(1)
    for number in range(100):
        counters.series(SeriesKey("d", f"late@{number}", "champion", "infer")).count(Outcome.OK, 1, 10)
    read = counters.read()
    assert len(read) == 32 and sum(counts.outcomes[Outcome.OK] for counts in read.values()) == 100
    assert read[SeriesKey("", "", "", "other")].outcomes[Outcome.OK] == 69
    os.close(counters.handle)


def test_a_process_that_comes_back_goes_on_counting_and_one_that_died_is_not_ready() -> None:
    counters = Counters.create(2)
    program = (
        "import sys; from perenne.serving.counters import *\n"
        f"c = Counters({counters.handle}, 2, 1); c.add(Gauge.SENT, 5); c.set(Gauge.READY, 1)\n"
        f"c.series(SeriesKey{tuple(KEY)!r}).count(Outcome.OK, 1, 7)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True, pass_fds=[counters.handle])
    assert counters.get(Gauge.SENT, 1) == counters.total(Gauge.SENT) == 10
    assert counters.read()[KEY].rows == 2 and counters.get(Gauge.READY, 1) == 1
    counters.mark_gone(1)
    assert counters.get(Gauge.READY, 1) == 0 and counters.get(Gauge.SENT, 1) == 10
    os.close(counters.handle)
