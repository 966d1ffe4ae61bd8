"""Figures of a window that runs, with limits that stay right however often one looks: pure.

A mean of rows that come one after the other gets a confidence sequence. Rows that a caller sends together may be alike, and then
count for more than they are: a limit that stops a model needs room beside it.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np

from perenne.formats.windows import LATENCY_EDGES_US
from perenne.monitoring.disparity import is_disparity, needs_labels
from perenne.monitoring.model import Figure, Window
from perenne.monitoring.operational import latency_quantile
from perenne.projects import Guardrail
from perenne.stats.concentration import entropy, gini, largest_share, top_rows
from perenne.stats.fairness import GroupCounts, disparity_interval
from perenne.stats.layout import PREDICTION, Layout
from perenne.stats.numeric import NULL, NumberCells
from perenne.stats.profile import Profile
from perenne.stats.sequential import rate_interval

TOP_SCORE = 0.9
_SHARES = {"latency_p50_ms": 0.5, "latency_p99_ms": 0.01}


def lasting(
    guardrail: Guardrail,
    window: Window,
    layout: Layout,
    profile: Profile,
    groups: Mapping[str, Sequence[GroupCounts]],
    alpha: float,
) -> Figure | None:
    """Return what a guardrail is about in a window that runs, with limits that hold at every look; None if it is not known yet.

    Parameters
    ----------
    groups : mapping
        By column, how the rows of the window fall into groups so far.
    alpha : float
        The chance that the limits ever leave the truth out.
    """
    if guardrail.against:
        return None
    if is_disparity(guardrail.metric) and not needs_labels(guardrail.metric):
        return _disparity(guardrail, groups.get(guardrail.by or "", ()), alpha)
    if guardrail.by is not None:
        return None
    match guardrail.metric:
        case "error_rate" | "availability":
            return _failures(guardrail.metric, window, alpha)
        case "latency_p50_ms" | "latency_p99_ms":
            return _latency(guardrail, window, alpha)
        case "selection_rate":
            return _rate(*selected(layout, profile), alpha)
        case "largest_share":
            return _largest(layout, profile, alpha)
        case "top_share":
            return _rate(*at_the_top(layout, profile), alpha)
        case _:
            return None


def concentration(layout: Layout, profile: Profile) -> dict[str, float]:
    """Return how concentrated the answers of a window are, by name; what cannot be said is left out."""
    answers = answer_counts(layout, profile)
    hits, rows = at_the_top(layout, profile)
    found = {
        "largest_share": largest_share(answers),
        "answer_entropy": entropy(answers),
        "answer_gini": gini(answers),
        "top_share": hits / rows if rows else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def answer_counts(layout: Layout, profile: Profile) -> list[int]:
    """Count the answers of each kind, commonest first: by class, or by the reference's cells of a number."""
    for place, feature in enumerate(layout.features):
        if feature.name == PREDICTION:
            cells = np.sort(np.delete(profile.counts[place], NULL))[::-1]
            known = len(np.unique(feature.places)) if isinstance(feature, NumberCells) else len(layout.classes)
            counts: list[int] = cells[: max(known, np.count_nonzero(cells))].tolist()
            return counts
    return []


def selected(layout: Layout, profile: Profile) -> tuple[int, int]:
    """Count the answers that are positive, and all with a score."""
    if not len(profile.scores):
        return 0, 0
    return top_rows(profile.scores[0], layout.score_edges, layout.threshold), int(profile.scores[0].sum())


def at_the_top(layout: Layout, profile: Profile) -> tuple[int, int]:
    """Count the rows whose score is 0.9 or more, and all with a score; of several classes, by the top score."""
    if not len(profile.scores):
        return 0, 0
    return top_rows(profile.scores[-1], layout.score_edges, TOP_SCORE), int(profile.scores[-1].sum())


def _rate(hits: int, rows: int, alpha: float) -> Figure | None:
    if not rows:
        return None
    low, high = rate_interval(hits, rows, alpha)
    return Figure(value=hits / rows, low=low, high=high, rows=rows)


def _failures(metric: str, window: Window, alpha: float) -> Figure | None:
    asked = window.rows + window.errors
    hits = window.errors if metric == "error_rate" else asked - window.errors
    return _rate(hits, asked, alpha)


def _largest(layout: Layout, profile: Profile, alpha: float) -> Figure | None:
    """The commonest answer may be any of them, so each has its part of the chance."""
    counts = answer_counts(layout, profile)
    rows = sum(counts)
    if not rows:
        return None
    limits = [rate_interval(count, rows, alpha / len(counts)) for count in counts]
    return Figure(value=max(counts) / rows, low=max(low for low, _ in limits), high=max(high for _, high in limits), rows=rows)


def _latency(guardrail: Guardrail, window: Window, alpha: float) -> Figure | None:
    """A quantile is beyond its limit if the share of requests that surely took longer is above what the quantile leaves."""
    requests = sum(window.latency)
    if not requests or guardrail.at_most is None:
        return None
    share = _SHARES[guardrail.metric]
    slower = sum(window.latency[bisect_left(LATENCY_EDGES_US, guardrail.limit * 1_000) + 1 :])
    least, _ = rate_interval(slower, requests, alpha)
    value = latency_quantile(window.latency, 1 - share)
    beyond = least > share
    return Figure(value=value, low=math.nextafter(guardrail.limit, math.inf) if beyond else None, high=None, rows=requests)


def _disparity(guardrail: Guardrail, counts: Sequence[GroupCounts], alpha: float) -> Figure | None:
    found = disparity_interval(guardrail.metric, counts, level=1 - alpha, limits=rate_interval)
    if found is None:
        return None
    rows = sum(group.count for group in counts)
    return Figure(value=found.value, low=found.low, high=found.high, rows=rows, group=found.group or "missing")
