"""The models of the comparison, their rows, and how each of those compared is asked; run with one's own Python it trains them.

    python models.py FOLDER logistic|forest|xgboost

It leaves `model.joblib` in the folder, trained with the libraries of whoever is to load it: everybody serves the same estimator
on the same rows. Needs numpy, scikit-learn and, for one of them, xgboost.
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

FEATURES, ROWS = 30, 4_000
NAMES = [f"f{place}" for place in range(FEATURES)]
KINDS = ("logistic", "forest", "xgboost")


def table() -> tuple[Any, Any]:
    """Return rows and labels, the same every time."""
    draw = np.random.default_rng(7)
    x = draw.normal(size=(ROWS, FEATURES))
    y = (x[:, :5].sum(axis=1) + x[:, 0] * x[:, 1] + draw.normal(size=ROWS) > 0).astype(int)
    return x, y


def fitted(kind: str) -> Any:
    """Train a model."""
    x, y = table()
    if kind == "logistic":
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(200, max_depth=10, random_state=1, n_jobs=1).fit(x, y)
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=200, max_depth=6, n_jobs=1, random_state=1).fit(x, y)


def bodies(form: str, rows: int, count: int = 500) -> list[tuple[dict[str, str], bytes]]:
    """Return the headers and bodies of requests of some rows each, no two alike, in the words of a protocol."""
    x = table()[0]
    starts = [(place * rows) % (ROWS - rows + 1) for place in range(min(count, max(20, count // rows)))]
    return [_body(form, x[start : start + rows]) for start in starts]


def _body(form: str, x: Any) -> tuple[dict[str, str], bytes]:
    values, plain = x.tolist(), {"content-type": "application/json"}
    flat = [value for row in values for value in row]
    tensor: dict[str, Any] = {"name": "x", "shape": list(x.shape), "datatype": "FP64"}
    if form == "v2":
        return plain, json.dumps({"inputs": [{**tensor, "data": flat}]}).encode()
    if form == "v2-binary":
        head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": x.nbytes}}]}).encode()
        sizes = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
        return sizes, head + struct.pack(f"<{x.size}d", *flat)
    if form == "mlflow":
        return plain, json.dumps({"dataframe_split": {"columns": NAMES, "data": values}}).encode()
    return plain, json.dumps({"input": values}).encode()


def main() -> None:
    """Train one and leave it."""
    import joblib

    folder, kind = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(fitted(kind), folder / "model.joblib")


if __name__ == "__main__":
    main()
