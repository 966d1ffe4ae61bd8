"""The cells of a whole model version: its inputs, its prediction and its score. Profiles count in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import Invalid
from perenne.stats.clusters import CLUSTER, DISTANCE, Clusters
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task, row_count
from perenne.stats.joint import TOGETHER, Joint
from perenne.stats.levels import CategoryCells, level_text
from perenne.stats.lists import FIRST, HEAD, ITEM, LENGTH, POSITION, bucket_counts, head_of, items_of, list_columns
from perenne.stats.numeric import NumberCells

FeatureCells: TypeAlias = NumberCells | CategoryCells

PREDICTION, SCORE = "@prediction", "@score"
"""Names of the pseudo features: what the model answered, and how sure it was."""

ANSWERS = (PREDICTION, SCORE)

SCORE_BINS = 256
MAX_CURVES = 32
"""Above so many classes only the top score has a histogram."""

FIXED = 65_536
"""Sums are whole multiples of 1/65,536: they add up exactly, in any order."""

_ANSWER_LIMIT = 1024.0
_MOMENT_LIMIT = 64.0


class Watched(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is watched beside inputs and answers.

    Attributes
    ----------
    segments : tuple of str
        Inputs whose groups are watched each by itself.
    groups : int
        So many groups of each at most, and one for all others.
    clusters : int
        How many centres of the reference's rows; 0 for none.
    lists : tuple of str
        Outputs, or inputs, that hold lists of items.
    together : bool
        How unusual the combination of a row's inputs is.
    """

    segments: tuple[str, ...] = ()
    groups: int = 8
    clusters: int = 0
    lists: tuple[str, ...] = ()
    together: bool = False


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows in cells.

    Attributes
    ----------
    cells : uint8 (features, rows)
    standardised : float64 (numeric features, rows)
        0 where the value has no ordinary cell.
    answer : float64 (rows,)
        What the sums are of: the positive or the top score, or the prediction in the reference's standard deviations.
    bins : int64 (curves, rows)
        Score bin, -1 for a score that is none.
    """

    cells: NDArray[np.uint8]
    standardised: NDArray[np.float64]
    answer: NDArray[np.float64]
    bins: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Encoded":
        """Return some of the rows."""
        return Encoded(self.cells[:, rows], self.standardised[:, rows], self.answer[rows], self.bins[:, rows])


@dataclass(frozen=True, eq=False)
class Layout:
    """Which features there are, and how rows fall into their cells.

    Attributes
    ----------
    features : tuple of FeatureCells
        The inputs, then `@prediction` and `@score` where the reference had them.
    task, classes, threshold
        As in the model's signature; classes as text, in the order of the scores' columns.
    scored : bool
        The reference had scores.
    answer_center, answer_scale : float
        Mean and standard deviation of the reference's predictions for regression; 0 and 1 otherwise.
    clusters : Clusters or None
        The centres by which `@cluster` and `@distance` are found.
    lists : tuple of str
        Columns that hold lists of items.
    joint : Joint or None
        The axes by which `@together` is found.
    """

    features: tuple[FeatureCells, ...]
    task: Task
    classes: tuple[str, ...]
    threshold: float
    scored: bool
    answer_center: float
    answer_scale: float
    clusters: Clusters | None = None
    lists: tuple[str, ...] = ()
    joint: Joint | None = None
    score_edges: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        edges = np.arange(SCORE_BINS + 1) / SCORE_BINS
        if self.task is Task.BINARY and 0 < self.threshold < 1:
            edges = np.union1d(edges, [self.threshold])
        object.__setattr__(self, "score_edges", edges)

    @property
    def curves(self) -> int:
        """Number of score histograms: one for two classes, else one for each class and one for the top score."""
        if not self.scored:
            return 0
        if self.task is Task.BINARY:
            return 1
        return len(self.classes) + 1 if len(self.classes) <= MAX_CURVES else 1

    @property
    def numeric(self) -> list[int]:
        """Places of the numeric features."""
        return [place for place, cells in enumerate(self.features) if isinstance(cells, NumberCells)]

    def encode(self, columns: Columns, predictions: Column | None, scores: NDArray[np.floating] | None) -> Encoded:
        """Put rows into cells. A missing column is all null; a column the reference did not have is left out.

        Raises
        ------
        Invalid
            If columns, predictions and scores differ in length.
        """
        if self.task is Task.OUTPUTS:
            predictions = scores = None
        rows = row_count(columns) if columns else len(predictions) if predictions is not None else 0
        lengths = {name: len(column) for name, column in columns.items()}
        lengths |= {
            PREDICTION: len(predictions) if predictions is not None else rows,
            SCORE: len(scores) if scores is not None else rows,
        }
        for name, length in lengths.items():
            if length != rows:
                raise Invalid(
                    f"column '{name}' has {length} rows, the others {rows}",
                    code="profile.length",
                    hint="every column has as many values as there are rows",
                )
        given = {**columns, **answers(self.task, self.classes, predictions, scores), **self._of_lists(columns)}
        cells = np.empty((len(self.features), rows), np.uint8)
        standardised: list[NDArray[np.float64]] = []
        for place, feature in enumerate(self.features):
            if feature.name == CLUSTER and self.clusters is not None:
                given |= self.clusters.columns(cells, standardised)
            if feature.name == TOGETHER and self.joint is not None:
                given[TOGETHER] = self.joint.distances(self.features, cells, standardised)
            column = given.get(feature.name)
            if column is None:
                column = np.full(rows, None, object)
            if isinstance(feature, NumberCells):
                cells[place], z = feature.encode(column)
                standardised.append(np.clip(z, -_MOMENT_LIMIT, _MOMENT_LIMIT))
            else:
                cells[place] = feature.encode(column)
        return Encoded(
            cells,
            np.array(standardised).reshape(len(standardised), rows),
            self._answer(given, rows),
            np.full((self.curves, rows), -1) if scores is None or not self.curves else self.score_bins(scores),
        )

    def given(self, columns: Columns, predictions: Column | None, scores: NDArray[np.floating] | None) -> dict[str, Column]:
        """Return a column for each feature that rows have: the inputs, what they were answered, centres and lists."""
        found = {**columns, **answers(self.task, self.classes, predictions, scores), **self._of_lists(columns)}
        count = self.joint.inputs if self.joint is not None else 0 if self.clusters is None else len(self.clusters.levels)
        if count:
            inputs = replace(self, features=self.features[:count], clusters=None, joint=None, lists=())
            encoded = inputs.encode({feature.name: columns[feature.name] for feature in inputs.features}, None, None)
            if self.clusters is not None:
                found |= self.clusters.columns(encoded.cells, list(encoded.standardised))
            if self.joint is not None:
                found[TOGETHER] = self.joint.distances(inputs.features, encoded.cells, list(encoded.standardised))
        return found

    def _of_lists(self, columns: Columns) -> dict[str, Column]:
        """Return the features of lists, of those that came; an input that is one item a row is watched as it is."""
        found: dict[str, Column] = {}
        heads = {feature.name: feature.levels[:HEAD] for feature in self.features if isinstance(feature, CategoryCells)}
        for name in self.lists:
            if name in columns and name + ITEM in heads:
                found |= list_columns(name, items_of(columns[name]), heads[name + ITEM])
        return found

    def item_counts(self, columns: Columns) -> NDArray[np.int64]:
        """Count the items of all lists by bucket, (lists, buckets)."""
        empty = np.empty(0, object)
        return np.array([bucket_counts(items_of(columns.get(name, empty))) for name in self.lists], np.int64)

    def _answer(self, given: Columns, rows: int) -> NDArray[np.float64]:
        if self.task is not Task.REGRESSION and self.scored:
            answer = given.get(SCORE)
        elif self.task is not Task.REGRESSION and PREDICTION in given:
            answer = (given[PREDICTION] == self.classes[-1]).astype(np.float64) if self.classes else None
        else:
            answer = given.get(PREDICTION)
        if answer is None or answer.dtype == object:
            return np.zeros(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (answer - self.answer_center) / self.answer_scale
        return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=_ANSWER_LIMIT, neginf=-_ANSWER_LIMIT), -_ANSWER_LIMIT, _ANSWER_LIMIT)

    def score_bins(self, scores: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the bin of each row's score on each curve, (curves, rows); -1 if it is outside 0 to 1 or NaN."""
        values = score_table(scores)
        if self.task is Task.BINARY:
            values = values[:, -1:]
        elif self.curves == 1:
            values = values.max(axis=1, keepdims=True, initial=0.0)
        else:
            values = np.column_stack([values, values.max(axis=1, initial=0.0)])
        values = values.T
        legal = (values >= 0) & (values <= 1)
        safe = np.where(legal, values, 0.0)
        bins = np.minimum((safe * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
        if len(self.score_edges) > SCORE_BINS + 1:
            bins += safe >= self.threshold
        return np.where(legal, bins, -1)


def answers(
    task: Task, classes: tuple[str, ...], predictions: Column | None, scores: NDArray[np.floating] | None
) -> dict[str, Column]:
    """Return the columns `@prediction` (labels, or numbers for regression) and `@score` (the positive or the top score).

    Answers that are tensors have neither.
    """
    columns: dict[str, Column] = {}
    if task is Task.OUTPUTS:
        return columns
    if predictions is not None and task is Task.REGRESSION:
        columns[PREDICTION] = np.asarray(predictions, np.float64)
    elif predictions is not None:
        columns[PREDICTION] = class_labels(classes, predictions)
    if scores is not None and task is not Task.REGRESSION:
        table = score_table(scores)
        columns[SCORE] = table[:, -1] if task is Task.BINARY else table.max(axis=1, initial=0.0)
    return columns


def score_table(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return scores as float64 (rows, classes); a single row of positive scores becomes one column."""
    table = np.asarray(scores, np.float64)
    return table[:, None] if table.ndim == 1 else table


def class_labels(classes: tuple[str, ...], given: Column) -> Column:
    """Return labels as text; whole numbers in an integer array are places in `classes`, out of place is missing."""
    if given.dtype.kind in "iu":
        known = np.array([*classes, None], object)
        return np.asarray(known[np.where((given >= 0) & (given < len(classes)), given, len(classes))])
    labels = np.empty(len(given), object)
    labels[:] = [level_text(value) for value in given.tolist()]
    return labels


def class_places(classes: tuple[str, ...], given: Column) -> NDArray[np.int64]:
    """Return the place of each label in `classes`, -1 if it is none of them or missing."""
    if given.dtype.kind in "iu":
        return np.where((given >= 0) & (given < len(classes)), given, -1).astype(np.int64)
    place = {label: place for place, label in enumerate(classes)}
    return np.fromiter((place.get(label, -1) for label in class_labels(classes, given).tolist()), np.int64, len(given))


def fit_layout(
    columns: Columns,
    fields: Sequence[Field],
    task: Task,
    classes: tuple[str, ...],
    threshold: float,
    watched: Watched = Watched(),  # noqa: B008
) -> Layout:
    """Fix the cells by a reference's columns, which hold the inputs and the pseudo columns of `answers`.

    Raises
    ------
    Invalid
        If an input has the name of a pseudo feature, or two have the same.
    """
    names = [field.name for field in fields]
    for name in names:
        if name in (PREDICTION, SCORE, CLUSTER, DISTANCE, TOGETHER) or names.count(name) > 1:
            raise Invalid(f"the name '{name}' is taken", code="reference.name", hint="rename the column")
    features: list[FeatureCells] = [
        CategoryCells.fit(field.name, columns[field.name])
        if field.kind is FieldKind.CATEGORY
        else NumberCells.fit(field.name, field.kind, columns[field.name])
        for field in fields
    ]
    center, scale = 0.0, 1.0
    if PREDICTION in columns and task is Task.REGRESSION:
        features.append(NumberCells.fit(PREDICTION, FieldKind.NUMBER, columns[PREDICTION]))
        center, scale = _mean_and_deviation(columns[PREDICTION])
    elif PREDICTION in columns:
        features.append(CategoryCells.fit(PREDICTION, columns[PREDICTION]))
    if SCORE in columns:
        features.append(NumberCells.fit(SCORE, FieldKind.NUMBER, columns[SCORE]))
    layout = Layout(tuple(features), task, classes, threshold, SCORE in columns, center, scale)
    if watched.clusters and fields and row_count(columns):
        layout = _with_clusters(layout, columns, len(fields), watched.clusters)
    if watched.together and fields and row_count(columns):
        layout = _with_joint(layout, columns, len(fields))
    for name in watched.lists:
        layout = _with_list(layout, columns, names, name)
    return layout


def _with_clusters(layout: Layout, columns: Columns, inputs: int, count: int) -> Layout:
    """Add the nearest centre and the distance to it."""
    bare = replace(layout, features=layout.features[:inputs])
    encoded = bare.encode({feature.name: columns[feature.name] for feature in bare.features}, None, None)
    clusters = Clusters.fit(bare.features, encoded.cells, list(encoded.standardised), count)
    found = clusters.columns(encoded.cells, list(encoded.standardised))
    added = (CategoryCells.fit(CLUSTER, found[CLUSTER]), NumberCells.fit(DISTANCE, FieldKind.NUMBER, found[DISTANCE]))
    return replace(layout, features=(*layout.features, *added), clusters=clusters)


def _with_joint(layout: Layout, columns: Columns, inputs: int) -> Layout:
    """Add how unusual a row's combination of inputs is."""
    bare = replace(layout, features=layout.features[:inputs], clusters=None)
    encoded = bare.encode({feature.name: columns[feature.name] for feature in bare.features}, None, None)
    joint = Joint.fit(bare.features, encoded.cells, list(encoded.standardised))
    if joint is None:
        return layout
    found = joint.distances(bare.features, encoded.cells, list(encoded.standardised))
    return replace(layout, features=(*layout.features, NumberCells.fit(TOGETHER, FieldKind.NUMBER, found)), joint=joint)


def _with_list(layout: Layout, columns: Columns, inputs: Sequence[str], name: str) -> Layout:
    """Add the features of a list; an input that is one item a row has a feature already.

    Raises
    ------
    Invalid
        If there is no such column.
    """
    if name not in columns:
        raise Invalid(
            f"there is no output or input {name!r} that could hold lists",
            code="reference.list",
            hint=f"Monitoring(lists=…) names outputs of the model, or inputs: {', '.join(inputs[:10])}",
        )
    if name in inputs:
        return replace(layout, lists=(*layout.lists, name))
    lists = items_of(columns[name])
    found = list_columns(name, lists, head_of(lists))
    added: list[FeatureCells] = [CategoryCells.fit(name + part, found[name + part]) for part in (ITEM, FIRST)]
    added += [NumberCells.fit(name + part, FieldKind.NUMBER, found[name + part]) for part in (LENGTH, POSITION)]
    return replace(layout, features=(*layout.features, *added), lists=(*layout.lists, name))


def _mean_and_deviation(values: Column) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        center, scale = float(finite.mean()), float(finite.std())
    return (center, scale or 1.0) if np.isfinite(center) and np.isfinite(scale) else (0.0, 1.0)
