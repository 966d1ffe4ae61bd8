"""A version in memory: loaded, checked against its own example, warmed, and its cost known."""

import time
from pathlib import Path

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Prediction, Predictor, Signature, load
from perenne.serving.model import Variant
from perenne.serving.releases import package_folder
from perenne.stats.columns import Columns, absent

_PROBE_ROWS = 64
_PROBES = 5


class LoadedVersion:
    """A version that can answer.

    Attributes
    ----------
    version, model, number : str
        `name@number`, and its two parts.
    tree : str
        Digest of its package.
    predictor : Predictor
        Answers columns.
    folder : Path
        Where its package lies; it may be gone later.
    fixed_us, row_us : float
        What a call costs, and what each row adds, in microseconds on this machine.
    """

    def __init__(self, version: str, tree: str, predictor: Predictor, folder: Path) -> None:
        self.version = version
        self.model, _, self.number = version.rpartition("@")
        self.tree = tree
        self.folder = folder
        self.predictor = predictor
        self.signature = predictor.signature
        self.fixed_us, self.row_us = _cost(predictor)

    def cost_us(self, rows: int) -> float:
        """Estimate what predicting some rows costs, in microseconds."""
        return self.fixed_us + rows * self.row_us

    def accepts(self, columns: Columns) -> bool:
        """Tell whether the columns, read for another version, hold all this one takes."""
        return columns.keys() >= set(self.signature.names)

    def predict(self, columns: Columns) -> Prediction:
        """Answer rows."""
        return self.predictor.predict(columns)


def load_version(folder: Path, variant: Variant, manifest: str = "") -> LoadedVersion:
    """Load a variant from a release folder; its manifest must have the digest given, if one is.

    Raises
    ------
    PerenneError
        If its package is damaged, another one, or answers otherwise than when made.
    """
    package = package_folder(folder, variant.tree)
    return LoadedVersion(variant.version, variant.tree, load(package, manifest=manifest), package)


def check_inputs(champion: Signature, other: Signature) -> None:
    """Check that a version takes nothing that callers of the champion do not send. Raises Invalid."""
    sent = {field.name: (field.kind, field.shape) for field in champion.fields}
    lacking = [field.name for field in other.fields if sent.get(field.name) != (field.kind, field.shape)]
    if lacking:
        raise Invalid(
            f"it takes inputs the champion does not: {', '.join(lacking)}",
            code="challenger.inputs",
            hint="a challenger is asked what the champion is asked: train it on the same columns",
        )


def reason_of(error: Exception) -> str:
    """Say in a line why something could not be loaded; others' errors by their kind alone, for their text may hold a path."""
    return error.message if isinstance(error, PerenneError) else type(error).__name__


def _cost(predictor: Predictor) -> tuple[float, float]:
    one, many = (_fastest(predictor, rows) for rows in (1, _PROBE_ROWS))
    row = max(0.0, (many - one) / (_PROBE_ROWS - 1))
    return max(one - row, 0.1), row


def _fastest(predictor: Predictor, rows: int) -> float:
    columns = {field.name: absent(field, rows) for field in predictor.signature.fields}
    best = float("inf")
    for _ in range(_PROBES):
        start = time.perf_counter_ns()
        predictor.predict(columns)
        best = min(best, (time.perf_counter_ns() - start) / 1_000)
    return best
