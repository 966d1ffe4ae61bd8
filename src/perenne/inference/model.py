"""What a model takes and answers, how it was packaged, and how scores become predictions. No I/O."""

from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Columns, Field, FieldKind, Task

Label: TypeAlias = str | int | float | bool
Form: TypeAlias = Literal["linear", "onnx"]

TIE = 1e-6
"""Scores closer than this are equal: a forest's even vote must not depend on the last bit of a sum."""


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and what it answers.

    Attributes
    ----------
    fields : tuple of Field
        The inputs, in order.
    task : Task
        What it answers.
    classes : tuple
        The labels, in the order of the scores; for a binary task the second one is the positive class. Empty for regression.
    target : str
        The name of what is predicted.
    threshold : float
        The positive class's score from which a binary model answers with it.
    """

    fields: tuple[Field, ...]
    task: Task
    classes: tuple[Label, ...]
    target: str
    threshold: float = 0.5

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(field.name for field in self.fields)


class Prediction(msgspec.Struct, frozen=True, eq=False):
    """Answers for n rows.

    Attributes
    ----------
    predictions : ndarray
        (n,) int64 indices into the signature's classes, or (n,) float64 values for regression.
    scores : ndarray or None
        (n, classes) float64 probabilities; None for regression.
    """

    predictions: NDArray[Any]
    scores: NDArray[np.float64] | None


class DroppedForm(msgspec.Struct, frozen=True):
    """A compiled form that never serves: its kind, why, and the first rows of the parity matrix it got wrong."""

    form: Form
    reason: str
    rows: tuple[int, ...] = ()


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that the compiled form answers like the estimator it was made from.

    Attributes
    ----------
    form : str
        The form that serves: `linear` or `onnx`.
    converter : str
        What made it: `folding`, `trees` or `skl2onnx`.
    rows, threshold_rows, missing_rows : int
        Real rows compared; rows placed at the trees' split thresholds; rows with values taken away.
    labels_differing : int
        Rows answered with another label; a form that serves has none.
    largest_difference : float
        Of a score, or of a value divided by the scale of the values.
    tolerance : float
        What the largest difference must stay below.
    missing_accepted : bool
        Whether the estimator itself answers rows with missing values; if not, they are filled with the sample's medians.
    dropped : tuple of DroppedForm
        The forms tried before that failed.
    """

    form: Form
    converter: str
    rows: int
    threshold_rows: int
    missing_rows: int
    labels_differing: int
    largest_difference: float
    tolerance: float
    missing_accepted: bool
    dropped: tuple[DroppedForm, ...] = ()

    @property
    def sentence(self) -> str:
        """The proof in one line, for people and for evidence rows."""
        placed = f" ({self.threshold_rows} at split thresholds, {self.missing_rows} with values missing)"
        rows = self.rows + self.threshold_rows + self.missing_rows
        return (
            f"{self.form} form by {self.converter}: {rows} rows{placed} answered like the source, "
            f"largest difference {self.largest_difference:.1e} (below {self.tolerance:.0e})"
        )


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer costs: one row at a time (ms), in batches (rows per second), and processor time per row alone (µs)."""

    p50_ms: float
    p99_ms: float
    rows_per_second: float
    cpu_us_per_row: float


class Attribution(msgspec.Struct, frozen=True):
    """How one input moved an answer: `effect` is the score (or value) minus what it would be with the typical value."""

    name: str
    value: float | str | None
    typical: float | str | None
    effect: float


class PackageFile(msgspec.Struct, frozen=True):
    """A file of a package: bytes and SHA-256."""

    size: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`package.json`: everything a predictor needs to know before it reads another file.

    Attributes
    ----------
    format : int
        Version of this layout.
    form : str
        Which compiled form serves.
    estimator : str
        Full name of the source estimator's class.
    signature : Signature
        What the model takes and answers.
    fill : tuple of float or None
        What replaces missing values in the encoded matrix, one per column; None where the compiled form takes them as they are.
    files : dict
        Every other file of the folder.
    libraries : dict
        Versions with which the package was made.
    """

    format: int = 1
    form: Form
    estimator: str
    signature: Signature
    fill: tuple[float, ...] | None
    files: dict[str, PackageFile]
    libraries: dict[str, str]


class Example(msgspec.Struct, frozen=True):
    """`example.json`: rows with the answers they got when the package was made; missing values are null."""

    inputs: dict[str, list[float | str | None]]
    predictions: list[float]
    scores: list[list[float]] | None
    labels: list[Label]


def decide(task: Task, scores: NDArray[np.float64], threshold: float = 0.5) -> NDArray[np.int64]:
    """Turn scores into class indices.

    Parameters
    ----------
    task : Task
        Binary or multiclass.
    scores : ndarray
        (n, classes) probabilities.
    threshold : float
        For a binary task: the positive class is answered from this score on. Otherwise the best score wins, the first of equals.

    >>> decide(Task.BINARY, np.array([[0.5, 0.5], [0.6, 0.4]])).tolist()
    [1, 0]
    >>> decide(Task.MULTICLASS, np.array([[0.2, 0.4, 0.4]])).tolist()
    [1]
    """
    if task is Task.BINARY:
        return (scores[:, 1] >= threshold - TIE).astype(np.int64)
    best = scores.max(axis=1, keepdims=True) if len(scores) else scores
    return np.asarray(np.argmax(scores >= best - TIE, axis=1), np.int64)


def labels(signature: Signature, prediction: Prediction) -> list[Label]:
    """Return predictions as JSON can hold them: the signature's labels, or numbers."""
    answers: list[Any] = prediction.predictions.tolist()
    return answers if signature.task is Task.REGRESSION else [signature.classes[answer] for answer in answers]


def example_columns(example: Example, signature: Signature) -> Columns:
    """Return the example's rows as columns."""
    return {
        field.name: np.array(example.inputs[field.name], object if field.kind is FieldKind.CATEGORY else np.float64)
        for field in signature.fields
        if field.name in example.inputs
    }
