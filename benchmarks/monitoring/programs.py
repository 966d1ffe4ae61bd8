"""What each engine runs to compare two files of Parquet by column, with its own defaults; every one in its own environment.

A program reads both files, then is timed: CPU seconds of all threads and children, wall seconds, peak memory of the process.
"""

METER = """
import json, resource, sys, time

def cpu():
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

def told(began, used, drifted):
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print("\\n" + json.dumps({"wall": time.perf_counter() - began, "cpu": cpu() - used, "memory": peak, "drifted": drifted}))

reference, window = sys.argv[1:3]
"""

OURS = """
import pyarrow.parquet as pq
import perenne.stats.report
read = lambda path: pq.read_table(path, read_dictionary=[f"c{i}" for i in range(10)]).combine_chunks()
a, b = read(reference), read(window)
began, used = time.perf_counter(), cpu()
verdict = perenne.stats.report.compare_tables(a, b)
told(began, used, sum(feature.state == "alarm" for feature in verdict.features))
"""

EVIDENTLY = """
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
a, b = pd.read_parquet(reference), pd.read_parquet(window)
began, used = time.perf_counter(), cpu()
found = Report([DataDriftPreset()]).run(b, a).dict()
told(began, used, next(metric["value"]["count"] for metric in found["metrics"] if "DriftedColumnsCount" in str(metric)))
"""

NANNYML = """
import pandas as pd
import nannyml as nml
a, b = pd.read_parquet(reference), pd.read_parquet(window)
began, used = time.perf_counter(), cpu()
calculator = nml.UnivariateDriftCalculator(
    column_names=list(a.columns), continuous_methods=["jensen_shannon"], categorical_methods=["jensen_shannon"], chunk_number=10)
calculator.fit(a)
found = calculator.calculate(b)
frame = found.filter(period="analysis").to_df()
told(began, used, sum(bool(frame[column].any()) for column in frame.columns if column[-1] == "alert"))
"""

WHYLOGS = """
import pandas as pd
import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores
a, b = pd.read_parquet(reference), pd.read_parquet(window)
began, used = time.perf_counter(), cpu()
views = [why.log(side).profile().view() for side in (a, b)]
scores = calculate_drift_scores(target_view=views[1], reference_view=views[0], with_thresholds=True)
told(began, used, sum(bool(score) and score["drift_category"] == "DRIFT" for score in scores.values()))
"""

MAKE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
rows, folder = int(sys.argv[1]), sys.argv[2]
for name, seed, shift in (("reference", 1, 0.0), ("window", 2, 0.3)):
    rng = np.random.default_rng(seed)
    table = {}
    for i in range(40):
        kind = i % 4
        draw = (rng.normal(0, 1, rows), rng.lognormal(0, 1, rows), rng.gamma(2, 3, rows), rng.normal(100, 15, rows))[kind]
        table[f"x{i}"] = draw + (shift * draw.std() if i < 5 else 0)
    for i in range(10):
        table[f"c{i}"] = pa.array(np.array([f"level {k}" for k in range(4 + 3 * i)], object)[rng.integers(0, 4 + 3 * i, rows)])
    pq.write_table(pa.table(table), f"{folder}/{name}.parquet")
"""
