"""The labelled rows of a window, read back: what was answered, what came true, and how they are grouped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perenne.monitoring.performance.measured import cells_of
from perenne.monitoring.performance.truths import label_places
from perenne.stats.columns import Column, Task
from perenne.stats.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class LabelledRows:
    """Rows whose answer and label are known: places in the classes or numbers, the columns that group them, cells of inputs."""

    y: NDArray[Any]
    predictions: NDArray[Any]
    scores: NDArray[np.float64] | None
    groups: dict[str, Column]
    watermark: int
    cells: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, table: "pa.Table", layout: Layout) -> "LabelledRows":
        """Read a window's labelled rows; those without an answer, or with a label that is none of the classes, are left out."""
        y, predictions = (label_places(table[name].to_pylist(), layout) for name in ("label", "prediction"))
        known = np.isfinite(y) & np.isfinite(predictions) if layout.task is Task.REGRESSION else (y >= 0) & (predictions >= 0)
        groups = {name[2:]: np.array(table[name].to_pylist(), object)[known] for name in table.column_names if name[:2] == "f_"}
        scores = [row for row, is_known in zip(table["scores"].to_pylist(), known, strict=True) if is_known]
        scored = bool(scores) and all(row is not None for row in scores)
        watermark = int(table["time"].to_numpy().max(initial=0))
        cells = cells_of(table, len(layout.features))
        return cls(
            y[known],
            predictions[known],
            np.array(scores, np.float64) if scored else None,
            groups,
            watermark,
            None if cells is None else cells[:, known],
        )
