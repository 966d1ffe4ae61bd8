"""What a model takes and answers, how it was packaged, and how scores become predictions. No I/O."""

from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Columns, Field, FieldKind, Task, dtype_of

Label: TypeAlias = str | int | float | bool
Form: TypeAlias = Literal["linear", "onnx", "xgboost", "lightgbm", "sklearn", "python"]
Feed: TypeAlias = Literal["encoder", "matrix", "columns"]

TIE = 1e-6
"""Scores closer than this are equal: a forest's even vote must not depend on the last bit of a sum."""


class Output(msgspec.Struct, frozen=True):
    """A tensor that a model answers: its name, the datatype of its values, and its shape for one row; -1 varies."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and what it answers.

    Attributes
    ----------
    fields : tuple of Field
        The inputs, in order.
    task : Task
        What it answers.
    classes : tuple
        The labels, in the order of the scores; for a binary task the second one is the positive class. Empty for regression
        and tensors.
    target : str
        The name of what is predicted.
    threshold : float
        The positive class's score from which a binary model answers with it.
    outputs : tuple of Output
        What a model with the task `outputs` answers, in order; empty for all others.
    """

    fields: tuple[Field, ...]
    task: Task
    classes: tuple[Label, ...]
    target: str
    threshold: float = 0.5
    outputs: tuple[Output, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(field.name for field in self.fields)


class Prediction(msgspec.Struct, frozen=True, eq=False):
    """Answers for n rows.

    Attributes
    ----------
    predictions : ndarray
        (n,) int64 indices into the signature's classes, or (n,) float64 values for regression; (0,) if there are outputs.
    scores : ndarray or None
        (n, classes) float64 probabilities; None for regression and outputs.
    outputs : dict or None
        The tensors by name, each (n, *shape), of a model that answers such.
    """

    predictions: NDArray[Any]
    scores: NDArray[np.float64] | None
    outputs: dict[str, NDArray[Any]] | None = None

    @property
    def size(self) -> int:
        """How many rows are answered."""
        return len(self.predictions) if self.outputs is None else len(next(iter(self.outputs.values()), ()))

    def take(self, rows: slice) -> "Prediction":
        """Return the answers of some rows."""
        if self.outputs is not None:
            return Prediction(self.predictions, None, {name: values[rows] for name, values in self.outputs.items()})
        return Prediction(self.predictions[rows], None if self.scores is None else self.scores[rows])


def of_outputs(outputs: dict[str, NDArray[Any]]) -> Prediction:
    """Return tensors as a prediction."""
    return Prediction(np.empty(0), None, outputs)


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
        The form that serves; `sklearn` and `python` are the source itself.
    converter : str
        What made it: `folding`, `trees`, `skl2onnx`, `onnxmltools`, `booster`, or `source` if nothing had to be made.
    rows, threshold_rows, missing_rows : int
        Real rows compared; rows placed at the trees' split thresholds; rows with values taken away.
    drawn : bool
        Whether there were no real rows, and those compared were drawn at random instead.
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
    others : tuple of Parity
        The proofs of further forms that may serve as well.
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
    others: tuple["Parity", ...] = ()
    drawn: bool = False

    @property
    def sentence(self) -> str:
        """The proof in one line, for people and for evidence rows."""
        if self.converter == "source":
            return f"the original answers itself ({self.form}): there is nothing to compare"
        placed = f" ({self.threshold_rows} at split thresholds, {self.missing_rows} with values missing)"
        rows = self.rows + self.threshold_rows + self.missing_rows
        return (
            f"{self.form} form by {self.converter}: {rows} {'drawn ' if self.drawn else ''}rows{placed} answered like the "
            f"source, largest difference {self.largest_difference:.1e} (below {self.tolerance:.0e})"
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


class PackedForm(msgspec.Struct, frozen=True):
    """One of the forms in a package: its kind, its file or folder, and what replaces missing values before it is asked."""

    form: Form
    file: str
    fill: tuple[float, ...] | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`package.json`: everything a predictor needs to know before it reads another file.

    Attributes
    ----------
    format : int
        Version of this layout.
    form : str
        Which form serves, unless calibration finds another one to be quicker.
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
    forms : tuple of PackedForm
        Every form that may serve, `form` first; empty in packages that hold one alone.
    feed : str
        How the forms are asked: with the encoder's matrix, with a matrix of the inputs as they are, or by column.
    """

    format: int = 1
    form: Form
    estimator: str
    signature: Signature
    fill: tuple[float, ...] | None
    files: dict[str, PackageFile]
    libraries: dict[str, str]
    forms: tuple[PackedForm, ...] = ()
    feed: Feed = "encoder"


class Example(msgspec.Struct, frozen=True):
    """`example.json`: rows with the answers they got when the package was made; missing values are null, tensors nested."""

    inputs: dict[str, list[Any]]
    predictions: list[float]
    scores: list[list[float]] | None
    labels: list[Any]
    outputs: dict[str, list[Any]] | None = None


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


def labels(signature: Signature, prediction: Prediction) -> list[Any]:
    """Return predictions as JSON can hold them: the signature's labels, numbers, or an object of nested lists per row."""
    if prediction.outputs is not None:
        nested = {name: values.tolist() for name, values in prediction.outputs.items()}
        return [{name: rows[row] for name, rows in nested.items()} for row in range(prediction.size)]
    answers: list[Any] = prediction.predictions.tolist()
    return answers if signature.task is Task.REGRESSION else [signature.classes[answer] for answer in answers]


def example_columns(example: Example, signature: Signature) -> Columns:
    """Return the example's rows as columns."""
    return {
        field.name: _example_column(example.inputs[field.name], field)
        for field in signature.fields
        if field.name in example.inputs
    }


def _example_column(values: list[Any], field: Field) -> NDArray[Any]:
    if field.kind is not FieldKind.CATEGORY:
        return np.array(values, dtype_of(field))
    column = np.empty(len(values), object)
    column[:] = values
    return column
