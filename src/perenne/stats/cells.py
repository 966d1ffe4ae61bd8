"""The reference of a model version: its cells, what the reference's rows did in them, and how far that is known to vary.

Cells are fixed here once; training, the observer and monitoring count in them. Stored as `npz` without pickle.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import NotFound
from perenne.core.hashing import digest_bytes
from perenne.stats import archive
from perenne.stats.columns import Column, Columns, Field, FieldKind, Task, row_count, take
from perenne.stats.layout import ANSWERS, FeatureCells, Layout, Watched, answers, class_places, fit_layout, score_table
from perenne.stats.levels import level_text
from perenne.stats.loss import LossModel
from perenne.stats.numeric import GROUPS, NULL, UNSEEN, NumberCells, numbers
from perenne.stats.outcomes import Outcomes, fit_outcomes
from perenne.stats.performance import Calibration
from perenne.stats.profile import Profile
from perenne.stats.segments import (
    PROFILE_ARRAYS,
    Segment,
    SegmentReference,
    fit_segments,
    segment_arrays,
    segments_from,
    segments_of,
)
from perenne.stats.spread import Bands, Baseline, fit_spread


class KnownRange(msgspec.Struct, frozen=True):
    """What the reference held of a feature: the span of its numbers, or its most frequent levels."""

    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[str, ...] = ()


class _Meta(msgspec.Struct, omit_defaults=True):
    version: int
    fields: tuple[Field, ...]
    layout: archive.LayoutMeta
    calibrated: bool
    segments: tuple[Segment, ...] = ()
    outcomes: "_OutcomesMeta | None" = None
    losses: bool = False


class _OutcomesMeta(msgspec.Struct):
    rows: int
    loss: float
    scale: float
    steadiness: dict[str, float]


class Reference:
    """The cells of a model version with the reference's counts; made by `fit` or `from_bytes`.

    Attributes
    ----------
    fields : tuple of Field
        The inputs, as the model's signature has them.
    layout : Layout
        The cells of all features: the inputs, `@prediction`, `@score`.
    chunks : list of Profile
        The reference in time order, in parts of about equal size.
    profile : Profile
        The whole reference.
    baseline : Baseline
        The counts windows are compared with.
    bands : Bands
        The reference's own spread.
    calibration : Calibration or None
        For estimating performance; None without labels and scores.
    outcomes : Outcomes or None
        What came true in the reference; None without labels.
    losses : LossModel or None
        For estimating a regression's performance; whoever makes the reference learns it.
    segments : SegmentReference
        The groups that are watched each by itself.
    """

    fields: tuple[Field, ...]
    layout: Layout
    chunks: list[Profile]
    profile: Profile
    baseline: Baseline
    bands: Bands
    calibration: Calibration | None
    outcomes: Outcomes | None
    losses: LossModel | None
    segments: SegmentReference

    def __init__(self, fields: Sequence[Field], layout: Layout) -> None:
        self.fields = tuple(fields)
        self.layout = layout
        self.chunks = []
        self.profile = Profile.empty(self)
        self.calibration = self.outcomes = self.losses = None
        self.segments = SegmentReference((), [], [], [])
        self._data: bytes | None = None
        self._digest: str | None = None

    @classmethod
    def fit(
        cls,
        columns: Columns,
        fields: Sequence[Field],
        *,
        chunks: int = 56,
        scores: NDArray[np.floating] | None = None,
        predictions: Column | None = None,
        labels: Column | None = None,
        task: Task,
        classes: Sequence[object] = (),
        threshold: float = 0.5,
        watched: Watched | None = None,
        served: int = 0,
    ) -> "Reference":
        """Fix the cells by the rows of a reference, in time order. Tensors have no cells, nor have answers that are tensors.

        Parameters
        ----------
        columns : Columns
            The model's inputs; a field without a column is missing throughout.
        fields : sequence of Field
            The inputs and their kinds.
        chunks : int
            Into how many parts to cut for the spread. Fewer than the windows that the reference spans hide its seasons.
        scores : float array (rows, classes) or None
            From rows the model was not trained on, else the estimated performance is too good.
        predictions, labels : array or None
            Labels, places in `classes` (an integer array), or numbers for regression.
        task, classes, threshold
            As in the model's signature.
        watched : Watched, optional
            What is watched beside inputs and answers; lists of outputs are among `columns`.
        served : int
            The row from which on answers are of the model that will serve. Those before are of another fit of it: they calibrate,
            but its scores do not lie where those of this one do, so that windows are not compared with them.
        """
        rows = row_count(columns)
        watched = watched or Watched()
        lists = {name: columns[name] for name in watched.lists if name in columns}
        columns = {field.name: columns.get(field.name, np.full(rows, None, object)) for field in fields} | lists
        fields = [field for field in fields if field.kind is not FieldKind.TENSOR]
        names = tuple(str(level_text(label)) for label in classes)
        scores = None if scores is None or task is Task.REGRESSION else score_table(scores)
        given = {**columns, **answers(task, names, predictions, scores)}
        cut = {name: column[served:] for name, column in given.items() if name in ANSWERS and column.dtype != object}
        reference = cls(fields, fit_layout({**given, **cut}, fields, task, names, threshold, watched))
        given = reference.layout.given(columns, predictions, scores)
        bounds, first = _bounds(rows, max(1, min(chunks, rows)), served)
        reference._count(columns, predictions, scores, bounds, first)
        reference.baseline, reference.bands = fit_spread(reference.layout.features, given, bounds, first)
        encoded = reference.layout.encode(columns, predictions, scores)
        chosen = segments_of(reference.layout, watched.segments, given, watched.groups)
        reference.segments = fit_segments(reference, given, encoded, bounds, chosen, first)
        if labels is not None:
            reference._learn(encoded.cells, predictions, scores, labels)
        return reference

    def _count(
        self,
        columns: Columns,
        predictions: Column | None,
        scores: NDArray[np.floating] | None,
        bounds: Sequence[int],
        first: int,
    ) -> None:
        """Count the rows between bounds; of the parts before the first, not what was answered."""
        for number, part in enumerate(map(slice, bounds[:-1], bounds[1:])):
            chunk = Profile.empty(self)
            chunk.add(
                take(columns, part), None if predictions is None else predictions[part], None if scores is None else scores[part]
            )
            if number < first:
                chunk.forget_answers()
            self._append(chunk)

    def _learn(
        self, cells: NDArray[np.uint8], predictions: Column | None, scores: NDArray[np.floating] | None, labels: Column
    ) -> None:
        """Take in what came true."""
        if scores is not None:
            self.calibration = Calibration.fit(self.layout, scores, class_places(self.layout.classes, labels))
        if predictions is not None:
            self.outcomes = fit_outcomes(self.layout, cells, predictions, scores, labels, len(self.chunks))

    def note_steadiness(self, metric: str, spread: float) -> None:
        """Note how far the estimate of a metric was off in parts of the reference, beyond chance."""
        if self.outcomes is not None:
            self.outcomes.steadiness[metric] = spread

    def _append(self, chunk: Profile) -> None:
        self.chunks.append(chunk)
        self.profile.merge(chunk)

    def _stack(self, name: str) -> NDArray[np.int64]:
        return np.array([getattr(chunk, name) for chunk in self.chunks], np.int64)

    @property
    def digest(self) -> str:
        """SHA-256 of the stored form, in hexadecimal."""
        if self._digest is None:
            self._digest = digest_bytes(self.to_bytes())
        return self._digest

    def to_bytes(self) -> bytes:
        """Write the reference as npz."""
        if self._data is None:
            meta, arrays = archive.layout_parts(self.layout)
            arrays |= {f"chunk_{name}": self._stack(name) for name in PROFILE_ARRAYS}
            arrays |= {"chunk_rows": self._stack("rows")}
            arrays |= {"chunk_items": self._stack("items")} if self.layout.lists else {}
            arrays |= {"baseline": self.baseline.counts, "singles": self.baseline.singles}
            arrays |= {"band_rows": self.bands.rows, "band_js": self.bands.js, "band_d": self.bands.d}
            if self.calibration is not None:
                arrays["curves"] = self.calibration.curves
            if self.segments.segments:
                arrays |= segment_arrays(self.segments)
            arrays |= {} if self.losses is None else self.losses.to_arrays()
            made = _Meta(
                1,
                self.fields,
                meta,
                self.calibration is not None,
                self.segments.segments,
                self._outcome_parts(arrays),
                self.losses is not None,
            )
            self._data = archive.write(made, arrays)
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reference":
        """Read a reference.

        Raises
        ------
        Invalid
            If the bytes hold none.
        """
        meta, arrays = archive.read(data, _Meta)
        try:
            layout = archive.layout_of(meta.layout, arrays)
            reference = cls(meta.fields, layout)
            for place, rows in enumerate(arrays["chunk_rows"].tolist()):
                chunk = Profile.empty(reference)
                chunk.rows = rows
                for name in PROFILE_ARRAYS:
                    getattr(chunk, name)[...] = arrays[f"chunk_{name}"][place]
                if layout.lists:
                    chunk.items[...] = arrays["chunk_items"][place]
                reference._append(chunk)
            reference.baseline = Baseline(arrays["baseline"].astype(np.int64), arrays["singles"].astype(np.int64))
            reference.bands = Bands(
                arrays["band_rows"].astype(np.int64), *(arrays[name].astype(np.float64) for name in ("band_js", "band_d"))
            )
            if meta.calibrated:
                reference.calibration = Calibration(
                    layout.task, layout.threshold, layout.score_edges, arrays["curves"].astype(np.float64)
                )
            reference._read_outcomes(meta, arrays)
            if meta.segments:
                reference.segments = segments_from(meta.segments, arrays, reference)
        except (LookupError, ValueError, TypeError, OverflowError) as error:
            raise archive.unreadable(error) from None
        reference._data = bytes(data)
        return reference

    def _outcome_parts(self, arrays: archive.Arrays) -> _OutcomesMeta | None:
        told = self.outcomes
        if told is None:
            return None
        arrays |= {"labelled": told.counts, "truths": told.truths}
        return _OutcomesMeta(told.rows, told.loss, told.scale, dict(sorted(told.steadiness.items())))

    def _read_outcomes(self, meta: _Meta, arrays: archive.Arrays) -> None:
        if meta.outcomes is not None:
            told, shape = meta.outcomes, (len(self.layout.features), GROUPS)
            counts, truths = (arrays[name].astype(np.int64).reshape(shape) for name in ("labelled", "truths"))
            self.outcomes = Outcomes(told.rows, told.loss, told.scale or 1.0, counts, truths, told.steadiness)
        if meta.losses:
            self.losses = LossModel.from_arrays(arrays, len(self.layout.features))

    def place(self, name: str) -> int:
        """Return the place of a feature.

        Raises
        ------
        NotFound
            If the reference has no such feature.
        """
        for place, feature in enumerate(self.layout.features):
            if feature.name == name:
                return place
        raise NotFound(
            f"the reference has no feature '{name}'",
            code="reference.feature_not_found",
            hint="it knows the columns the version was trained on",
        )

    def feature(self, name: str) -> FeatureCells:
        """Return the cells of a feature."""
        return self.layout.features[self.place(name)]

    def known_range(self, name: str) -> KnownRange:
        """Return what values of a feature the reference held."""
        feature = self.feature(name)
        if isinstance(feature, NumberCells):
            return KnownRange() if np.isnan(feature.minimum) else KnownRange(feature.minimum, feature.maximum)
        return KnownRange(levels=feature.levels)

    def known(self, name: str, value: object) -> bool:
        """Tell whether the reference held such values; a time only must not be earlier, a missing value must have occurred."""
        feature = self.feature(name)
        column = np.array([value, None], object)[:1]
        if not isinstance(feature, NumberCells):
            cell = int(feature.encode(column)[0])
            return cell != UNSEEN if cell != NULL else self._had_nulls(name)
        values, alien = numbers(column)
        if alien is not None and alien[0]:
            return False
        if np.isnan(values[0]):
            return self._had_nulls(name)
        later = feature.kind is FieldKind.TIME and np.isfinite(values[0])
        return bool(feature.minimum <= values[0] and (later or values[0] <= feature.maximum))

    def _had_nulls(self, name: str) -> bool:
        return bool(self.profile.counts[self.place(name), NULL] > 0)

    def typical(self, name: str) -> float | str | None:
        """Return the median or the most frequent level; None if the reference had no value."""
        feature = self.feature(name)
        if isinstance(feature, NumberCells):
            return None if np.isnan(feature.median) else feature.median
        return feature.levels[0] if feature.levels else None


def _bounds(rows: int, chunks: int, served: int) -> tuple[list[int], int]:
    """Return the rows at which about equal chunks begin and the last ends, and the first chunk of the model that serves.

    >>> _bounds(100, 4, 0), _bounds(100, 4, 30)
    (([0, 25, 50, 75, 100], 0), ([0, 30, 53, 76, 100], 1))
    """
    if not 0 < served < rows:
        return np.linspace(0, rows, chunks + 1).astype(int).tolist(), 0
    chunks = max(2, chunks)
    before = min(max(1, round(chunks * served / rows)), chunks - 1)
    starts = np.concatenate([np.linspace(0, served, before + 1)[:-1], np.linspace(served, rows, chunks - before + 1)])
    return starts.astype(int).tolist(), before
