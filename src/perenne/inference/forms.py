"""The compiled forms at predict time: a folded linear model, an ONNX graph, a booster's own. numpy, and each one's runtime.

All take the (n, columns) matrix and give (n, outputs) float64: values for regression, one probability per class otherwise, or for
a binary task the positive class's alone.
"""

import io
import zipfile
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.inference.model import Form, Prediction, Signature, decide
from perenne.stats.columns import Columns, Task, row_count

Matrix: TypeAlias = NDArray[np.floating[Any]]
Outputs: TypeAlias = NDArray[np.float64]

_PLAIN = frozenset("fiub")


class CompiledForm(Protocol):
    """What answers for the estimator."""

    def outputs(self, matrix: Matrix) -> Outputs:
        """Answer n > 0 rows."""
        ...


def open_form(form: Form, data: bytes, columns: int, signature: Signature, fill: NDArray[np.float64] | None) -> CompiledForm:
    """Open a compiled form from its file's bytes. Nothing in them is executed.

    Parameters
    ----------
    form : str
        `linear`, `onnx`, `xgboost` or `lightgbm`.
    data : bytes
        What its file holds.
    columns : int
        How many columns the matrix has.
    signature : Signature
        What the model answers.
    fill : ndarray or None
        (columns,): what replaces missing values before the form is asked; None leaves them.

    Raises
    ------
    Invalid
        If the bytes are not such a form, or for other numbers of columns and answers.
    """
    opened = _open(form, data, signature)
    try:
        width = opened.outputs(np.zeros((2, columns), np.float32)).shape[1]
    except Exception as error:
        raise Invalid(
            f"the {form} form does not answer {columns} columns: {error}",
            code="inference.form_invalid",
            hint="package the version again: `perenne run` makes a new one",
        ) from None
    widths: dict[Task, set[int]] = {Task.REGRESSION: {1}, Task.BINARY: {1, 2}, Task.MULTICLASS: {len(signature.classes)}}
    if width not in widths.get(signature.task, set()):
        raise Invalid(
            f"the {form} form has {width} answers a row",
            code="inference.form_invalid",
            hint="package the version again: `perenne run` makes a new one",
        )
    return opened if fill is None else FilledForm(opened, fill)


def _open(form: Form, data: bytes, signature: Signature) -> CompiledForm:
    match form:
        case "linear":
            return LinearForm.read(data, signature.task)
        case "onnx":
            return OnnxForm(data)
        case "xgboost":
            from perenne.inference.boosters import XGBoostForm

            return XGBoostForm(data)
        case "lightgbm":
            from perenne.inference.boosters import LightGBMForm

            return LightGBMForm(data)
        case _:
            raise Invalid(
                f"{form} is no compiled form",
                code="inference.form_invalid",
                hint="load the package with `perenne.inference.load`",
            )


def answer(signature: Signature, form: CompiledForm, matrix: Matrix) -> Prediction:
    """Answer encoded rows: outputs to predictions, by the signature's classes and threshold."""
    classes = len(signature.classes)
    if signature.task is Task.REGRESSION:
        return Prediction(form.outputs(matrix)[:, 0] if len(matrix) else np.empty(0), None)
    if not len(matrix):
        return Prediction(np.empty(0, np.int64), np.empty((0, classes)))
    scores = form.outputs(matrix)
    if scores.shape[1] == 1:
        scores = np.concatenate((1.0 - scores, scores), axis=1)
    return Prediction(decide(signature.task, scores, signature.threshold), scores)


def matrix_of(signature: Signature, columns: Columns) -> NDArray[np.float64]:
    """Return numeric columns side by side, (n, inputs); one that is not there is all missing.

    Raises
    ------
    Invalid
        If one has another type or length.
    """
    rows = row_count(columns)
    matrix = np.full((rows, len(signature.fields)), np.nan)
    for place, field in enumerate(signature.fields):
        column = columns.get(field.name)
        if column is None:
            continue
        if column.dtype.kind not in _PLAIN or column.shape != (rows,):
            raise Invalid(
                f"column {field.name!r} holds something else than {rows} numbers",
                code="inference.column_type",
                hint="numbers are float64 arrays, one value a row",
            )
        matrix[:, place] = column
    return matrix


class FilledForm:
    """Another form, asked with missing values replaced."""

    def __init__(self, form: CompiledForm, fill: NDArray[np.float64]) -> None:
        self._form = form
        self._fill = fill.astype(np.float32)

    def outputs(self, matrix: Matrix) -> Outputs:
        """Answer rows."""
        return self._form.outputs(np.where(np.isnan(matrix), self._fill, matrix))


