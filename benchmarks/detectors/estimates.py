"""Accuracy and ROC area estimated without labels, beside NannyML's CBPE on its own two data sets, in chunks of 5,000 rows.

    python benchmarks/detectors/estimates.py [--python NANNYML/bin/python]

Both learn from the reference period, which has labels, and estimate each chunk of the period after it; what came true is known.
The figures are mean absolute errors. Ours sees the counts of 256 score bins, NannyML the rows. The environment of the peer is
made from `requirements/monitoring-nannyml.lock` on the first call, or given.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from perenne.stats.cells import Reference
from perenne.stats.columns import Field, FieldKind, Task
from perenne.stats.performance import estimate
from perenne.stats.profile import Profile

CHUNK = 5_000
PEER = """
import json, sys
import nannyml as nml
found = {}
for name, load, truth, probability, answer in (
    ("car loan, synthetic", nml.load_synthetic_car_loan_dataset, "repaid", "y_pred_proba", "y_pred"),
    ("employment, real", nml.load_us_census_ma_employment_data, "employed", "predicted_probability", "prediction"),
):
    reference, analysis, targets = load()
    analysis = analysis.merge(targets, on="id") if "id" in targets.columns else analysis.join(targets[[truth]])
    estimator = nml.CBPE(problem_type="classification_binary", y_true=truth, y_pred_proba=probability, y_pred=answer,
                         metrics=["accuracy", "roc_auc"], chunk_size=5000)
    estimator.fit(reference)
    frame = estimator.estimate(analysis).filter(period="analysis").to_df()
    found[name] = {metric: frame[(metric, "value")].tolist() for metric in ("accuracy", "roc_auc")}
    for part, rows in (("reference", reference), ("analysis", analysis)):
        kept = rows[[probability, truth, answer]].rename(columns={probability: "score", truth: "label", answer: "answer"})
        kept = kept.astype(float)
        kept.to_parquet(f"{sys.argv[1]}/{name}-{part}.parquet")
json.dump(found, open(f"{sys.argv[1]}/estimates.json", "w"))
"""


Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def columns(path: Path) -> Rows:
    """Return scores, labels and answers."""
    table = pq.read_table(path)
    return table["score"].to_numpy(), table["label"].to_numpy().astype(int), table["answer"].to_numpy()


def realised(scores: np.ndarray, labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Return what came true in a chunk."""
    return {"accuracy": float((answers == labels).mean()), "roc_auc": float(roc_auc_score(labels, scores))}


def ours(reference: Rows, chunks: list[Rows]) -> list[dict[str, float]]:
    """Estimate every chunk from its counts."""
    scores, labels, _ = reference
    given = {"x": np.zeros(len(scores))}
    fields = (Field("x", FieldKind.NUMBER),)
    fitted = Reference.fit(given, fields, scores=scores, labels=labels, task=Task.BINARY, classes=("no", "yes"))
    assert fitted.calibration is not None
    found = []
    for scored, _, _ in chunks:
        profile = Profile.empty(fitted)
        profile.add({"x": np.zeros(len(scored))}, None, scored)
        found.append({name: figure.value for name, figure in estimate(fitted.calibration, profile).items()})
    return found


def main() -> None:
    """Run and print a table."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--python", help="an interpreter that has NannyML")
    given.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "perenne-benchmarks")
    options = given.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from benchmarks.monitoring.report import interpreter

    python = options.python or interpreter("nannyml", {}, options.peers)
    print("| data | metric | ours, from counts | NannyML, from rows | difference |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        quiet = {**os.environ, "NML_DISABLE_USER_ANALYTICS": "1", "PYTHONPATH": ""}
        subprocess.run([python, "-c", PEER, folder], check=True, env=quiet, cwd=folder, capture_output=True)
        for name, theirs in json.loads((Path(folder) / "estimates.json").read_text()).items():
            reference, analysis = (columns(Path(folder) / f"{name}-{part}.parquet") for part in ("reference", "analysis"))
            count = len(theirs["accuracy"])
            bounds = [(start * CHUNK, (start + 1) * CHUNK if start + 1 < count else len(analysis[0])) for start in range(count)]
            first, second, third = analysis
            chunks = [(first[start:end], second[start:end], third[start:end]) for start, end in bounds]
            true, mine = [realised(*chunk) for chunk in chunks], ours(reference, chunks)
            for metric in ("accuracy", "roc_auc"):
                errors = [np.mean([abs(found[metric] - truth[metric]) for found, truth in zip(mine, true, strict=True)])]
                errors.append(np.mean([abs(v - truth[metric]) for v, truth in zip(theirs[metric], true, strict=True)]))
                label = f"{name}, {count} chunks"
                print(f"| {label} | {metric} | {errors[0]:.4f} | {errors[1]:.4f} | {errors[0] - errors[1]:+.4f} |", flush=True)


if __name__ == "__main__":
    main()
