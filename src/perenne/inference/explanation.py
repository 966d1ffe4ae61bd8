"""What moved one answer: each input in turn is set to its typical value, and the answer is looked at again."""

from collections.abc import Mapping

import numpy as np

from perenne.core.errors import Invalid
from perenne.inference.model import Attribution
from perenne.inference.predictor import Predictor
from perenne.stats.columns import Columns, FieldKind, Task, row_count


def explain(predictor: Predictor, row: Columns, typical: Mapping[str, float | str | None]) -> list[Attribution]:
    """Explain the answer to one row, the strongest input first.

    Parameters
    ----------
    predictor : Predictor
        What answered.
    row : Columns
        One row.
    typical : mapping
        A typical value per input, such as the median or the most frequent level; an input without one is left out.

    Returns
    -------
    list of Attribution
        `effect` is what the input adds to the positive class's score (binary), to the score of the answered class (multiclass) or
        to the value (regression), the other inputs staying as they are. Effects need not add up: inputs may act together.

    Raises
    ------
    Invalid
        If there is not exactly one row, or the model answers tensors.
    """
    if row_count(row) != 1:
        raise Invalid(f"explained is one row, here are {row_count(row)}", code="inference.one_row", hint="give one row at a time")
    if predictor.signature.task is Task.OUTPUTS:
        raise Invalid(
            "what moved an answer is not told of a model that answers tensors",
            code="inference.not_explainable",
            hint="it is told of models that answer a class or a number",
        )
    fields = [field for field in predictor.signature.fields if field.name in typical and field.kind is not FieldKind.TENSOR]
    columns = {}
    for index, field in enumerate(fields, start=1):
        kind = object if field.kind is FieldKind.CATEGORY else np.float64
        given = row[field.name] if field.name in row else np.array([None], kind)
        column = np.repeat(given.astype(kind), len(fields) + 1)
        column[index] = typical[field.name]
        columns[field.name] = column
    values = {name: _plain(column[0]) for name, column in columns.items()}
    untouched = {name: np.repeat(column, len(fields) + 1, axis=0) for name, column in row.items() if name not in columns}
    answers = _answers(predictor, {**untouched, **columns})
    found = [
        Attribution(field.name, values[field.name], _plain(typical[field.name]), float(answers[0] - answers[index]))
        for index, field in enumerate(fields, start=1)
    ]
    return sorted(found, key=lambda attribution: (-abs(attribution.effect), attribution.name))


def _answers(predictor: Predictor, columns: Columns) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    prediction = predictor.predict(columns)
    if prediction.scores is None:
        return np.asarray(prediction.predictions, np.float64)
    answered = 1 if predictor.signature.task is Task.BINARY else int(prediction.predictions[0])
    return prediction.scores[:, answered]


def _plain(value: object) -> float | str | None:
    """Return a value as JSON can hold it."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if np.isfinite(number) else None
