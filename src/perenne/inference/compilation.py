"""The compiled forms an estimator can have, best first."""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.inference.converters import converters
from perenne.inference.folding import fold, kind_of
from perenne.inference.forms import LinearForm
from perenne.inference.model import DroppedForm, Form
from perenne.inference.trees import OPSETS, read_ensemble, to_onnx
from perenne.stats.columns import Task


class Candidate(NamedTuple):
    """A compiled form on trial: its bytes, what made it, and what it needs missing values replaced by, if it says so."""

    form: Form
    converter: str
    data: bytes
    fill: NDArray[np.float64] | None = None


def candidates(estimator: Any, task: Task, columns: int) -> Iterator[Candidate | DroppedForm]:
    """Make the estimator's compiled forms one by one; a form that cannot be made comes as the reason.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        Fitted.
    task : Task
        What it answers.
    columns : int
        How many columns its matrix has.
    """
    folded = fold(estimator)
    if folded is not None:
        linear = LinearForm(folded.coefficients, folded.intercept, task)
        yield Candidate("linear", "folding", linear.write(), folded.fill)
    ensemble = read_ensemble(estimator)
    if ensemble is not None:
        yield Candidate("onnx", "trees", to_onnx(ensemble))
    yield _by_skl2onnx(estimator, task, columns)


def _by_skl2onnx(estimator: Any, task: Task, columns: int) -> Candidate | DroppedForm:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    options = {} if task is Task.REGRESSION else {"zipmap": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = convert_sklearn(
                estimator,
                name="model",
                initial_types=[("x", FloatTensorType([None, columns]))],
                custom_conversion_functions=dict(converters()),
                options=options,
                target_opset=OPSETS,
            )
        except Exception as error:  # (converters of skl2onnx raise whatever they meet)
            return DroppedForm("onnx", f"skl2onnx: {_first_line(error)}")
    return Candidate("onnx", "skl2onnx", bytes(model.SerializeToString(deterministic=True)))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:300]


def class_name(estimator: Any) -> str:
    """Return the full name of the estimator's class; of a pipeline, also its steps'."""
    name = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    if kind_of(estimator) != "Pipeline":
        return name
    return f"{name}({', '.join(class_name(step) for _, step in estimator.steps)})"
