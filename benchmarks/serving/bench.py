"""Serving: ours beside MLflow, BentoML, LitServe, MLServer and KServe, one after the other on the same machine.

    python benchmarks/serving/bench.py [--full] [--models logistic,forest,xgboost] [--servers perenne,mlflow,…]
                                       [--python mlflow=/path/bin/python,…] [--environments FOLDER] [--json FILE]

The same estimator on the same 30 features, one worker each, distinct rows in turn. Short by default: logistic regression, one
row, 32 connections, 1.5 seconds. `--full` takes every model, 1 and 100 rows, JSON and binary, 1, 32 and 256 connections, five
seconds a cell: for a machine that does nothing else. A peer without a given Python gets an environment from its lock in
`requirements/`.

Requests a second, 50th and 99th percentile, CPU microseconds a request of all of a server's processes, their memory (shared pages
by share), and seconds from the start of the process to the first answer. The load comes from a process of its own, over loopback.
Ours is measured without a log, with it, with two challengers in shadow, with a challenger that hangs, with an observer that does.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.serving import load, models, peers  # noqa: E402
from benchmarks.serving.releasing import release  # noqa: E402

OURS = ("without log", "log", "log, 2 challengers", "log, challenger hangs", "log, observer hangs")
CHALLENGERS = {"log, 2 challengers": 2, "log, challenger hangs": 1}
HANGS = {"log, challenger hangs": "challenger", "log, observer hangs": "observer"}


class Cell(NamedTuple):
    """What is asked: in which words, rows a request, and connections."""

    form: str
    rows: int
    concurrency: int


class Running(NamedTuple):
    """A server that answers: its port, its first process, and how long it took to answer."""

    port: int
    process: psutil.Process
    start_seconds: float

    def family(self) -> list[psutil.Process]:
        """Return all of its processes."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu(self) -> float:
        """Return the CPU seconds they have used."""
        used = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += times.user + times.system
        return used

    def memory(self) -> float:
        """Return their memory in MB, shared pages by share."""
        return float(sum(process.memory_full_info().pss for process in self.family())) / 1e6

    def settle(self) -> None:
        """Wait until it is idle."""
        used = -1.0
        for _ in range(30):
            now = self.cpu()
            if now - used < 0.05:
                return
            used = now
            time.sleep(0.5)


def wire(path: str, port: int, form: str, rows: int) -> list[bytes]:
    """Return requests as they go over the wire."""
    made = []
    for headers, body in models.bodies(form, rows):
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "content-length": str(len(body))}.items())
        made.append(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}\r\n".encode() + body)
    return made


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], path: str, form: str, port: int, log: Path) -> Iterator[Running]:
    """Run a server until it answers a request, and end it and all of its processes afterwards."""
    began = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, cwd=log.parent, start_new_session=True)
    request = wire(path, port, form, 1)[:1]
    try:
        while True:
            with contextlib.suppress(OSError):
                if not load.drive(port, request, 1, 0.001, 1).failed:
                    break
            if time.perf_counter() - began > 120 or process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')[-800:]}")
            time.sleep(0.005)
        yield Running(port, psutil.Process(process.pid), time.perf_counter() - began)
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()


def ask(running: Running, path: str, cell: Cell, seconds: float, folder: Path) -> dict[str, Any]:
    """Load a server from another process; return the figures of a cell."""
    file = folder / "requests"
    load.write_requests(file, wire(path, running.port, cell.form, cell.rows))
    command = [sys.executable, str(Path(load.__file__)), str(running.port), str(file), "--concurrency", str(cell.concurrency)]
    subprocess.run([*command, "--seconds", str(min(0.5, seconds / 4))], check=True, capture_output=True)
    running.settle()
    used = running.cpu()
    found = json.loads(subprocess.run([*command, "--seconds", str(seconds)], check=True, capture_output=True).stdout)
    time.sleep(1.0)  # what is logged after the answer counts as well
    return {**found, "cpu_us": (running.cpu() - used) / max(1, found["answers"]) * 1e6}


def measure(
    running: Running, name: str, model: str, path: str, cells: list[Cell], seconds: float, folder: Path
) -> list[dict[str, Any]]:
    """Measure a server in every cell, and print each as it comes."""
    rows = []
    for cell in cells:
        found = {"server": name, "model": model, **cell._asdict(), **ask(running, path, cell, seconds, folder)}
        rows.append(found)
        show(found)
    memory = running.memory()
    print(f"{name:<30} {model:<9} start {running.start_seconds:.2f} s, {memory:,.0f} MB", flush=True)
    return [{**row, "start_s": running.start_seconds, "memory_mb": memory} for row in rows]


