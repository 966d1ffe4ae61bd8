"""Challengers in shadow: they answer the same rows as the champion, in the observer's time, and nobody waits for them."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from perenne.inference import Prediction, Predictor, load
from perenne.serving.model import Variant
from perenne.serving.releases import package_folder
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, Task

REFERENCE = "monitor/reference.npz"
MAX_FAILURES = 3
_SAME_VALUE = 0.01


class Package(NamedTuple):
    """A version as the observer needs it: what it takes, how it answers, and the cells it is watched by."""

    predictor: Predictor
    reference: Reference | None


def open_package(folder: Path, tree: str) -> Package:
    """Load a version from a release folder."""
    package = package_folder(folder, tree)
    path = package / REFERENCE
    reference = Reference.from_bytes(path.read_bytes()) if path.exists() else None
    return Package(load(package), reference)


class ShadowAnswer(NamedTuple):
    """What a challenger answered, and microseconds per row."""

    prediction: Prediction
    row_us: int


class Challenger:
    """A version in shadow. After three failures in a row it is parked until the deployment changes.

    Parameters
    ----------
    variant : Variant
        Which one.
    package : Package
        Its package.
    """

    def __init__(self, variant: Variant, package: Package) -> None:
        self.variant = variant
        self.package = package
        self._failures = 0

    @property
    def parked(self) -> bool:
        """Tell whether it is no longer asked."""
        return self._failures >= MAX_FAILURES

    def answer(self, columns: Columns, rows: int) -> ShadowAnswer | None:
        """Answer rows; None if it failed."""
        start = time.perf_counter_ns()
        try:
            prediction = self.package.predictor.predict(columns)
        except Exception:
            self._failures += 1
            return None
        self._failures = 0
        return ShadowAnswer(prediction, (time.perf_counter_ns() - start) // 1_000 // max(rows, 1))


def agreeing(champion: Predictor, ours: Prediction, challenger: Predictor, theirs: Prediction) -> int:
    """Count the rows both answer alike: with the same label, or with values that differ by at most 1 %."""
    if champion.signature.task is Task.REGRESSION or challenger.signature.task is Task.REGRESSION:
        same = np.isclose(theirs.predictions, ours.predictions, rtol=_SAME_VALUE, atol=0.0)
        return int(np.count_nonzero(same))
    pairs = zip(champion.labels(ours), challenger.labels(theirs), strict=True)
    return sum(a == b for a, b in pairs)
