"""What change costs those who ask: a release taken over, a worker killed, all workers replaced, while eight callers keep asking.

    python benchmarks/serving/recovery.py [--seconds 4] [--repeats 8]

A linear model of three numbers, two workers, one row a request; four callers keep their connection, four take a new one each
time. The callers are a process of their own. Latencies are those of requests under way within half a second of a change.
"""

import argparse
import http.client
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

from perenne.core import json as wire  # noqa: E402
from perenne.core.hashing import digest_bytes  # noqa: E402
from perenne.inference import Encoder, Signature, package  # noqa: E402
from perenne.serving import Deployment, ModelServer, Variant  # noqa: E402
from perenne.serving.model import Release, Role  # noqa: E402
from perenne.serving.releases import CURRENT, VERSIONS  # noqa: E402
from perenne.stats.columns import Field, FieldKind, Task, take  # noqa: E402
from perenne.storage.files import write_atomically  # noqa: E402

FIELDS = tuple(Field(name, FieldKind.NUMBER) for name in "abc")
BODY = json.dumps({"inputs": [{"name": name, "shape": [1], "datatype": "FP64", "data": [0.5]} for name in "abc"]}).encode()
KEEPING = SHORT = 4
NEAR = 0.5


class Asked(NamedTuple):
    """A request: when it began and ended, and whether it was answered with 200."""

    start: float
    end: float
    answered: bool


def make_release(folder: Path) -> Callable[[int], None]:
    """Package two versions; return what releases one of them, as the next generation."""
    from sklearn.linear_model import LinearRegression

    draw = np.random.default_rng(1)
    columns = {name: draw.normal(size=300) for name in "abc"}
    variants = []
    for number in (1, 2):
        y = 100.0 * number + columns["a"]
        encoder = Encoder.fit(columns, y, FIELDS, Task.REGRESSION, 0)
        estimator = LinearRegression().fit(encoder.transform(columns), y)
        tree = digest_bytes(str(number).encode())
        signature = Signature(FIELDS, Task.REGRESSION, (), "cost")
        example = take(columns, slice(0, 5))
        target = folder / VERSIONS / tree
        package(target, signature=signature, encoder=encoder, estimator=estimator, sample=columns, example=example)
        variants.append(Variant("champion", Role.CHAMPION, f"cost@{number}", tree))
    generation = 0

    def release(number: int) -> None:
        nonlocal generation
        generation += 1
        deployment = Deployment(name="cost", project="bench", generation=generation, variants=(variants[number - 1],))
        write_atomically(folder / CURRENT, wire.encode(Release(deployment=deployment)))

    return release


def load(port: int) -> None:
    """Keep asking until stdin closes, then print every request: start, end, answered."""
    done = threading.Event()
    found: list[Asked] = []

    def ask(keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not done.is_set():
            start = time.monotonic()
            try:
                connection.request("POST", "/v2/models/cost/infer", BODY)
                response = connection.getresponse()
                response.read()
                answered = response.status == 200
            except (OSError, http.client.HTTPException):
                answered = False
                connection.close()
            found.append(Asked(start, time.monotonic(), answered))
            if not keeps:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=ask, args=(place < KEEPING,)) for place in range(KEEPING + SHORT)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    print(json.dumps(found))


class Measured(NamedTuple):
    """What a change did: its moments, how long it took each time, and every request asked meanwhile."""

    moments: list[float]
    took: list[float]
    asked: list[Asked]

    def row(self, name: str) -> list[str]:
        """Write it as a row of the table."""
        near = [
            one
            for one in self.asked
            if not self.moments or any(one.end >= moment - NEAR and one.start <= moment + NEAR for moment in self.moments)
        ]
        waits = [1e3 * (one.end - one.start) for one in near if one.answered]
        p50, p99 = np.percentile(waits, [50, 99])
        lost = sum(not one.answered for one in self.asked)
        took = f"{np.median(self.took):.2f} s, at most {max(self.took):.2f} s" if self.took else ""
        figures = [f"{len(self.asked):,}", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{max(waits):.0f} ms", str(lost)]
        return [name, str(len(self.moments) or ""), took, *figures]


def measure(server: ModelServer, change: Callable[[], float] | None, repeats: int, seconds: float) -> Measured:
    """Change something several times under load."""
    command = [sys.executable, __file__, "--load", str(server.port)]
    moments, took = [], []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as callers:
        time.sleep(1.0)
        if change is None:
            time.sleep(seconds)
        for _ in range(repeats if change else 0):
            moments.append(time.monotonic())
            took.append(change() if change else 0.0)
            time.sleep(2 * NEAR)
        printed, _ = callers.communicate("")
    return Measured(moments, took, [Asked(*one) for one in json.loads(printed)])


def changes(server: ModelServer, release: Callable[[int], None]) -> dict[str, Callable[[], float]]:
    """Return what can be changed; each returns how long it took until all is well again."""
    turn = 0

    def reload() -> float:
        nonlocal turn
        turn += 1
        start = time.monotonic()
        release(1 + turn % 2)
        server.wait_ready()
        return time.monotonic() - start

    def kill(name: str) -> float:
        start, pid = time.monotonic(), server.pids()[name]
        os.kill(pid, signal.SIGKILL)
        while pid in server.pids().values():
            time.sleep(0.005)
        server.wait_ready()
        return time.monotonic() - start

    def replace() -> float:
        start = time.monotonic()
        server.restart_workers()
        return time.monotonic() - start

    return {
        "a release taken over": reload,
        "one of two workers killed": lambda: kill(min(server.pids(), key=lambda name: name == "observer")),
        "all workers replaced": replace,
        "the observer killed": lambda: kill("observer"),
    }


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.load)
        return
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name:
        folder = Path(name)
        release = make_release(folder / "release")
        release(1)
        with ModelServer(folder / "release", folder / "logs", folder / "spool", workers=2) as server:
            server.wait_ready()
            rows = [measure(server, None, 0, options.seconds).row("nothing")]
            for label, change in changes(server, release).items():
                rows.append(measure(server, change, options.repeats, options.seconds).row(label))
    head = ["change", "times", "until all is well", "requests", "p50 near it", "p99 near it", "longest", "not answered"]
    print(table(head, rows))
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
