"""What clients do, timed: the same calls, from the same program, to whichever server listens."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.tracking.connection import Connection

MEGABYTE = 1 << 20
ARTIFACT = 64 * MEGABYTE
CLIENTS = 8
REQUESTS_PER_RUN = 8

SEARCHES = {
    "no filter, newest first": ("", []),
    "metric and param, order by metric": ("metrics.auc > 0.5 and params.model = 'm3'", ["metrics.auc DESC"]),
    "tag and status": ("tags.team = 't2' and attributes.status = 'FINISHED'", []),
    "tag LIKE, metric, two orders": (
        "tags.note LIKE '%7%' and metrics.loss < 0.5",
        ["metrics.loss ASC", "attributes.start_time DESC"],
    ),
    "no filter, order by metric": ("", ["metrics.auc DESC"]),
}


class Spread(NamedTuple):
    """Milliseconds: the median, and what 19 of 20 stay below."""

    p50: float
    p95: float


def timed(call: Callable[[int], object], times: int, warm: int = 3) -> Spread:
    """Call something again and again and return how long it takes."""
    for number in range(warm):
        call(-1 - number)
    taken = []
    for number in range(times):
        started = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - started) * 1e3)
    return Spread(statistics.median(taken), sorted(taken)[int(len(taken) * 0.95)])


def new_run(connection: Connection, experiment: str = "0") -> str:
    """Start a run."""
    values = {"experiment_id": experiment, "start_time": int(time.time() * 1e3), "tags": [{"key": "mlflow.user", "value": "ada"}]}
    return str(connection.post("runs/create", values)["run"]["info"]["run_id"])


def log_metric(port: int, times: int = 300) -> Spread:
    """Log one metric, one point after the other."""
    connection = Connection(port)
    run = new_run(connection)

    def call(number: int) -> None:
        step = number + 1_000
        connection.post("runs/log-metric", {"run_id": run, "key": "loss", "value": 1 / step, "timestamp": step, "step": step})

    found = timed(call, times)
    connection.close()
    return found


def log_batch(port: int, times: int = 12) -> Spread:
    """Log 1,000 points at once: 20 metrics, 50 steps each."""
    connection = Connection(port)
    run = new_run(connection)

    def call(number: int) -> None:
        first = (number + 10) * 50
        metrics = [
            {"key": f"m{key}", "value": step / (key + 1), "timestamp": 1_700_000_000_000 + step, "step": step}
            for key in range(20)
            for step in range(first, first + 50)
        ]
        connection.post("runs/log-batch", {"run_id": run, "metrics": metrics})

    found = timed(call, times)
    connection.close()
    return found


def whole_run(connection: Connection, number: int) -> None:
    """Do what a short training does: eight requests."""
    run = new_run(connection)
    metrics = [{"key": f"m{key}", "value": key / 7, "timestamp": number, "step": 0} for key in range(20)]
    params = [{"key": f"p{key}", "value": str(key)} for key in range(10)]
    tags = [{"key": f"t{key}", "value": "x"} for key in range(5)]
    connection.post("runs/log-batch", {"run_id": run, "metrics": metrics, "params": params, "tags": tags})
    for step in range(4):
        connection.post("runs/log-metric", {"run_id": run, "key": "loss", "value": 1.0, "timestamp": step, "step": step})
    connection.post("runs/set-tag", {"run_id": run, "key": "done", "value": "yes"})
    connection.post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": int(time.time() * 1e3)})


def _client(port: int, runs: int, ready: "multiprocessing.synchronize.Barrier") -> None:
    connection = Connection(port)
    whole_run(connection, 0)
    ready.wait()
    for number in range(runs):
        whole_run(connection, number)
    ready.wait()


def many_clients(port: int, runs: int) -> float:
    """Let eight clients log runs at once; return requests a second."""
    ready = multiprocessing.Barrier(CLIENTS + 1)
    clients = [multiprocessing.Process(target=_client, args=(port, runs, ready)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    ready.wait()
    started = time.perf_counter()
    ready.wait()
    taken = time.perf_counter() - started
    for client in clients:
        client.join()
    return CLIENTS * runs * REQUESTS_PER_RUN / taken


def searches(port: int, experiment: str, times: int = 7) -> dict[str, Spread]:
    """Search runs, the first hundred that fit."""
    connection = Connection(port)

    def search(words: str, order: list[str]) -> Spread:
        asked = {"experiment_ids": [experiment], "filter": words, "order_by": order, "max_results": 100}
        return timed(lambda _: connection.post("runs/search", asked), times, warm=1)

    found = {name: search(words, order) for name, (words, order) in SEARCHES.items()}
    connection.close()
    return found


def history(port: int, run: str, points: int) -> float:
    """Read a whole history; return seconds."""
    connection = Connection(port)
    started, token, count = time.perf_counter(), "", 0
    while True:
        more = {"page_token": token} if token else {}
        answer = connection.get("metrics/get-history", run_id=run, metric_key="curve", max_results=100_000, **more)
        count += len(answer["metrics"])
        token = answer.get("next_page_token", "")
        if not token:
            break
    taken = time.perf_counter() - started
    assert count == points, f"{count} of {points} points came"
    connection.close()
    return taken


def artifacts(port: int, times: int = 5) -> tuple[float, float]:
    """Send and fetch a file of 64 MiB through the server; return MB a second, up and down."""
    connection = Connection(port)
    body = os.urandom(MEGABYTE) * 64
    target = f"/api/2.0/mlflow-artifacts/artifacts/0/{new_run(connection)}/artifacts/file"
    up = timed(lambda number: connection.send("PUT", f"{target}{number}.bin", body, "application/octet-stream"), times, warm=1)
    down = timed(lambda _: connection.send("GET", f"{target}0.bin"), times, warm=1)
    connection.close()
    return ARTIFACT / 1e6 / (up.p50 / 1e3), ARTIFACT / 1e6 / (down.p50 / 1e3)
