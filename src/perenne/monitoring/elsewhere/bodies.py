"""What KServe's protocols ask and answer, as rows: version 1 and 2, as JSON and with binary tensors behind it."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from perenne.core.errors import Invalid
from perenne.formats.nonfinite import quote_nonfinite
from perenne.formats.oip import InferRequest, RequestTensor, decode_values
from perenne.formats.oip_binary import attach, read_values
from perenne.formats.scoring import decode_instances
from perenne.monitoring.elsewhere.sending import Plain

Features = dict[str, list[Plain]] | list[list[Plain]]
SCORES = ("probabilities", "probability", "scores", "score", "predict_proba", "proba")
_ANSWERS = ("prediction", "label", "class", "predict", "output")


class _Either(msgspec.Struct):
    """A body of either version, of a request or an answer."""

    instances: Any = None
    inputs: list[Any] | None = None
    predictions: list[Any] | None = None
    outputs: list[Any] | None = None


def split(body: bytes) -> tuple[bytes, memoryview]:
    """Cut a body into its JSON and the tensors behind it, wherever the JSON ends. Raises Invalid if it begins with none."""
    try:
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON") from None
    rest = body[end:]
    return body[:end], memoryview(b"" if not rest.strip() else rest)


def read_request(body: bytes) -> Features:
    """Read the inputs that were asked about. Raises Invalid if they are none."""
    text, attached = split(body)
    said = _either(text)
    if said.inputs is not None and said.inputs and isinstance(said.inputs[0], dict) and "datatype" in said.inputs[0]:
        return _features(_tensors(said.inputs, attached))
    table = decode_instances(text)
    if table.names is None:
        return [[_plain(value) for value in row] for row in zip(*table.columns, strict=True)]
    return {name: [_plain(value) for value in column] for name, column in zip(table.names, table.columns, strict=True)}


def read_response(body: bytes) -> tuple[list[Plain], list[list[float]] | None]:
    """Read what was answered: predictions, and scores if there are any. Raises Invalid if it is no answer."""
    text, attached = split(body)
    said = _either(text)
    if said.predictions is not None:
        return _answers(said.predictions)
    if said.outputs is None:
        raise _bad("the answer has neither predictions nor outputs")
    tensors = _tensors(said.outputs, attached)
    scores = next((values for name, values in tensors.items() if _is_scores(name, values)), None)
    plain = next((values for values in tensors.values() if values is not scores), None)
    if plain is None and scores is None:
        raise _bad("the answer has no outputs")
    matrix = None if scores is None else np.asarray(scores, np.float64).reshape(len(scores), -1)
    answers = _highest(matrix) if plain is None and matrix is not None else [_plain(value) for value in np.ravel(plain).tolist()]  # type: ignore[arg-type]
    return answers, None if matrix is None else matrix.tolist()


def _either(text: bytes) -> _Either:
    try:
        return msgspec.json.decode(quote_nonfinite(text), type=_Either)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad("the body is neither a request nor an answer") from None


def _tensors(given: list[Any], attached: memoryview) -> dict[str, "np.ndarray[Any, Any]"]:
    try:
        tensors = [_tensor(item) for item in given]
    except (msgspec.ValidationError, TypeError, AttributeError) as error:
        raise _bad(f"a tensor is malformed: {str(error)[:100]}") from None
    raw: Mapping[str, memoryview] = attach(InferRequest(inputs=tensors), attached) if len(attached) else {}
    found: dict[str, np.ndarray[Any, Any]] = {}
    for tensor in tensors:
        values = read_values(tensor, raw[tensor.name]) if tensor.name in raw else decode_values(tensor)
        found[tensor.name] = values.reshape(tensor.shape)
    return found


def _tensor(given: Any) -> RequestTensor:
    data = msgspec.json.encode(given["data"]) if "data" in given else b""
    return msgspec.convert({**given, "data": msgspec.Raw(data)}, RequestTensor)


def _features(tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> Features:
    if not tensors:
        raise _bad("the request has no inputs")
    if len(tensors) == 1:
        ((name, values),) = tensors.items()
        if values.ndim == 2 and values.shape[1] != 1:
            return [[_plain(value) for value in row] for row in values.tolist()]
        return {name: [_plain(value) for value in values.ravel().tolist()]}
    if any(values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1) for values in tensors.values()):
        raise _bad("inputs are columns, or one table")
    return {name: [_plain(value) for value in values.ravel().tolist()] for name, values in tensors.items()}


def _answers(given: list[Any]) -> tuple[list[Plain], list[list[float]] | None]:
    if given and all(isinstance(row, dict) for row in given):
        named = [next((row[name] for name in _ANSWERS if name in row), None) for row in given]
        scores = [next((row[name] for name in SCORES if name in row), None) for row in given]
        if all(name is None for name in named):
            raise _bad(f"an answer is an object without {', '.join(_ANSWERS)}")
        lists = [score if isinstance(score, list) else [score] for score in scores]
        return [_plain(value) for value in named], _numbers(lists)
    if given and all(isinstance(row, list) for row in given):
        try:
            matrix = np.array(given, np.float64)
        except (ValueError, TypeError):
            raise _bad("the answers are no table of numbers") from None
        if matrix.ndim != 2:
            raise _bad("the answers are no table of numbers")
        return ([value for (value,) in matrix.tolist()], None) if matrix.shape[1] == 1 else (_highest(matrix), matrix.tolist())
    return [_plain(value) for value in given], None


def _numbers(rows: list[list[Any]]) -> list[list[float]] | None:
    if any(isinstance(value, bool) or not isinstance(value, int | float) for row in rows for value in row):
        return None
    return [[float(value) for value in row] for row in rows]


def _highest(matrix: "np.ndarray[Any, Any]") -> list[Plain]:
    """Return the place of the highest score; of one score whether it is above one half."""
    if matrix.shape[1] == 1:
        return [int(value) for value in (matrix[:, 0] >= 0.5).tolist()]
    return [int(value) for value in matrix.argmax(axis=1).tolist()]


def _is_scores(name: str, values: "np.ndarray[Any, Any]") -> bool:
    return name.lower() in SCORES or (values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind == "f")


def _plain(value: Any) -> Plain:
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    raise _bad("a value is no number, text, or yes or no")


def _bad(problem: str) -> Invalid:
    return Invalid(problem, code="monitor.body", hint="the bodies of KServe's protocols, version 1 or 2")
