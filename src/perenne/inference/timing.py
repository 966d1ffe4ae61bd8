"""How long answers take: distinct rows in turn, because one repeated row flatters trees; the first rounds are left out.

Single rows are timed in blocks and the quietest block counts: what else the machine was doing is no property of the model.
"""

import time

import numpy as np

from perenne.core.errors import Invalid
from perenne.inference.model import Timing
from perenne.inference.predictor import Predictor
from perenne.stats.columns import Columns, row_count, take

WARM_UP = 50
BLOCKS = 20
BATCH = 1_000
BATCHES = 50


def time_predictor(predictor: Predictor, columns: Columns, *, calls: int = 1_000, seconds: float = 0.5) -> Timing:
    """Time a predictor in this process.

    Parameters
    ----------
    predictor : Predictor
        What to time.
    columns : Columns
        Distinct rows; they are asked one by one, over and over, and then in at most `BATCHES` batches of `BATCH`.
    calls : int
        Single rows to time at most.
    seconds : float
        Time for the single rows, and again for the batches, at most; at least one call of each is made.

    Raises
    ------
    Invalid
        If there are no rows.
    """
    count = row_count(columns)
    if not count:
        raise Invalid("there are no rows to time", code="inference.sample_empty", hint="give at least one row")
    rows = [take(columns, slice(index, index + 1)) for index in range(min(count, calls))]
    for index in range(WARM_UP):
        predictor.predict(rows[index % len(rows)])
    taken: list[int] = []
    cpu = time.process_time_ns()
    end = time.perf_counter_ns() + int(seconds * 1e9)
    while len(taken) < calls and (not taken or time.perf_counter_ns() < end):
        row = rows[len(taken) % len(rows)]
        started = time.perf_counter_ns()
        predictor.predict(row)
        taken.append(time.perf_counter_ns() - started)
    cpu = time.process_time_ns() - cpu
    p50, p99 = min((np.quantile(block, (0.5, 0.99)) / 1e6 for block in _blocks(taken)), key=lambda quantiles: float(quantiles[1]))
    return Timing(
        p50_ms=float(p50),
        p99_ms=float(p99),
        rows_per_second=_rows_per_second(predictor, columns, seconds),
        cpu_us_per_row=cpu / len(taken) / 1e3,
    )


def _blocks(taken: list[int]) -> list[list[int]]:
    size = -(-len(taken) // BLOCKS)
    return [taken[start : start + size] for start in range(0, len(taken), size)]


def _rows_per_second(predictor: Predictor, columns: Columns, seconds: float) -> float:
    batch = take(columns, np.arange(BATCH) % row_count(columns))
    predictor.predict(batch)
    started, done = time.perf_counter(), 0
    while not done or (done < BATCHES * BATCH and time.perf_counter() - started < seconds):
        predictor.predict(batch)
        done += BATCH
    return done / (time.perf_counter() - started)
