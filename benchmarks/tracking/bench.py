"""Tracking: the same client program against MLflow's server and ours, one after the other on the same machine.

    python benchmarks/tracking/bench.py [--databases sqlite,postgresql] [--runs 10000,100000] [--points 1000000] [--peers mlflow]
                                        [--environments FOLDER]

Latency of one metric, throughput of batches, eight clients at once, search over many runs, a long history, artifacts, start and
memory. The client speaks plain HTTP on one kept connection; what MLflow's own client adds is the same for both and left out.
MLflow gets an environment of its own below FOLDER on the first call, and runs as `mlflow server` does by itself. CPU is that of
all processes of the server, PostgreSQL's left out.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen, run
from typing import NamedTuple

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.tracking import workloads
from benchmarks.tracking.filling import fill_mlflow, fill_perenne
from benchmarks.web.bench import free_port
from tests.postgres import PostgresServer

PEER = ("mlflow==3.17.2", "psycopg[binary]")
QUIET_SECONDS, QUIET = 2.0, 0.1


class Server(NamedTuple):
    """A server that runs: its port, its first process, and how long it took to answer."""

    port: int
    process: psutil.Process
    start_seconds: float

    def family(self) -> list[psutil.Process]:
        """Return all of its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu(self) -> float:
        """Return the CPU seconds it has used."""
        times = [process.cpu_times() for process in self.family()]
        return float(sum(item.user + item.system for item in times))

    def settle(self) -> None:
        """Wait until it has finished starting: MLflow's workers go on importing after the first answer."""
        used = -1.0
        while (now := self.cpu()) - used > QUIET * QUIET_SECONDS:
            used = now
            time.sleep(QUIET_SECONDS)

    def memory(self) -> tuple[int, float]:
        """Return how many processes it has, and their memory in MB, shared pages counted by share (PSS)."""
        family = self.family()
        return len(family), sum(process.memory_full_info().pss for process in family) / 1e6


@contextlib.contextmanager
def started(command: list[str], folder: Path, port: int, ready: str) -> Iterator[Server]:
    """Run a server until it answers, and end it and all of its processes afterwards."""
    began = time.perf_counter()
    process = Popen(command, cwd=folder, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}{ready}").status_code == 200:
                    break
            assert time.perf_counter() - began < 180 and process.poll() is None, f"{command[0]} did not start"
            time.sleep(0.01)
        yield Server(port, psutil.Process(process.pid), time.perf_counter() - began)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        with contextlib.suppress(Exception):
            process.wait(30)
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()


class System(NamedTuple):
    """One of those compared: how it is started on a database, and how the database is filled."""

    name: str
    python: str

    def command(self, url: str, folder: Path, port: int) -> list[str]:
        """Return what starts it."""
        if self.name == "perenne":
            own = ["-m", "perenne", "--database", url, "--objects", (folder / "objects").as_uri(), "up", "--no-worker"]
            return [self.python, *own, "--port", str(port), "--serve-port", str(free_port())]
        store = ["--backend-store-uri", url, "--artifacts-destination", str(folder / "artifacts")]
        return [self.python, "-m", "mlflow", "server", "--port", str(port), *store]

    def fill(self, url: str, runs: int, points: int) -> tuple[str, str]:
        """Fill its database; it has been started once, so that the tables are there."""
        return (fill_perenne if self.name == "perenne" else fill_mlflow)(url, runs, points)


def environment(folder: Path) -> str:
    """Return the interpreter of MLflow's environment; made on the first call."""
    place = folder / "mlflow-tracking"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEER], check=True)
        run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=DEVNULL)
        (place / "ready").touch()
    return str(python)


def show(system: str, database: str, what: str, figure: str, cpu: float | None = None) -> None:
    """Print a line of the table."""
    used = "" if cpu is None else f"{cpu:8.2f} CPU s"
    print(f"{system:<8} {database:<11} {what:<44} {figure:>24} {used}", flush=True)


def measure_writing(system: System, database: str, url: str, folder: Path) -> None:
    """Measure start, writing, artifacts and memory on an empty database."""
    port = free_port()
    with started(system.command(url, folder, port), folder, port, "/health") as server:
        show(system.name, database, "start, fresh database", f"{server.start_seconds:.2f} s")
        server.settle()
        used = server.cpu()
        single = workloads.log_metric(port)
        show(system.name, database, "log-metric, p50 / p95", f"{single.p50:.2f} / {single.p95:.2f} ms", server.cpu() - used)
        used = server.cpu()
        batch = workloads.log_batch(port)
        show(system.name, database, "log-batch of 1,000, p50", f"{batch.p50:.1f} ms", server.cpu() - used)
        show(system.name, database, "log-batch, metrics a second", f"{1e6 / batch.p50:,.0f} /s")
        used, runs = server.cpu(), 60 if system.name == "perenne" else 6
        many = workloads.many_clients(port, runs)
        cost = (server.cpu() - used) / (workloads.CLIENTS * (runs + 1))
        show(system.name, database, "8 clients, requests a second", f"{many:,.0f} /s")
        show(system.name, database, "8 clients, CPU of the server a run", f"{cost * 1e3:.1f} ms")
        up, down = workloads.artifacts(port)
        show(system.name, database, "artifact of 64 MiB, up / down", f"{up:,.0f} / {down:,.0f} MB/s")
        processes, memory = server.memory()
        show(system.name, database, "processes; memory after use", f"{processes}; {memory:,.0f} MB")


def measure_reading(system: System, database: str, url: str, folder: Path, runs: int, points: int) -> None:
    """Measure searches over many runs, a long history, and memory."""
    port = free_port()
    with started(system.command(url, folder, port), folder, port, "/health"):
        pass
    experiment, curve = system.fill(url, runs, points)
    port = free_port()
    with started(system.command(url, folder, port), folder, port, "/health") as server:
        server.settle()
        show(system.name, database, f"start with {runs:,} runs", f"{server.start_seconds:.2f} s")
        for name, found in workloads.searches(port, experiment).items():
            show(system.name, database, f"{runs:,}: {name}", f"{found.p50:.1f} ms")
        if points:
            show(system.name, database, f"history of {points:,} points", f"{workloads.history(port, curve, points):.2f} s")
        processes, memory = server.memory()
        show(system.name, database, f"{runs:,} runs: processes; memory", f"{processes}; {memory:,.0f} MB")


@contextlib.contextmanager
def databases(kind: str, folder: Path) -> Iterator["list[str]"]:
    """Give the URLs of three empty databases."""
    if kind == "sqlite":
        yield [f"sqlite:///{folder}/{name}.db" for name in ("writing", "reading", "more")]
        return
    server = PostgresServer(safe=True)
    try:
        yield [server.database() for _ in range(3)]
    finally:
        server.stop()


def measure(system: System, kind: str, sizes: list[int], points: int) -> None:
    """Measure one system on one database."""
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name, databases(kind, Path(name)) as urls:
        folder = Path(name)
        measure_writing(system, kind, urls[0], folder)
        for url, runs in zip(urls[1:], sizes, strict=False):
            measure_reading(system, kind, url, folder, runs, points if runs == sizes[0] else 0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--runs", default="10000,100000")
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--peers", default="mlflow")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "perenne-benchmarks")
    given = parser.parse_args()
    systems = [System("perenne", sys.executable)]
    if "mlflow" in given.peers.split(","):
        systems.append(System("mlflow", environment(given.environments)))
    for kind in given.databases.split(","):
        for system in systems:
            measure(system, kind, [int(text) for text in given.runs.split(",")], given.points)


if __name__ == "__main__":
    main()
