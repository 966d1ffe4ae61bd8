"""Rows that somebody else's server logged: ten days of a model on two inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.monitoring.conftest import make_rows

from perenne.core.clock import DAY, parse_time

START = parse_time("2013-03-20")
Make = Callable[..., Any]


def served(day: int, count: int = 300, *, shift: float = 0.0, seed: int | None = None) -> Any:
    """Rows of one day, evenly over it, as a table with the columns that such logs have."""
    rows = make_rows(count, day if seed is None else seed, shift=shift)
    times = START + day * DAY + np.linspace(0, DAY - 1_000_000, count).astype(np.int64)
    return pa.table(
        {
            "order": [f"o{day}-{number}" for number in range(count)],
            "at": pa.array(times, pa.timestamp("us")),
            "wind": rows.wind,
            "carrier": pa.array(rows.carrier, pa.string()),
            "p": rows.scores[:, 1],
            "answer": np.where(rows.scores[:, 1] >= 0.5, "yes", "no").astype(object),
            "truth": pa.array(rows.labels, pa.string()),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the other server leaves a file a day."""
    made = tmp_path / "served"
    made.mkdir()
    return made


def leave(folder: Path, day: int, **how: Any) -> Path:
    """Write the file of a day."""
    path = folder / f"day-{day:02d}.parquet"
    pq.write_table(served(day, **how), path)
    return path
