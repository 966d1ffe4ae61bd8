"""PyTorch's models, as MLflow logs them: exported to ONNX where torch is, in a process of its own, and compared on real rows.

Only what comes back is loaded here: an ONNX graph. A model that cannot be exported, or answers otherwise, serves by MLflow.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import PerenneError
from perenne.inference.foreign.finding import Found
from perenne.inference.foreign.onnx_models import Read, read_onnx
from perenne.inference.graphs import GraphForm
from perenne.inference.model import DroppedForm, Parity, Prediction
from perenne.inference.parity import TOLERANCE
from perenne.inference.sandbox import Guest, GuestSetting
from perenne.stats.columns import Field, FieldKind

MAX_ROWS = 256
EXPORT = "@export"


class Exported(NamedTuple):
    """A graph that answers like the model, and the proof."""

    read: Read
    form: GraphForm
    parity: Parity


def export(found: Found, fields: tuple[Field, ...], rows: NDArray[Any], reason: str, *, drawn: bool) -> Exported | DroppedForm:
    """Export a model that takes one tensor.

    Parameters
    ----------
    rows : ndarray
        (n, *shape): what the model and the graph are both asked.
    reason : str
        Why its code may run.
    """
    if len(fields) != 1 or fields[0].kind is not FieldKind.TENSOR:
        return DroppedForm("onnx", "torch.onnx: the model does not take one tensor")
    setting = GuestSetting(kind="torch", path=found.path, matrix=False, trust=reason)
    guest = Guest(found.root, setting, (fields[0].name,), seconds=300.0)
    try:
        answers = guest.ask({"@tensor": rows[:MAX_ROWS], EXPORT: np.zeros(1)})
        read = read_onnx(answers.pop("@onnx").tobytes())
        form = GraphForm(read.data, read.graph, read.signature)
        largest, wrong = _compare(form.predict(_columns(read, rows[:MAX_ROWS])), answers["@answer"])
        if not wrong:  # what was traced with many rows must answer a single one as well
            alone = guest.ask({"@tensor": rows[:1]})["@answer"]
            apart, wrong = _compare(form.predict(_columns(read, rows[:1])), alone)
            largest = max(largest, apart)
    except PerenneError as error:
        return DroppedForm("onnx", f"torch.onnx: {error.message}"[:300])
    finally:
        guest.close()
    if wrong:
        return DroppedForm("onnx", f"torch.onnx: answers differ by up to {largest:.2g}", wrong)
    proof = Parity(
        form="onnx",
        converter="torch.onnx",
        rows=len(rows[:MAX_ROWS]),
        threshold_rows=0,
        missing_rows=0,
        labels_differing=0,
        largest_difference=largest,
        tolerance=TOLERANCE,
        missing_accepted=True,
        drawn=drawn,
    )
    return Exported(read, form, proof)


def _columns(read: Read, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the tensor as the graph's fields are given: itself, or its columns if it is a table of numbers."""
    names = read.signature.names
    if len(names) == 1 and read.signature.fields[0].kind is FieldKind.TENSOR:
        return {names[0]: rows}
    return dict(zip(names, rows.astype(np.float64).T, strict=True))


def _compare(found: Prediction, expected: NDArray[Any]) -> tuple[float, tuple[int, ...]]:
    """Return the largest difference, relative to values above 1, and the first rows beyond the tolerance."""
    values = found.predictions if found.outputs is None else next(iter(found.outputs.values()))
    ours, theirs = (np.asarray(array, np.float64).reshape(len(expected), -1) for array in (values, expected))
    if ours.shape != theirs.shape:
        return float("inf"), (0,)
    difference = (np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))).max(axis=1, initial=0.0)
    difference = np.where(np.isnan(difference), np.inf, difference)
    return float(difference.max(initial=0.0)), tuple(np.nonzero(difference >= TOLERANCE)[0][:10].tolist())
