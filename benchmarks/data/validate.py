"""Validating 5 million rows of 6 columns by 7 rules, four of them broken in 500 rows each, beside Great Expectations.

    python benchmarks/data/validate.py --peer PEER/bin/python [--rows 5000000] [--repeats 5]

The peer is an environment of its own: `python -m venv PEER && PEER/bin/pip install --require-hashes -r
requirements/great-expectations.lock`. Each run is a process of its own that reads the same file of Parquet; imports are not
counted, reading is. Both must find every broken row. CPU seconds are of all threads; memory is the peak of the process beyond
what it held after its imports. Figures are medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SRC = str(Path(__file__).resolve().parents[2] / "src")
BROKEN = 500

METER = """
import json, resource, sys, time

def peak():
    # What the kernel counts for a process is inherited from the one that started it; this is not.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

def cpu():
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

def measure(work, path):
    before, used, began = peak(), cpu(), time.perf_counter()
    found = work(path)
    told = {"wall": time.perf_counter() - began, "cpu": cpu() - used, "memory": peak() - before, "found": found}
    print("\\n" + json.dumps(told))
"""

OURS = """
from perenne.data.validation.checking import validate
from perenne.data.validation.opening import file_rows
from perenne.data.validation.schema import read_schema
import duckdb, pyarrow.parquet

SCHEMA = '''
table: {}
columns:
  id: {type: int64, nullable: false, unique: true}
  age: {type: int64, min: 0, max: 120}
  x: {type: float64, null_max: 0.01}
  score: {type: float64, min: 0, max: 1}
  state: {type: string, domain: [MA, NY, CA, TX]}
  zip: {type: string, regex: '^[0-9]{5}$'}
'''

def work(path):
    schema = read_schema(SCHEMA)
    with file_rows(path, schema) as rows:
        return {item.id: item.count for item in validate(rows, schema)}

measure(work, sys.argv[1])
"""

THEIRS = """
import os
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import warnings
warnings.simplefilter("ignore")
import pandas as pd
import pyarrow.parquet
import great_expectations as gx
import great_expectations.expectations as gxe

def work(path):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(gx.ExpectationSuite(name="s", expectations=[
        gxe.ExpectColumnValuesToNotBeNull(column="id"),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToBeBetween(column="age", min_value=0, max_value=120),
        gxe.ExpectColumnValuesToNotBeNull(column="x", mostly=0.99),
        gxe.ExpectColumnValuesToBeBetween(column="score", min_value=0, max_value=1),
        gxe.ExpectColumnValuesToBeInSet(column="state", value_set=["MA", "NY", "CA", "TX"]),
        gxe.ExpectColumnValuesToMatchRegex(column="zip", regex="^[0-9]{5}$"),
    ]))
    check = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))
    done = check.run(batch_parameters={"dataframe": pd.read_parquet(path)})
    return {f"{item.expectation_config.kwargs['column']}.{item.expectation_config.type}": item.result["unexpected_count"]
            for item in done.results if not item.success}

measure(work, sys.argv[1])
"""


def write_rows(path: Path, rows: int) -> None:
    """Write the file: the same rows each time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    bad = random.choice(np.arange(1, rows), 4 * BROKEN, replace=False).reshape(4, BROKEN)
    identity, age = np.arange(rows), random.integers(0, 100, rows)
    state = random.choice(np.array(["MA", "NY", "CA", "TX"], object), rows)
    code = np.char.zfill(random.integers(0, 99_999, rows).astype(str), 5).astype(object)
    identity[bad[0]], age[bad[1]], state[bad[2]], code[bad[3]] = 0, 200, "ZZ", "x"
    texts = {"state": pa.array(state, pa.string()), "zip": pa.array(code, pa.string())}
    numbers = {"id": identity, "age": age, "x": random.normal(size=rows), "score": random.random(rows)}
    pq.write_table(pa.table({**numbers, **texts}), path)


def run(python: str, program: str, path: Path, **environment: str) -> dict[str, object]:
    """Measure one run in a process of its own."""
    done = subprocess.run(
        [python, "-c", METER + program, str(path)], capture_output=True, text=True, check=False, env=environment or None
    )
    if done.returncode:
        sys.exit(done.stderr)
    told: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def main() -> None:
    """Measure both, one after the other in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="The Python of an environment with Great Expectations.")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    figures: dict[str, list[dict[str, object]]] = {"perenne": [], **({"Great Expectations": []} if wanted.peer else {})}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_rows(path, wanted.rows)
        for repeat in range(wanted.repeats + 1):
            ours = run(sys.executable, OURS, path, PYTHONPATH=SRC)
            theirs = run(wanted.peer, THEIRS, path) if wanted.peer else None
            if repeat:  # the first one compiles what is not compiled yet
                figures["perenne"].append(ours)
                figures.get("Great Expectations", []).extend([theirs] if theirs else [])
        print(f"{wanted.rows:,} rows, {path.stat().st_size >> 20} MiB; medians of {wanted.repeats}")
    for name, runs in figures.items():
        median = {key: statistics.median(float(str(one[key])) for one in runs) for key in ("wall", "cpu", "memory")}
        print(f"{name:20} wall {median['wall']:6.2f} s   CPU {median['cpu']:6.2f} s   memory {median['memory']:6.0f} MiB more")
        print(f"{'':20} found {runs[0]['found']}")
    if wanted.peer:
        cpu = [statistics.median(float(str(one["cpu"])) for one in runs) for runs in figures.values()]
        print(f"CPU: {cpu[1] / cpu[0]:.1f} times less")


if __name__ == "__main__":
    main()
