"""Challengers in shadow: they answer the same rows as the champion, in the observer's time, and nobody waits for them."""

import time
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.inference import Prediction, Predictor, Signature, load
from perenne.serving.model import ReleasedPackage, Variant
from perenne.serving.releases import package_folder
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns, FieldKind, Task

Label: TypeAlias = str | int | float | bool

REFERENCE = "monitor/reference.npz"
MAX_FAILURES = 3
_SAME_VALUE = 0.01


class Package(NamedTuple):
    """A version as the observer needs it: what it takes and answers, and the cells it is watched by."""

    signature: Signature
    reference: Reference | None


class _Manifest(msgspec.Struct):
    signature: Signature


def open_package(folder: Path, tree: str) -> Package:
    """Read what a version takes and answers from a release folder; the model itself stays on the disk."""
    package = package_folder(folder, tree)
    signature = json.decode((package / "package.json").read_bytes(), _Manifest, what="package.json").signature
    path = package / REFERENCE
    return Package(signature, Reference.from_bytes(path.read_bytes()) if path.exists() else None)


def labels(signature: Signature, prediction: Prediction) -> list[Label]:
    """Return the answers of a prediction: labels, or numbers for regression; outputs have none."""
    if prediction.outputs is not None:
        return []
    answers = prediction.predictions.tolist()
    return answers if signature.task is Task.REGRESSION else [signature.classes[answer] for answer in answers]


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
        What it takes and answers.
    predictor : Predictor
        Answers.
    """

    def __init__(self, variant: Variant, package: Package, predictor: Predictor) -> None:
        self.variant = variant
        self.package = package
        self._predictor = predictor
        self._failures = 0

    @classmethod
    def load(
        cls, folder: Path, variant: Variant, package: Package, champion: Package, *, admitted: ReleasedPackage | None = None
    ) -> "Challenger":
        """Load a challenger from a release folder, as it was admitted.

        Raises
        ------
        PerenneError
            If its package is damaged, or it takes inputs that callers of the champion do not send.
        """
        sent = {field.name: field.kind for field in champion.signature.fields}
        lacking = [field.name for field in package.signature.fields if sent.get(field.name) != field.kind]
        if lacking:
            raise Invalid(
                f"it takes inputs the champion does not: {', '.join(lacking)}",
                code="challenger.inputs",
                hint="a challenger is asked what the champion is asked: train it on the same columns",
            )
        known = admitted or ReleasedPackage(unpickle=True)
        return cls(variant, package, load(package_folder(folder, variant.tree), manifest=known.manifest, code=known.unpickle))

    @property
    def parked(self) -> bool:
        """Tell whether it is no longer asked."""
        return self._failures >= MAX_FAILURES

    def can_answer(self, columns: Columns) -> bool:
        """Tell whether the tensors it takes have come: large ones stay with the worker."""
        return all(field.name in columns for field in self.package.signature.fields if field.kind is FieldKind.TENSOR)

    def answer(self, columns: Columns, rows: int) -> ShadowAnswer | None:
        """Answer rows; None if it failed."""
        start = time.perf_counter_ns()
        try:
            prediction = self._predictor.predict(columns)
        except Exception:
            self._failures += 1
            return None
        self._failures = 0
        return ShadowAnswer(prediction, (time.perf_counter_ns() - start) // 1_000 // max(rows, 1))


def agreeing(champion: Signature, ours: Prediction, challenger: Signature, theirs: Prediction) -> int:
    """Count the rows both answer alike: with the same label, or with values (of all outputs) that differ by at most 1 %."""
    if ours.outputs is not None or theirs.outputs is not None:
        return _agreeing_outputs(ours.outputs or {}, theirs.outputs or {})
    if champion.task is Task.REGRESSION or challenger.task is Task.REGRESSION:
        same = np.isclose(theirs.predictions, ours.predictions, rtol=_SAME_VALUE, atol=0.0)
        return int(np.count_nonzero(same))
    return sum(a == b for a, b in zip(labels(champion, ours), labels(challenger, theirs), strict=True))


def _agreeing_outputs(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> int:
    common = [name for name in ours if name in theirs and theirs[name].shape == ours[name].shape]
    if not common or len(common) < len(ours):
        return 0
    same = np.ones(len(ours[common[0]]), np.bool_)
    for name in common:
        a, b = ours[name], theirs[name]
        alike = np.isclose(b, a, rtol=_SAME_VALUE, atol=1e-6, equal_nan=True) if a.dtype.kind == "f" else np.asarray(a == b)
        same &= alike.reshape(len(same), -1).all(axis=1)
    return int(np.count_nonzero(same))
