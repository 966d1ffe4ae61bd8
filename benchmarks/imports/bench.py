"""What it costs to be there: start of the command line, import of parts, memory of `perenne up` while nothing happens.

    python benchmarks/imports/bench.py [--repeats 15]

Every time is the median of fresh processes whose bytecode is compiled; memory is read from `/proc` (Linux). PSS shares what
several processes map, such as libraries, among them, so its sum is what the processes take together.
"""

import argparse
import compileall
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IDLE_SECONDS = 5.0
LIMITS = {"`import perenne`": "50 ms", "`perenne --version`, as a process": "100 ms"}
IMPORTS = {
    "`import perenne`": "import perenne",
    "every name of `perenne`": "import perenne; [getattr(perenne, name) for name in perenne.__all__]",
    "engine of pipelines": "from perenne.pipelines import Engine",
    "workspace: database and objects": "import perenne.storage.workspace",
    "model runtime": "from perenne.inference import load",
}


def environment() -> dict[str, str]:
    """Return the environment of the processes that are measured."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def command_times(command: list[str], repeats: int) -> tuple[float, float]:
    """Return wall and processor milliseconds of a command, medians of fresh processes."""
    walls, used = [], []
    for _ in range(repeats + 1):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1e3 * statistics.median(walls[1:]), 1e3 * statistics.median(used[1:])


def import_times(statement: str, repeats: int) -> tuple[float, float]:
    """Return wall and processor milliseconds of a statement in a fresh interpreter, its own start left out."""
    program = (
        "import time; w, c = time.perf_counter(), time.process_time()\n"
        f"{statement}\n"
        "print(time.perf_counter() - w, time.process_time() - c)"
    )
    found = []
    for _ in range(repeats + 1):
        done = subprocess.run([sys.executable, "-c", program], env=environment(), check=True, capture_output=True, text=True)
        found.append([1e3 * float(text) for text in done.stdout.split()])
    wall, used = (statistics.median(column) for column in zip(*found[1:], strict=True))
    return wall, used


def start_rows(repeats: int) -> list[list[str]]:
    """Time the starts."""
    found = {
        "the interpreter alone, as a process": command_times([sys.executable, "-c", "pass"], repeats),
        "`perenne --version`, as a process": command_times([sys.executable, "-m", "perenne", "--version"], repeats),
        **{name: import_times(statement, repeats) for name, statement in IMPORTS.items()},
    }
    return [[name, *map(milliseconds, times), LIMITS.get(name, "")] for name, times in found.items()]


def milliseconds(value: float) -> str:
    return f"{value:.0f} ms"


def memory_rows() -> list[list[str]]:
    """Start `perenne up` on an empty home, let it idle, and read the memory of its processes."""
    with tempfile.TemporaryDirectory(prefix="perenne-bench-") as folder:
        command = [sys.executable, "-m", "perenne", "up", "--port", "0", "--serve-port", "0"]
        process = subprocess.Popen(
            command, env={**environment(), "PERENNE_HOME": folder}, cwd=folder, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_until_healthy(process)
            time.sleep(IDLE_SECONDS)
            rows = [memory_row(pid) for pid in family(process.pid)]
            used = cpu_seconds(process.pid)
            time.sleep(IDLE_SECONDS)
            idle = (cpu_seconds(process.pid) - used) / IDLE_SECONDS
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    total = ["all together", *(f"{sum(float(row[place].split()[0]) for row in rows):.0f} MB" for place in (1, 2))]
    return [*rows, [*total, "200 MB"], ["processor while idle", f"{100 * idle:.1f} %", "", ""]]


def wait_until_healthy(process: "subprocess.Popen[str]") -> None:
    """Read the address the control plane announces, and ask it."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            break
    else:
        raise RuntimeError(f"perenne up ended with status {process.wait()}")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{found[0]}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("perenne up does not answer")


def family(pid: int) -> list[int]:
    """Return a process and everything below it."""
    everyone = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    parents = {member: int(fields[1]) for member in everyone if (fields := stat(member))}
    found = [pid]
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pid: int) -> float:
    """Return the processor seconds a process and everything below it have used."""
    ticks = sum(int(fields[11]) + int(fields[12]) for member in family(pid) if (fields := stat(member)))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_row(pid: int) -> list[str]:
    """Return a process's program, resident and proportional memory."""
    program = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    name = " ".join(Path(part).name for part in program[:4] if part)
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        text = Path(f"/proc/{pid}/status").read_text().replace("VmRSS", "Rss")
    sizes = {key: int(value) / 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return [f"`{name}`", f"{sizes['Rss']:.0f} MB", f"{sizes.get('Pss', sizes['Rss']):.0f} MB", ""]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "src", quiet=2)
    print(table(["start", "wall", "CPU", "target, wall"], start_rows(options.repeats)))
    print()
    print(table(["process", "RSS", "PSS", "target"], memory_rows()))
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