def show(row: dict[str, Any]) -> None:
    """Print a cell."""
    what = f"{row['server']:<30} {row['model']:<9} {row['form']:<10} {row['rows']:>4} rows {row['concurrency']:>4} connections"
    figures = f"{row['rps']:>9,.0f} /s  p50 {row['p50_ms']:>8.2f}  p99 {row['p99_ms']:>8.2f} ms  {row['cpu_us']:>8,.0f} CPU us"
    print(what, figures, f"  {row['failed']} FAILED" if row["failed"] else "", flush=True)


def ours(model: str, forms: list[str], given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Measure ours, in each of its ways."""
    found = []
    for way in OURS:
        home = folder / f"{model}-{OURS.index(way)}"
        release(home, models.fitted(model), models.table()[0], log=way != OURS[0], challengers=CHALLENGERS.get(way, 0))
        port = peers.free_port()
        command = [sys.executable, "-m", "perenne", "serve", "m", "--offline", "--port", str(port)]
        environment = {**os.environ, "PERENNE_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        path = "/v2/models/m/infer"
        with started(command, environment, path, "v2", port, folder / "perenne.log") as running:
            hang(running, HANGS.get(way, ""), signal.SIGSTOP)
            cells = cells_of(forms if way == OURS[1] else forms[:1], given)
            found += measure(running, f"perenne, {way}", model, path, cells, given.seconds, folder)
            hang(running, HANGS.get(way, ""), signal.SIGCONT)
    return found


def hang(running: Running, kind: str, order: signal.Signals) -> None:
    """Stop our processes of a kind, or let them go on."""
    for process in running.family() if kind else ():
        if kind in process.cmdline():
            process.send_signal(order)


def theirs(peer: peers.Peer, model: str, given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Measure one of the others."""
    python = peers.interpreter(peer, given.python, given.environments)
    place = folder / f"{peer.name}-{model}"
    subprocess.run([python, str(Path(models.__file__)), str(place), model], check=True, capture_output=True)
    port = peers.free_port()
    command = peer.command(python, place, port)
    with started(command, peers.environment(python, place), peer.path, peer.form, port, folder / f"{peer.name}.log") as running:
        running.settle()
        return measure(running, peer.name, model, peer.path, cells_of([peer.form], given), given.seconds, folder)


def cells_of(forms: list[str], given: argparse.Namespace) -> list[Cell]:
    """Return what is asked of a server."""
    return [Cell(form, rows, many) for form in forms for rows in given.rows for many in given.concurrency]


def ratios(rows: list[dict[str, Any]]) -> None:
    """Print how many times our requests a second each peer's are, with a log, where both were asked alike."""
    own = {
        (row["model"], row["rows"], row["concurrency"]): row
        for row in rows
        if row["server"] == "perenne, log" and row["form"] == "v2"
    }
    for row in rows:
        mine = own.get((row["model"], row["rows"], row["concurrency"]))
        if mine is None or row["server"].startswith("perenne"):
            continue
        what = f"perenne / {row['server']:<9} {row['model']}, {row['rows']} rows, {row['concurrency']} connections"
        print(f"{what:<60} {mine['rps'] / row['rps']:>6.1f} x, CPU {row['cpu_us'] / mine['cpu_us']:>6.1f} x")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--models", default="")
    parser.add_argument("--servers", default="")
    parser.add_argument("--python", default="")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "perenne-benchmarks")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.python = dict(item.split("=", 1) for item in given.python.split(",") if item)
    given.rows, given.concurrency, given.seconds = ([1, 100], [1, 32, 256], 5.0) if given.full else ([1], [32], 1.5)
    wanted = (given.models or (",".join(models.KINDS) if given.full else "logistic")).split(",")
    servers = given.servers.split(",") if given.servers else ["perenne", *(peer.name for peer in peers.PEERS)]
    rows: list[dict[str, Any]] = []
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name:
        for model in wanted:
            if "perenne" in servers:
                rows += ours(model, ["v2", "v2-binary", "mlflow"] if given.full else ["v2"], given, Path(name))
            for peer in peers.PEERS:
                if peer.name in servers:
                    try:
                        rows += theirs(peer, model, given, Path(name))
                    except (RuntimeError, subprocess.CalledProcessError) as error:
                        print(f"{peer.name:<30} {model:<9} not measured: {str(error)[-300:]}", flush=True)
    ratios(rows)
    print(f"load of the machine when it began: {busy:.1f} on {os.cpu_count()} cores")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
