"""Columns to the float32 matrix with which estimators are trained and asked: one definition for both.

A number stays as it is, NaN where it is missing. A category becomes the mean of the target among the training rows of its level,
drawn towards the overall mean where the level is rare [1]_; a level never seen gets the overall mean, a missing value is a level
of its own. A time becomes month, weekday, hour and days since the first training row. A column that is not there is all missing.

.. [1] Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", SIGKDD Explorations 3(1), 2001.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.inference.encodings import LARGEST, LATEST, CategoryEncoding, EncoderState, Encoding, NumberEncoding, TimeEncoding
from perenne.inference.target_encoding import Targets, fit_category
from perenne.stats.columns import Column, Columns, Field, FieldKind, NumberTable, Task, row_count

Matrix: TypeAlias = NDArray[np.float32]

_FEW = 8
"""Below so many rows plain Python beats numpy's fixed cost per call."""


class Encoder:
    """A fitted encoding of tabular inputs. Immutable; threads may share it.

    Parameters
    ----------
    state : EncoderState
        What `fit` found, or what `from_json` read.

    Examples
    --------
    >>> fields = (Field("km", FieldKind.NUMBER), Field("carrier", FieldKind.CATEGORY))
    >>> columns = {"km": np.array([100.0, 900.0]), "carrier": np.array(["AA", "UA"], object)}
    >>> encoder = Encoder.fit(columns, np.array([0, 1]), fields, Task.BINARY)
    >>> encoder.transform({"km": np.array([np.nan]), "carrier": np.array(["??"], object)}).tolist()
    [[nan, 0.5]]
    """

    def __init__(self, state: EncoderState) -> None:
        self.state = state
        self.names: list[str] = [name for encoding in state.columns for name in encoding.outputs]
        self._plan = [(encoding, encoding.name, _ACCEPTED[type(encoding)], encoding.append) for encoding in state.columns]
        plain = all(isinstance(encoding, NumberEncoding) for encoding in state.columns)
        self._numbers = tuple(self.names) if plain else None

    @classmethod
    def fit(cls, columns: Columns, y: NDArray[Any], fields: Sequence[Field], task: Task, n_classes: int = 0) -> "Encoder":
        """Learn the encoding from training rows.

        Parameters
        ----------
        columns : Columns
            The inputs.
        y : ndarray
            (n,) class indices, or finite values for regression.
        fields : sequence of Field
            Which columns to take, in this order.
        task : Task
            What the model answers.
        n_classes : int
            How many classes there are; 0 counts them in `y`.

        Raises
        ------
        Invalid
            If a column is not there, or of another type or length; the message names it.
        """
        return cls.fit_transform(columns, y, fields, task, n_classes)[0]

    @classmethod
    def fit_transform(
        cls,
        columns: Columns,
        y: NDArray[Any],
        fields: Sequence[Field],
        task: Task,
        n_classes: int = 0,
        *,
        seed: int = 0,
    ) -> tuple["Encoder", Matrix]:
        """Learn the encoding, and encode the training rows without showing any row its own target.

        Each row's categories are encoded from the other folds of a seeded random split. Parameters and errors as for `fit`.

        Returns
        -------
        Encoder, ndarray
            For rows to come, and the (n, columns) float32 matrix to train with.
        """
        targets = Targets.of(y, task, n_classes, seed)
        encodings: list[Encoding] = []
        blocks: list[NDArray[np.float64]] = []
        for field in fields:
            column = _training_column(columns, field, len(y))
            if field.kind is FieldKind.CATEGORY:
                category, outputs = fit_category(field.name, column, targets)
                encodings.append(category)
                blocks.extend(outputs)
            else:
                encoding = NumberEncoding(field.name) if field.kind is FieldKind.NUMBER else _fit_time(field.name, column)
                encodings.append(encoding)
                blocks.extend(encoding.encode(column))
        return cls(EncoderState(tuple(encodings))), _matrix(blocks, len(y))

    @classmethod
    def from_json(cls, data: bytes) -> "Encoder":
        """Read what `to_json` wrote. Raises Invalid if it is something else."""
        return cls(json.decode(data, EncoderState, what="encoder.json"))

    def to_json(self) -> bytes:
        """Write the encoding; equal encodings give equal bytes."""
        return json.canonical(self.state)

    def transform(self, columns: Columns) -> Matrix:
        """Encode rows.

        Parameters
        ----------
        columns : Columns
            Columns that are not there count as missing; others than the encoder's are ignored.

        Returns
        -------
        ndarray
            (n, len(names)) float32. Numbers that float32 cannot hold, infinities included, become NaN.

        Raises
        ------
        Invalid
            If a column has another type or length; the message names it.
        """
        if isinstance(columns, NumberTable) and columns.names == self._numbers:
            return np.where(np.abs(columns.matrix) <= LARGEST, columns.matrix, np.nan).astype(np.float32)
        rows = row_count(columns)
        if not rows:
            return np.empty((0, len(self.names)), np.float32)
        return self._by_rows(columns, rows) if rows < _FEW else self._by_columns(columns, rows)

    def _by_rows(self, columns: Columns, count: int) -> Matrix:
        rows: list[list[float]] = [[] for _ in range(count)]
        shape = (count,)
        for encoding, name, kinds, append in self._plan:
            column = columns.get(name)
            if column is None:
                for row in rows:
                    row += encoding.absent
                continue
            if column.dtype.kind not in kinds or column.shape != shape:
                raise _misfit(column, encoding, count)
            try:
                for value, row in zip(column.tolist(), rows, strict=True):
                    append(value, row)
            except TypeError:
                raise _wrong_type(name, encoding) from None
        return np.array(rows, np.float32)

    def _by_columns(self, columns: Columns, count: int) -> Matrix:
        blocks: list[NDArray[np.float64]] = []
        for encoding, name, kinds, _ in self._plan:
            column = columns.get(name)
            if column is None:
                blocks.extend(np.full(count, value) for value in encoding.absent)
                continue
            if column.dtype.kind not in kinds or column.shape != (count,):
                raise _misfit(column, encoding, count)
            try:
                blocks.extend(encoding.encode(column))
            except TypeError:
                raise _wrong_type(name, encoding) from None
        return _matrix(blocks, count)


