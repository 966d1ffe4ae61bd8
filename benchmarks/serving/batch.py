"""Batch scoring beside `mlflow models predict`: the same logistic regression over the same file of CSV.

Run: `python benchmarks/serving/batch.py --mlflow PATH-TO-PYTHON-WITH-MLFLOW [--rows 500000]`. Both are whole commands, start and
writing included. mlflow's command takes CSV or JSON, and answers a list in JSON.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

FEATURES = 30

MLFLOW = """
import sys
import mlflow, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import pandas as pd
draw = np.random.default_rng(0)
x = pd.DataFrame(draw.normal(size=(2000, 30)), columns=[f"f{i}" for i in range(30)])
y = (x.sum(axis=1) + draw.normal(size=2000) > 0).astype(int)
mlflow.sklearn.save_model(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), sys.argv[1], pip_requirements=[])
"""


class Cost(NamedTuple):
    """What a command cost: seconds, seconds of all processors, and the most memory of one process in MB."""

    wall: float
    cpu: float
    memory: float


def package(folder: Path) -> None:
    """Fit the same model and package it."""
    from sklearn.linear_model import LogisticRegression

    from perenne.inference import Encoder, Signature
    from perenne.inference import package as package_model
    from perenne.stats.columns import Field, FieldKind, Task, take

    draw = np.random.default_rng(0)
    columns = {f"f{i}": draw.normal(size=2_000) for i in range(FEATURES)}
    fields = tuple(Field(name, FieldKind.NUMBER) for name in columns)
    y = (sum(columns.values()) + draw.normal(size=2_000) > 0).astype(int)
    encoder = Encoder.fit(columns, y, fields, Task.BINARY, 2)
    estimator = LogisticRegression().fit(encoder.transform(columns), y)
    signature = Signature(fields, Task.BINARY, (0, 1), "y")
    package_model(
        folder, signature=signature, encoder=encoder, estimator=estimator, sample=columns, example=take(columns, slice(0, 5))
    )


def write_rows(path: Path, rows: int) -> None:
    """Write the rows to be scored."""
    import pyarrow as pa
    from pyarrow import csv

    draw = np.random.default_rng(1)
    csv.write_csv(pa.table({f"f{i}": draw.normal(size=rows).round(6) for i in range(FEATURES)}), path)


def run(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder and tell what it cost."""
    begun, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command[:6]} failed: {said.decode()[-2_000:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - begun, cpu, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1_024)


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", required=True, help="a python that has mlflow")
    parser.add_argument("--rows", type=int, default=500_000)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.csv", wish.rows)
        package(folder / "package")
        subprocess.run([wish.mlflow, "-c", MLFLOW, str(folder / "theirs")], check=True, capture_output=True)
        theirs = [wish.mlflow, "-m", "mlflow", "models", "predict", "-m", "theirs", "-i", "rows.csv", "-t", "csv"]
        theirs += ["-o", "theirs.json", "--env-manager", "local"]
        ours = [sys.executable, "-m", "perenne", "deploy", "score", "package", "rows.csv", "--replace", "--to"]
        costs = [("ours, to Parquet", run([*ours, "out.parquet"], folder)), ("ours, to CSV", run([*ours, "out.csv"], folder))]
        costs.append(("ours, to CSV, 2 processes", run([*ours, "out2.csv", "--workers", "2"], folder)))
        costs.append(("mlflow models predict", run(theirs, folder)))
        print(f"{wish.rows:,} rows of {FEATURES} numbers in CSV, {os.cpu_count()} cores")
        for label, cost in costs:
            rate = wish.rows / cost.wall
            print(f"{label:28} {cost.wall:7.1f} s  {cost.cpu:7.1f} s CPU  {rate:10,.0f} rows/s  {cost.memory:7.0f} MB (so far)")


if __name__ == "__main__":
    main()
