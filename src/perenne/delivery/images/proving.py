"""Whether a package answers as before under other libraries: asked in an environment of its own, and compared.

Run as a program, it loads a package and answers its example and mixtures of it: `… proving PACKAGE ANSWERS.npz`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne import inference
from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.registry import Evidence, Verdict

TOLERANCE = 1e-5
ROWS = 2_000
EXAMPLE, PARITY = "rebuild: example", "rebuild: parity"
_SECONDS = 600
_SEED = 20_130_101


class Answers(NamedTuple):
    """What a package answered, or why it did not.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        Predictions, scores, or named outputs; empty if it did not answer.
    rows, example : int
        How many rows were answered, and how many of them are the stored example's.
    problem : str
        What went wrong; empty if nothing.
    """

    arrays: dict[str, NDArray[Any]]
    rows: int
    example: int
    problem: str


def prove(package: Path, overlay: Sequence[Path]) -> list[Evidence]:
    """Let a package answer here, and with the libraries of an overlay before those that are here, and compare.

    Returns
    -------
    list of Evidence
        Whether the stored example is answered as it was when the package was made, and whether all rows are answered as here.
    """
    before, after = ask(package, ()), ask(package, overlay)
    if after.problem:
        return [
            Evidence(check=EXAMPLE, verdict=Verdict.FAIL, detail=after.problem),
            Evidence(check=PARITY, verdict=Verdict.UNKNOWN, detail="it does not answer with the new libraries"),
        ]
    example = Evidence(
        check=EXAMPLE,
        verdict=Verdict.PASS if after.example else Verdict.UNKNOWN,
        value=after.example,
        detail=f"{after.example} rows are answered as when it was packaged" if after.example else "no example is stored with it",
    )
    return [example, _compared(before, after)]


def _compared(before: Answers, after: Answers) -> Evidence:
    if before.problem:
        detail = f"it does not answer with the libraries that are here: {before.problem}"
        return Evidence(check=PARITY, verdict=Verdict.UNKNOWN, detail=detail)
    largest = max((difference(before.arrays[name], after.arrays.get(name)) for name in before.arrays), default=float("inf"))
    return Evidence(
        check=PARITY,
        verdict=Verdict.PASS if largest <= TOLERANCE else Verdict.FAIL,
        value=largest if np.isfinite(largest) else None,
        limit=TOLERANCE,
        detail=f"{after.rows} rows answered with the old libraries and with the new ones",
    )


def difference(before: NDArray[Any], after: NDArray[Any] | None) -> float:
    """Return by how much answers differ at most; infinite if labels do, or there are others.

    >>> difference(np.array([1.0, 2.0]), np.array([1.0, 2.5])), difference(np.array(["a"]), np.array(["b"]))
    (0.5, inf)
    """
    if after is None or before.shape != after.shape:
        return float("inf")
    if before.dtype.kind not in "fiub":
        return 0.0 if (before == after).all() else float("inf")
    apart = np.abs(before.astype(np.float64) - after.astype(np.float64))
    same = np.isnan(before.astype(np.float64)) & np.isnan(after.astype(np.float64))
    found = np.where(same, 0.0, apart)
    return float(np.nan_to_num(found, nan=np.inf).max(initial=0.0))


def ask(package: Path, overlay: Sequence[Path]) -> Answers:
    """Let a package answer in a process of its own, with the libraries of an overlay before the others."""
    with tempfile.TemporaryDirectory(prefix="perenne-proof-") as folder:
        target = Path(folder, "answers.npz")
        command = [sys.executable, "-P", "-m", "perenne.delivery.images.proving", str(package), str(target)]
        try:
            run = subprocess.run(command, env=environment(overlay), capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return Answers({}, 0, 0, f"no answer within {_SECONDS} s")
        if run.returncode or not target.is_file():
            lines = run.stderr.strip().splitlines()
            return Answers({}, 0, 0, lines[-1][:300] if lines else f"it ended with {run.returncode}")
        told = json.decode(run.stdout, dict[str, int], "answers")
        with np.load(target, allow_pickle=False) as found:
            return Answers({name: found[name] for name in found.files}, told["rows"], told["example"], "")


def environment(overlay: Sequence[Path]) -> dict[str, str]:
    """Return this process's environment with folders of libraries before all others."""
    path = [*(str(folder) for folder in overlay), *(entry for entry in sys.path if entry)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}


def answer(package: Path) -> tuple[dict[str, NDArray[Any]], int, int]:
    """Load a package, which checks every file and answers its example anew, and answer the example and mixtures of it."""
    predictor = inference.load(package)
    example = inference.example_columns(predictor.example, predictor.signature)
    rows = len(next(iter(example.values()))) if example else 0
    if not rows:
        return {}, 0, 0
    draw = np.random.default_rng(_SEED)
    mixed = {name: np.concatenate([column, column[draw.integers(0, rows, ROWS)]]) for name, column in example.items()}
    prediction = predictor.predict(mixed)
    arrays = {"predictions": prediction.predictions, "scores": prediction.scores, **(getattr(prediction, "outputs", None) or {})}
    return {name: _storable(array) for name, array in arrays.items() if array is not None}, rows + ROWS, rows


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.kind in "fiub" else array.astype(str)


if __name__ == "__main__":
    try:
        found, number, stored = answer(Path(sys.argv[1]))
    except PerenneError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        sys.exit(1)
    np.savez(sys.argv[2], **found)  # type: ignore[arg-type]
    print(json.encode({"rows": number, "example": stored}).decode())  # noqa: T201