def _matrix(blocks: list[NDArray[np.float64]], rows: int) -> Matrix:
    matrix = np.empty((rows, len(blocks)), np.float32)
    for index, block in enumerate(blocks):
        matrix[:, index] = block
    return matrix


_ACCEPTED = {NumberEncoding: "fiub", TimeEncoding: "fiu", CategoryEncoding: "OU"}


def _misfit(column: Column, encoding: Encoding, rows: int) -> Invalid:
    if column.dtype.kind not in _ACCEPTED[type(encoding)]:
        return _wrong_type(encoding.name, encoding)
    return Invalid(
        f"column {encoding.name!r} has shape {column.shape}, the others {rows} rows",
        code="inference.column_length",
        hint="every column has one value a row",
    )


def _wrong_type(name: str, encoding: Encoding | FieldKind) -> Invalid:
    kind = "category" if isinstance(encoding, CategoryEncoding) or encoding is FieldKind.CATEGORY else "number"
    return Invalid(
        f"column {name!r} holds something else than a {kind}",
        code="inference.column_type",
        hint="numbers and times are float64 arrays, categories object arrays of texts and None",
    )


def _training_column(columns: Columns, field: Field, rows: int) -> Column:
    column = columns.get(field.name)
    if column is None:
        raise Invalid(
            f"column {field.name!r} is not in the training rows",
            code="inference.column_missing",
            hint="train on rows that have every column of the model",
        )
    if column.shape != (rows,):
        raise Invalid(
            f"column {field.name!r} has shape {column.shape}, the target {rows} rows",
            code="inference.column_length",
            hint="every column has one value a row",
        )
    if field.kind is FieldKind.CATEGORY:
        if not set(map(type, column.tolist())) <= {str, type(None)}:
            raise _wrong_type(field.name, field.kind)
    elif column.dtype.kind not in "fiub":
        raise _wrong_type(field.name, field.kind)
    return column


def _fit_time(name: str, column: Column) -> TimeEncoding:
    known = column[np.abs(column) <= LATEST]
    return TimeEncoding(name, float(known.min()) if len(known) else 0.0)
