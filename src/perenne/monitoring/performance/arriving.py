"""Labelled rows on their way to the detectors: the cells of their inputs, and the losses of those that are new."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perenne.monitoring.model import Stream, WindowKey
from perenne.monitoring.performance.expecting import FEATURE, inputs_of
from perenne.monitoring.performance.keyed import Watches
from perenne.monitoring.performance.streams import Arrived
from perenne.monitoring.performance.truths import label_places
from perenne.monitoring.references import load_reference
from perenne.monitoring.row_store import WindowLabels
from perenne.stats.cells import Reference
from perenne.stats.columns import Task
from perenne.stats.layout import FIXED
from perenne.stats.outcomes import losses
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

MOST_GROUPS = 20


class Added(NamedTuple):
    """A window's labelled rows before and after some were added, and those whose prediction had no label yet."""

    before: WindowLabels | None
    window: WindowLabels
    first: "pa.Table"


def with_cells(fresh: "pa.Table", logged: "pa.Table", reference: Reference) -> "pa.Table":
    """Add to labelled rows the cells of their inputs and answer, one byte each: all that is kept of the inputs.

    Parameters
    ----------
    logged : Table
        The same rows, as they were logged.
    """
    import pyarrow as pa

    layout = reference.layout
    width = len(layout.features)
    if not width:
        return fresh
    predictions = scores = None
    if layout.task is Task.REGRESSION:
        predictions = np.array(logged["prediction"].to_pylist(), np.float64)
    else:
        predictions = np.array(logged["prediction"].to_pylist(), object)
        given = logged["scores"].to_pylist() if "scores" in logged.column_names else [None]
        if all(row is not None for row in given):
            scores = np.array(given, np.float64)
    cells = layout.encode(inputs_of(logged, reference.fields), predictions, scores).cells
    raw: Any = pa.py_buffer(np.ascontiguousarray(cells.T).tobytes())
    return fresh.append_column("cells", pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(fresh), [None, raw]))


def arrivals(workspace: Workspace, windows: Sequence[Added], watches: Watches) -> list[tuple[Stream, Arrived, Reference]]:
    """Return by stream the rows that are new, in order of arrival, with the losses that detectors are fed with."""
    import pyarrow as pa

    by_stream: dict[Stream, list[pa.Table]] = {}
    for added in windows:
        key: WindowKey = added.window.key
        if added.first.num_rows:
            start = pa.array([key.start] * len(added.first), pa.int64())
            by_stream.setdefault(key.stream, []).append(added.first.append_column("start", start))
    found = []
    for stream, tables in sorted(by_stream.items()):
        watch = watches[stream.deployment, stream.version]
        reference = load_reference(workspace.objects, watch.reference)
        rows = pa.concat_tables(tables, promote_options="permissive").sort_by(
            [("sequence", "ascending"), ("position", "ascending")]
        )
        arrived = _arrived(rows, reference, watch.plan.segments)
        if len(arrived.losses):
            found.append((stream, arrived, reference))
    return found


def _arrived(rows: "pa.Table", reference: Reference, segments: Sequence[str]) -> Arrived:
    layout = reference.layout
    y, answers = (np.asarray(label_places(rows[name].to_pylist(), layout), np.float64) for name in ("label", "prediction"))
    if layout.task is not Task.REGRESSION:
        y, answers = (np.where(part < 0, np.nan, part) for part in (y, answers))
    raw = losses(layout, y, answers)
    known = np.isfinite(raw)
    scale = 1.0 if reference.outcomes is None else reference.outcomes.scale
    if layout.task is Task.REGRESSION and reference.outcomes is None:
        scale = layout.answer_scale
    # Whole multiples of 1/65,536 add up to the same in any order: the same labels give the same state on every machine.
    scaled = np.rint(np.minimum(raw[known] / scale, 1.0) * FIXED) / FIXED
    starts = rows["start"].to_numpy()[known]
    groups: dict[str, NDArray[np.bool_]] = {}
    for name in segments:
        if FEATURE + name in rows.column_names:
            values = np.array(rows[FEATURE + name].to_pylist(), object)[known]
            named, counts = np.unique(values[[value is not None for value in values]].astype(str), return_counts=True)
            for group in named[np.argsort(-counts, kind="stable")][:MOST_GROUPS].tolist():
                groups[f"{name}={group}"] = values == group
    return Arrived(scaled, starts, groups)
