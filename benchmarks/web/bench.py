"""The page in a real browser: first screen, weight, scrolling, memory and idle CPU; the first screens of MLflow's beside it.

    python benchmarks/web/bench.py [--runs 100000] [--minutes 5] [--peers mlflow] [--environments FOLDER] [--repeats 5]

A lived-in installation is made by the loop, runs like those of MLflow's clients are added in the database, and `perenne up`
serves it. The list of runs is opened as it is, ordered by a metric, filtered and grouped; its columns show metrics and
parameters. Every first screen is opened in a window of its own, with nothing in the browser's cache; it counts as shown when the
first frame with a row of its table has been drawn. Memory is the JavaScript heap after a collection, with something committed
every second. Chromium comes from PATH or PERENNE_CHROMIUM. MLflow gets an environment of its own below FOLDER on the first call,
and as many runs as fit into a minute of logging.
"""

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.tracking.wide import fill
from tests.web.browsers import MISSING, find_chromium
from tests.web.world import make

from perenne.core.config import load_settings
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace

MLFLOW = "mlflow==3.17.2"
FRAMES = 300
IDLE_SECONDS = 20
TICKS = os.sysconf("SC_CLK_TCK")
VIEWPORT = {"width": 1440, "height": 900}

SHOWN = """
(selector) => new Promise((done) => {
  const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
  const look = () => (document.querySelector(selector) ? drawn() : setTimeout(look, 4));
  look();
})
"""
SCROLL = """
async ([selector, frames, step]) => {
  const box = document.querySelector(selector), gaps = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < frames; i++) {
    box.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}
"""


class First(NamedTuple):
    """A first screen: milliseconds until its rows were drawn, bytes that came over the wire, requests."""

    milliseconds: float
    bytes: int
    requests: int


def first_screen(browser: Browser, url: str, selector: str) -> First:
    """Open an address in a fresh window."""
    context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.goto(url, wait_until="commit")
    milliseconds = float(page.evaluate(SHOWN, selector))
    page.wait_for_timeout(500)
    context.close()
    return First(milliseconds, sum(sizes), len(sizes))