class LinearForm:
    """`linear.npz`: x @ coefficients + intercept, then the logistic function or softmax for classes.

    Parameters
    ----------
    coefficients : ndarray
        (columns, m) float64; m is 1 for regression and for a binary task.
    intercept : ndarray
        (m,) float64.
    task : Task
        Which link to apply.
    """

    def __init__(self, coefficients: NDArray[np.float64], intercept: NDArray[np.float64], task: Task) -> None:
        self.coefficients = coefficients
        self.intercept = intercept
        self.task = task

    def outputs(self, matrix: Matrix) -> Outputs:
        """Answer rows."""
        raw: Outputs = matrix.astype(np.float64) @ self.coefficients + self.intercept
        match self.task:
            case Task.REGRESSION:
                return raw
            case Task.BINARY:
                # exp of the negative absolute value cannot overflow.
                small = np.exp(-np.abs(raw))
                return np.where(raw >= 0, 1.0, small) / (1.0 + small)
            case _:
                powers = np.exp(raw - raw.max(axis=1, keepdims=True))
                return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def write(self) -> bytes:
        """Write the arrays; equal arrays give equal bytes."""
        stream = io.BytesIO()
        np.savez(stream, coefficients=self.coefficients, intercept=self.intercept)
        return stream.getvalue()

    @classmethod
    def read(cls, data: bytes, task: Task) -> "LinearForm":
        """Read what `write` wrote, allowing no objects and no more memory than the file is long."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                coefficients, intercept = (
                    _read_array(archive, f"{name}.npy", len(data)) for name in ("coefficients", "intercept")
                )
        except (KeyError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
            raise Invalid(
                f"linear.npz cannot be read: {error}",
                code="inference.form_invalid",
                hint="package the version again: `perenne run` makes a new one",
            ) from None
        return cls(coefficients, intercept, task)


def _read_array(archive: zipfile.ZipFile, name: str, most: int) -> NDArray[np.float64]:
    entry = archive.getinfo(name)
    if entry.file_size > most:
        raise ValueError(f"{name} is larger than the file that holds it")
    data = archive.read(entry)
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} has an unknown version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    # numpy would allocate what the header claims before it looks at the data.
    if dtype != np.float64 or int(np.prod(shape, dtype=object)) * 8 != len(data) - stream.tell():
        raise ValueError(f"{name} does not hold the float64 values its header claims")
    return np.load(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-any-return]


class OnnxForm:
    """`model.onnx`: input `x`, (n, columns) of floats; the last output answers. One thread, one CPU provider, no spinning.

    Parameters
    ----------
    data : bytes
        The model, whole: data in other files is refused.
    """

    def __init__(self, data: bytes) -> None:
        self._session = open_session(data)
        self._output = [self._session.get_outputs()[-1].name]
        self._dtype = np.float64 if self._session.get_inputs()[0].type == "tensor(double)" else np.float32

    def outputs(self, matrix: Matrix) -> Outputs:
        """Answer rows."""
        answer = self._session.run(self._output, {"x": matrix.astype(self._dtype, copy=False)})[0]
        return np.asarray(answer, np.float64).reshape(len(matrix), -1)


def open_session(data: bytes) -> Any:
    """Open an ONNX graph in ONNX Runtime. Raises Invalid if it is none, or keeps tensors in other files."""
    import onnxruntime

    # A tensor kept elsewhere names its file under the key "location".
    if b"location" in data and _refers_elsewhere(data):
        raise Invalid("the ONNX model refers to data in other files", code="inference.external_data", hint="save it in one file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Invalid(
            f"the ONNX model cannot be read: {error}",
            code="inference.form_invalid",
            hint="package the version again: `perenne run` makes a new one",
        ) from None


def _refers_elsewhere(data: bytes) -> bool:
    """Tell whether a tensor anywhere in a graph is kept in another file. Only asked if the key's text occurs at all."""
    import onnx

    def elsewhere(message: Any) -> bool:
        if isinstance(message, onnx.TensorProto):
            return bool(message.external_data) or message.data_location == onnx.TensorProto.EXTERNAL
        nested = [value for field, value in message.ListFields() if field.message_type is not None]
        return any(elsewhere(part) for value in nested for part in (value if hasattr(value, "__len__") else [value]))

    try:
        return elsewhere(onnx.ModelProto.FromString(data))
    except Exception:  # what cannot be read is not trusted either
        return True
