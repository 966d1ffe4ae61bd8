"""What a call of `log_metric` costs the training, and when all values are with the server: one client each time it is called.

`python benchmarks/tracking/calls.py CLIENT URL COUNT`, where the client is `perenne` (the URL may be `local`), `mlflow`, or
`mlflow-async` (`synchronous=False`); the latter two by a Python that has MLflow.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

Log = Callable[[int], Any]


def perenne_client(url: str) -> tuple[Log, Callable[[], Any]]:
    """Start a run of perenne's client; `local` is the workspace of this folder."""
    if url != "local":
        os.environ["PERENNE_URL"] = url
    import perenne

    run = perenne.start_run("calls", experiment="benchmark", code=False)
    return lambda step: run.log_metric("loss", 1 / (step + 1), step), lambda: run.end(wait=600)


def mlflow_client(url: str, *, synchronous: bool) -> tuple[Log, Callable[[], Any]]:
    """Start a run of MLflow's client."""
    import mlflow

    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("benchmark")
    mlflow.start_run()

    def end() -> None:
        mlflow.flush_async_logging()
        mlflow.end_run()

    return lambda step: mlflow.log_metric("loss", 1 / (step + 1), step, synchronous=synchronous), end


def main() -> None:
    """Log so many values and say what that took."""
    client, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    log, end = perenne_client(url) if client == "perenne" else mlflow_client(url, synchronous=client == "mlflow")
    taken = []
    begun = time.perf_counter()
    for step in range(count):
        before = time.perf_counter_ns()
        log(step)
        taken.append(time.perf_counter_ns() - before)
    logged = time.perf_counter() - begun
    end()
    delivered = time.perf_counter() - begun
    taken.sort()
    half, most = taken[count // 2] / 1_000, taken[count * 95 // 100] / 1_000
    print(f"{client}: p50 {half:.1f} µs, p95 {most:.1f} µs a call; logged in {logged:.2f} s, delivered in {delivered:.2f} s")


if __name__ == "__main__":
    main()
