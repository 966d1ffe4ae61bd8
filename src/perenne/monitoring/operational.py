"""How the service itself did in a window, from the counts of its posts: latency quantiles, error rate, availability."""

import math
from collections.abc import Sequence

from perenne.formats.windows import LATENCY_EDGES_US
from perenne.monitoring.model import Figure
from perenne.stats.fairness import wilson

Z = 1.96


def operational_figures(latency: Sequence[int], rows: int, errors: int) -> dict[str, Figure]:
    """Return the operational metrics of a window, with 95 % intervals; without requests there are none.

    Parameters
    ----------
    latency : sequence of int
        Requests per cell of `LATENCY_EDGES_US`.
    rows, errors : int
        Rows answered, and requests the model failed on.

    >>> latency = [0] * 42
    >>> latency[13], latency[20] = 990, 10
    >>> operational_figures(latency, 1000, 0)["latency_p50_ms"].value
    0.7738...
    """
    figures = {}
    if requests := sum(latency):
        for name, share in (("latency_p50_ms", 0.5), ("latency_p99_ms", 0.99)):
            spread = Z * math.sqrt(share * (1 - share) / requests)
            low, value, high = (latency_quantile(latency, share + step) for step in (-spread, 0.0, spread))
            figures[name] = Figure(value=value, low=low, high=high, rows=requests)
    if asked := rows + errors:
        low, high = wilson(errors, asked, Z)
        figures["error_rate"] = Figure(value=errors / asked, low=low, high=high, rows=asked)
        figures["availability"] = Figure(value=1 - errors / asked, low=1 - high, high=1 - low, rows=asked)
    return figures


def latency_quantile(latency: Sequence[int], share: float) -> float:
    """Return the latency in milliseconds that a share of the requests stays under, interpolated within its cell.

    What is slower than the last edge counts as √2 times that edge.
    """
    wanted = min(max(share, 0.0), 1.0) * sum(latency)
    below = 0
    for cell, count in enumerate(latency):
        if count and below + count >= wanted:
            low = LATENCY_EDGES_US[cell - 1] if cell else 0
            high = LATENCY_EDGES_US[cell] if cell < len(LATENCY_EDGES_US) else LATENCY_EDGES_US[-1] * math.sqrt(2)
            return (low + (high - low) * (wanted - below) / count) / 1_000
        below += count
    return math.inf