def typical(found: list[First]) -> First:
    """Return the medians."""
    return First(statistics.median(item.milliseconds for item in found), found[-1].bytes, found[-1].requests)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it answers, and end it afterwards."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url).status_code < 500:
                    break
            assert time.monotonic() < deadline and process.poll() is None, f"{command[0]} did not start"
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Return what a process has used up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def heap(page: Page) -> float:
    """Return the JavaScript heap in MB, after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    metrics: dict[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(metrics["usedSize"]) / 1e6


def measure_scrolling(page: Page, address: str) -> None:
    """Scroll through the runs, slowly and fast."""
    page.goto(address)
    page.wait_for_selector(".grid-row:not(.waiting)")
    for step in (120, 3_000):
        gaps = sorted(page.evaluate(SCROLL, [".grid", FRAMES, step]))
        late = sum(gap > 25 for gap in gaps) / len(gaps)
        middle, worst = statistics.median(gaps), gaps[int(len(gaps) * 0.99)]
        print(f"scroll {step} px a frame: median {middle:.1f} ms, p99 {worst:.1f} ms, {late:.1%} of frames late")


def measure_life(page: Page, url: str, workspace: Workspace, pid: int, minutes: float) -> None:
    """Leave the first screen open, at first with nothing going on, then with a commit every second."""
    page.goto(url)
    page.wait_for_selector("main tbody tr")
    page.wait_for_timeout(3_000)
    before = cpu_seconds(pid)
    page.wait_for_timeout(IDLE_SECONDS * 1_000)
    print(f"idle CPU of the control plane with a page open: {(cpu_seconds(pid) - before) / IDLE_SECONDS:.2%} of a core")
    began, used, number = heap(page), cpu_seconds(pid), 0
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        number += 1
        workspace.database.write(lambda tx, n=number: add_link(tx, (Kind.RUN, f"bench-{n}"), "used", (Kind.SNAPSHOT, "s")))  # type: ignore[misc]
        page.wait_for_timeout(1_000)
    load = (cpu_seconds(pid) - used) / (minutes * 60)
    print(f"heap: {began:.1f} MB at first, {heap(page):.1f} MB after {minutes:g} minutes with {number} changes; CPU {load:.1%}")


def addresses(url: str, experiment: int) -> dict[str, str]:
    """Return the addresses of the list of runs that are opened."""
    runs = f"{url}/runs?experiment={experiment}"
    return {
        "all runs": f"{url}/runs",
        "runs of an experiment": runs,
        "ordered by a metric": f"{runs}&order=metrics.metric_0+DESC",
        "filtered": f"{runs}&filter=metrics.metric_1+%3E+0.9+AND+params.param_0+%3C+0.5",
        "grouped": f"{runs}&group=params.param_1",
    }


def ours(browser: Browser, runs: int, minutes: float, repeats: int) -> First:
    """Measure our own page."""
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name:
        folder, port = Path(name), free_port()
        make(folder)
        with Workspace(load_settings(folder, {})) as workspace:
            last = "SELECT max(number) FROM run"
            (experiment,) = workspace.database.write(lambda tx: fill(tx, runs, first=tx.scalar(sa.text(last)) + 1))
            url = f"http://127.0.0.1:{port}"
            command = [
                sys.executable,
                "-m",
                "perenne",
                "up",
                "--no-worker",
                "--port",
                str(port),
                "--serve-port",
                str(free_port()),
            ]
            with serving(command, folder, f"{url}/version") as process:
                time.sleep(5)  # what is due in the loop at first
                home = typical([first_screen(browser, url, "main tbody tr") for _ in range(repeats)])
                for name, address in addresses(url, experiment).items():
                    found = typical([first_screen(browser, address, ".grid-row:not(.waiting)") for _ in range(repeats)])
                    show(f"perenne, {name}", found)
                page = browser.new_page(viewport=VIEWPORT)  # type: ignore[arg-type]
                measure_scrolling(page, addresses(url, experiment)["ordered by a metric"])
                measure_life(page, url, workspace, process.pid, minutes)
    return home


def show(name: str, found: First) -> None:
    """Print a line of the table."""
    print(f"{name:<28} {found.milliseconds:7.0f} ms  {found.bytes / 1e3:8.0f} kB  {found.requests:4d} requests", flush=True)


def mlflow(browser: Browser, environments: Path, repeats: int) -> First:
    """Measure MLflow's list of runs; its first screen is the list of experiments, which is lighter than what people work with."""
    place = environments / "mlflow"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", MLFLOW], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(place / "lib")], check=False, stdout=subprocess.DEVNULL)
        (place / "ready").touch()
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as name:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [str(python), "-m", "mlflow", "server", "--port", str(port), "--backend-store-uri", f"sqlite:///{name}/m.db"]
        with serving(command, Path(name), f"{url}/health"):
            end, count = time.monotonic() + 60, 0
            with httpx.Client(base_url=f"{url}/api/2.0/mlflow") as client:
                while time.monotonic() < end and count < 1_000:
                    made = client.post("/runs/create", json={"experiment_id": "0", "run_name": f"run {count}"}).json()
                    identity = made["run"]["info"]["run_id"]
                    metric = {"run_id": identity, "key": "auc", "value": 0.5, "timestamp": 1, "step": 0}
                    client.post("/runs/log-metric", json=metric)
                    count += 1
            address = f"{url}/#/experiments/0/runs"
            selector = "[role=row] a[href*='/runs/'], .ag-row a"
            return typical([first_screen(browser, address, selector) for _ in range(repeats)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--peers", default="mlflow")
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir()) / "perenne-benchmarks")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    found = find_chromium() or sys.exit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--enable-precise-memory-info"])
        show("perenne, first screen", ours(browser, given.runs, given.minutes, given.repeats))
        if "mlflow" in given.peers.split(","):
            show("MLflow, list of runs", mlflow(browser, given.environments, given.repeats))
        browser.close()


if __name__ == "__main__":
    main()
