"""Labels and answers, which are kept as text, as the places in the classes or the numbers that they mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Task
from perenne.stats.layout import Layout, class_places

_WORDS = {"true": "1", "false": "0", "1": "true", "0": "false"}


def label_places(texts: Sequence[str | None], layout: Layout) -> NDArray[Any]:
    """Return places in the classes, -1 for what is none of them, or numbers, NaN for what is none."""
    if layout.task is Task.REGRESSION:
        return np.array([_number(text) for text in texts], np.float64)
    known = set(layout.classes)
    named = [text if text is None or text in known else _WORDS.get(text.lower(), text) for text in texts]
    return class_places(layout.classes, np.array(named, object))


def _number(text: str | None) -> float:
    try:
        return float("nan") if text is None else float(text)
    except ValueError:
        return float("nan")
