"""Profiling 200,000 rows of 30 columns with the page, beside ydata-profiling, full and minimal.

    python benchmarks/data/profile.py --peer PEER/bin/python [--rows 200000] [--repeats 5] [--full-repeats 1]

The peer is an environment of its own: `python -m venv PEER && PEER/bin/pip install --require-hashes -r
requirements/ydata-profiling.lock && PEER/bin/python -m compileall -q PEER/lib`. Each run is a process of its own, from its start
to the page on the disk, imports included; both read the same file of Parquet and have compiled bytecode. CPU seconds are of all
threads and children; memory is the peak of the process. Figures are medians. `--large` profiles a file of that many rows in
batches, to show that memory stays.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SRC = str(Path(__file__).resolve().parents[2] / "src")

METER = """
import json, resource, sys, time
began = time.perf_counter()

def told(page):
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    cpu = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
              for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print("\\n" + json.dumps({"wall": time.perf_counter() - began, "cpu": cpu, "memory": peak, "page": page}))
"""

OURS = """
from perenne.data.explore.page import profile_page
from perenne.data.large import is_large, profile_file
from perenne.data.profiles import profile_table
from perenne.data.sources import read_source
from pathlib import Path
path, out = map(Path, sys.argv[1:3])
found = profile_file(path, target="y") if is_large(path) else profile_table(read_source(path), target="y")
out.write_text(profile_page(found), encoding="utf-8")
told(out.stat().st_size)
"""

PEER = """
import os
import pandas as pd
from ydata_profiling import ProfileReport
path, out = sys.argv[1:3]
ProfileReport(pd.read_parquet(path), minimal=MINIMAL, progress_bar=False).to_file(out)
told(os.path.getsize(out))
"""

MAKE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
rows, path = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(1)
writer = None
for start in range(0, rows, 500_000):
    n = min(500_000, rows - start)
    c = {f"f{i}": rng.normal(size=n) * (i + 1) for i in range(12)}
    c |= {f"i{i}": rng.integers(0, 10 ** (i + 1), n) for i in range(6)}
    c |= {f"c{i}": np.array([f"level_{k}" for k in range(3 ** (i + 1))])[rng.integers(0, 3 ** (i + 1), n)] for i in range(7)}
    c["name"] = np.array([f"N{k:06d}" for k in rng.integers(0, 100_000, n)])
    c["t"] = np.datetime64("2020-01-01", "us") + rng.integers(0, 4 * 365 * 86400 * 10**6, n).astype("timedelta64[us]")
    c["d"] = np.datetime64("2020-01-01", "us") + (rng.integers(0, 1400, n) * 86400 * 10**6).astype("timedelta64[us]")
    c["b"] = rng.random(n) < 0.3
    c["y"] = (c["f0"] + rng.normal(size=n) > 0).astype(np.int64)
    c["f3"] = pa.array(c["f3"], mask=rng.random(n) < 0.1)
    c["c2"] = pa.array(c["c2"], mask=rng.random(n) < 0.05)
    table = pa.table(c)
    writer = writer or pq.ParquetWriter(path, table.schema)
    writer.write_table(table, row_group_size=100_000)
writer.close()
"""


def run(python: str, program: str, *arguments: str) -> dict[str, float]:
    """Run a program in a process of its own and return what it measured."""
    environment = os.environ | {"PYTHONPATH": SRC if python == sys.executable else ""}
    done = subprocess.run(
        [python, "-c", METER + program, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(item[name] for item in runs) for name in runs[0]}


def line(name: str, found: dict[str, float], base: dict[str, float] | None = None) -> str:
    """Return a row of the table, with how many times more it takes than ours."""
    times = "" if base is None else f"{found['cpu'] / base['cpu']:.1f}×"
    figures = f"{found['cpu']:.2f} | {found['wall']:.2f} | {found['memory']:,.0f} | {found['page'] / 1e6:.2f}"
    return f"| {name} | {figures} | {times} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the peer's Python")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--full-repeats", type=int, default=1)
    parser.add_argument("--large", type=int, default=0, help="also profile a file of so many rows in batches")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, out = f"{folder}/rows.parquet", f"{folder}/page.html"
        subprocess.run([sys.executable, "-c", MAKE, str(asked.rows), path], check=True)
        print(f"{asked.rows:,} rows, 30 columns, {os.path.getsize(path) / 1e6:.0f} MB of Parquet\n")
        print("| | CPU s | wall s | peak MiB | page MB | CPU beside ours |\n| --- | --- | --- | --- | --- | --- |")
        ours = median([run(sys.executable, OURS, path, out) for _ in range(asked.repeats)])
        print(line("perenne", ours), flush=True)
        if asked.peer:
            for name, minimal, repeats in (("minimal", True, asked.repeats), ("full", False, asked.full_repeats)):
                program = PEER.replace("MINIMAL", str(minimal))
                found = median([run(asked.peer, program, path, out) for _ in range(repeats)])
                print(line(f"ydata-profiling, {name}", found, ours), flush=True)
        if asked.large:
            subprocess.run([sys.executable, "-c", MAKE, str(asked.large), path], check=True)
            found = run(sys.executable, OURS, path, out)
            print(line(f"perenne, {asked.large:,} rows ({os.path.getsize(path) / 1e6:,.0f} MB) in batches", found), flush=True)


if __name__ == "__main__":
    main()
