"""Rows that others answered, in our row log: whoever reads the log finds them beside our own."""

from pathlib import Path

import numpy as np

from perenne.core.ids import time_of_id
from perenne.serving.row_log import Batch, RowLog, to_table
from perenne.stats.columns import Column, Columns, Field, Task


def log_elsewhere(
    logs: Path,
    *,
    deployment: str,
    version: str,
    part: int,
    ids: list[str],
    times: list[int],
    columns: Columns,
    predictions: Column | None,
    scores: Column | None,
    fields: tuple[Field, ...],
    task: Task,
) -> None:
    """Write rows as a part of the log; the same part written again is the same file.

    Parameters
    ----------
    part : int
        Its number among those of the deployment.
    ids : list of str
        Prediction ids; by the time in them rows are found.
    times : list of int
        When they were answered, microseconds since 1970.
    predictions : array or None
        As text, or numbers for regression.
    scores : float array (rows, classes) or None
    """
    count = len(ids)
    requests, rows = [text[:26] for text in ids], [int(text[27:]) for text in ids]
    score = None if scores is None else scores[:, -1] if task is Task.BINARY else scores.max(axis=1)
    batch = Batch(
        version=version,
        tree="",
        request_ids=requests,
        row_numbers=np.array(rows, np.int32),
        arrivals=np.array([time_of_id(request) for request in requests], np.int64),
        event_times=np.array(times, np.int64),
        deployment=deployment,
        variant="champion",
        reasons=["elsewhere"] * count,
        propensities=np.ones(count, np.float32),
        sticky_hashes=np.zeros(count, np.uint64),
        statuses=np.full(count, 200, np.int16),
        latencies=np.zeros(count, np.int32),
        batch_rows=np.ones(count, np.int32),
        columns=columns,
        predictions=None if predictions is None else predictions.tolist(),
        score=score,
        scores=None if scores is None else np.asarray(scores, np.float64),
        outputs={},
    )
    log = RowLog(logs, f"elsewhere-{deployment}")
    log.add(version, to_table(batch, fields, task))
    for staged in log.stage(part):
        staged.hidden.replace(staged.final)
