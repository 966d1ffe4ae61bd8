"""MLflow's histories of metrics: whole, by pages, of many runs."""

import base64

import msgspec
from msgspec import UNSET, UnsetType

from perenne import tracking
from perenne.core.tokens import read_token
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import Int32, Point, number, some
from perenne.protocols.mlflow.wire import TAIL, wrong

MOST_RUNS, MOST_PER_RUN, MOST_IN_BULK = 100, 2_500, 25_000


class GetHistory(Message):
    """A metric of a run, or a page of it."""

    required = ("run_id", "metric_key")
    run_id: str = ""
    run_uuid: str = ""
    metric_key: str = ""
    page_token: str = ""
    max_results: Int32 | UnsetType = UNSET


class GetInterval(Message):
    """A metric of some runs, evenly chosen between two steps."""

    required = ("run_ids", "metric_key")
    run_ids: list[str] | UnsetType = UNSET
    metric_key: str = ""
    start_step: Int32 | UnsetType = UNSET
    end_step: Int32 | UnsetType = UNSET
    max_results: Int32 = MOST_PER_RUN


class GetInBulk(Message):
    """A metric of some runs, whole up to a limit."""

    run_id: list[str] = []
    metric_key: str | UnsetType = UNSET
    max_results: Int32 = MOST_IN_BULK


class History(msgspec.Struct):
    """Points of a metric."""

    metrics: list[Point] | UnsetType
    next_page_token: str | UnsetType = UNSET


def get_history(call: Call, asked: GetHistory) -> History:
    """Read a metric of a run, or a page of it, by time, step and value."""
    limit = asked.max_results
    if limit is not UNSET and limit <= 0:
        raise wrong(f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer.")
    offset = read_token(asked.page_token, "").offset
    if limit is UNSET:
        points = tracking.history.history(call.tx, call.actor, asked.run_id, asked.metric_key)
        return History(some(_points(points[offset:])))
    page = tracking.history.page(call.tx, call.actor, asked.run_id, asked.metric_key, limit=limit, offset=offset)
    return History(some(_points(page.points)), _token(page.following) if page.following else UNSET)


def get_interval(call: Call, asked: GetInterval) -> History:
    """Read a metric of some runs, evenly chosen."""
    assert asked.run_ids is not UNSET
    count, limit = len(asked.run_ids), asked.max_results
    if count > MOST_RUNS:
        raise wrong(
            f"GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids. Received {count} run_ids.{TAIL}"
        )
    if not 1 <= limit <= MOST_PER_RUN:
        raise wrong(f"max_results must be between 1 and {MOST_PER_RUN}.{TAIL}")
    start, end = (None if step is UNSET else step for step in (asked.start_step, asked.end_step))
    if (start is None) != (end is None):
        raise wrong("If either start step or end step are specified, both must be specified.")
    if start is not None and end is not None and start > end:
        raise wrong(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    found = tracking.history.interval(call.tx, call.actor, asked.run_ids, asked.metric_key, limit=limit, start=start, end=end)
    return History(some(_of_runs(found)))


def get_in_bulk(call: Call, asked: GetInBulk) -> History:
    """Read a metric of some runs, by run, time, step and value."""
    count = len(asked.run_id)
    if not count:
        raise wrong("GetMetricHistoryBulk request must specify at least one run_id.")
    if count > MOST_RUNS:
        raise wrong(f"GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids. Received {count} run_ids.")
    if asked.metric_key is UNSET:
        raise wrong("GetMetricHistoryBulk request must specify a metric_key.")
    limit = min(max(asked.max_results, 0), MOST_IN_BULK)
    return History(_of_runs(tracking.history.bulk(call.tx, call.actor, asked.run_id, asked.metric_key, limit=limit)))


def _token(offset: int) -> str:
    return base64.b64encode(b'{"offset": %d}' % offset).decode()


def _points(metrics: "list[tracking.Metric]") -> list[Point]:
    return [Point(one.key, number(one.value), one.time, one.step) for one in metrics]


def _of_runs(found: "list[tuple[str, tracking.Metric]]") -> list[Point]:
    return [Point(one.key, number(one.value), one.time, one.step, run_id=run) for run, one in found]


ENDPOINTS = [
    Endpoint("GET", "2.0/mlflow/metrics/get-history", Kind.READ, get_history, GetHistory),
    Endpoint("GET", "2.0/mlflow/metrics/get-history-bulk-interval", Kind.READ, get_interval, GetInterval),
    Endpoint("GET", "2.0/mlflow/metrics/get-history-bulk", Kind.READ, get_in_bulk, GetInBulk),
]
