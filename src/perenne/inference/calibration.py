"""Which form answers how many rows: each is timed at 1, 8 and 64 rows when a version is loaded, and the cheapest one asked.

Distinct rows, because one repeated row flatters trees; the quickest of a few calls counts, because what else a machine does is no
property of a form.
"""

import time
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from perenne.inference.model import Form, Prediction
from perenne.stats.columns import Columns, row_count, take

SIZES = (1, 8, 64)
_PROBES = 5
_SECONDS = 0.25
"""For all sizes of a form; each is called once at least."""
_LEAST_US = 0.1

Predict = Callable[[Columns], Prediction]


class Calibration(msgspec.Struct, frozen=True):
    """What calls of each form cost on this machine, and which is asked.

    Attributes
    ----------
    us : dict
        Microseconds of a call with 1, 8 and 64 rows, by form.
    chosen : tuple of str
        The cheapest form at 1, 8 and 64 rows.
    """

    us: dict[Form, tuple[float, ...]]
    chosen: tuple[Form, ...]

    def form_for(self, rows: int) -> Form:
        """Return the form that is asked for so many rows."""
        for size, form in zip(SIZES, self.chosen, strict=True):
            if rows <= size:
                return form if rows == size else min(self.us, key=lambda name: cost(self.us[name], rows))
        return min(self.us, key=lambda name: cost(self.us[name], rows))

    def cost_us(self, rows: int) -> float:
        """Estimate what answering some rows costs, in microseconds."""
        return min(cost(known, rows) for known in self.us.values())

    @property
    def sentence(self) -> str:
        """Who answers how many rows, for people."""
        if len(set(self.chosen)) == 1:
            return f"{self.chosen[0]} ({self.us[self.chosen[0]][0]:.0f} µs a row alone)"
        return ", ".join(f"{size}: {form}" for size, form in zip(SIZES, self.chosen, strict=True)) + " rows"


def cost(known: tuple[float, ...], rows: int) -> float:
    """Interpolate between what was measured; beyond, go on as the last rows did.

    >>> cost((10.0, 17.0, 129.0), 4), cost((10.0, 17.0, 129.0), 128)
    (13.0, 257.0)
    """
    if rows <= 1:
        return known[0]
    place = 1 if rows <= SIZES[1] else 2
    slope = max(0.0, known[place] - known[place - 1]) / (SIZES[place] - SIZES[place - 1])
    return max(_LEAST_US, known[place] + (rows - SIZES[place]) * slope)


def calibrate(forms: Mapping[Form, Predict], rows: Columns) -> Calibration:
    """Time forms with rows, which are repeated as often as needed.

    Parameters
    ----------
    forms : mapping
        How each form is asked; the first is taken where several are equally cheap.
    rows : Columns
        At least one row.
    """
    us = {form: tuple(_fastest(predict, rows, size) for size in SIZES) for form, predict in forms.items()}
    chosen = tuple(min(us, key=lambda form: us[form][place]) for place in range(len(SIZES)))
    return Calibration(us, chosen)


def _fastest(predict: Predict, rows: Columns, size: int) -> float:
    known = max(row_count(rows), 1)
    tables = [take(rows, (np.arange(size) + probe * size) % known) for probe in range(_PROBES)]
    best, end = float("inf"), time.perf_counter() + _SECONDS / len(SIZES)
    for table in tables:
        start = time.perf_counter_ns()
        predict(table)
        best = min(best, (time.perf_counter_ns() - start) / 1_000)
        if time.perf_counter() > end:
            break
    return max(best, _LEAST_US)
