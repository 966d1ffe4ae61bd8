"""Holding a window's figures against objectives and guardrails: pure."""

from collections.abc import Iterable, Mapping, Sequence

from perenne.monitoring.disparity import disparity_figure, is_disparity, needs_labels
from perenne.monitoring.model import BoundState, Figure, Standing, Watch, WindowMetric, WindowVerdict, stand
from perenne.projects import Guardrail, Objective, OwnBound
from perenne.stats.fairness import GroupCounts

Groups = Mapping[str, Sequence[GroupCounts]]

OF_WINDOWS = ("rows", "dropped_share", "agreement", "label_coverage")
_WORST_FIRST = (Standing.MISSED, Standing.UNSURE, Standing.MET, Standing.UNKNOWN)


def bound_states(watch: Watch, verdict: WindowVerdict, metrics: Sequence[WindowMetric], groups: Groups) -> tuple[BoundState, ...]:
    """Tell how every objective and guardrail stands in a window: once for each way in which its metric is known.

    Parameters
    ----------
    verdict : WindowVerdict
        With the measured and estimated figures of the profile.
    metrics : sequence of WindowMetric
        Of the same window, from its labels.
    groups : mapping
        By column, how the rows of the window fall into groups.
    """
    return tuple(state for bound in watch.bounds for state in _states(bound, verdict, metrics, groups))


def _states(
    bound: Objective | Guardrail | OwnBound, verdict: WindowVerdict, metrics: Sequence[WindowMetric], groups: Groups
) -> Iterable[BoundState]:
    if bound.by is None and bound.metric in verdict.measured:
        yield stand(bound, verdict.measured[bound.metric])
        return
    if bound.by is None and bound.metric in OF_WINDOWS:
        yield stand(bound, _of_window(bound.metric, verdict, metrics))
        return
    if bound.operational:
        return
    if is_disparity(bound.metric) and not needs_labels(bound.metric):
        figure = disparity_figure(bound.metric, groups.get(bound.by or "", ()), source="measured")
        if figure is not None:
            yield stand(bound, figure)
        return
    if bound.by is None and bound.metric in verdict.estimated:
        yield stand(bound, verdict.estimated[bound.metric], trusted=not verdict.unsure)
    rows = [row for row in metrics if (row.metric, row.by) == (bound.metric, bound.by or "")]
    if rows:
        yield worst(bound, [stand(bound, _figure(row), trusted=row.trusted) for row in rows])


def _of_window(name: str, verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> Figure:
    """Return what a window is in itself, whatever its model answers; nothing has to be estimated, so there is no interval."""
    values = {
        "rows": float(verdict.rows),
        "dropped_share": verdict.dropped_share,
        "agreement": verdict.agreement,
        "label_coverage": max((row.coverage for row in metrics), default=None),
    }
    value = values[name]
    return Figure(value=value, low=value, high=value, rows=verdict.rows)


def worst(bound: Objective | Guardrail | OwnBound, states: Sequence[BoundState]) -> BoundState:
    """Return the group that stands worst; among several the one farthest beyond the limit."""
    sign = 1 if bound.at_least is not None else -1

    def rank(state: BoundState) -> tuple[int, float]:
        value = state.figure.value
        return _WORST_FIRST.index(state.standing), float("inf") if value is None else sign * value

    return min(states, key=rank)


def _figure(row: WindowMetric) -> Figure:
    return Figure(value=row.value, low=row.low, high=row.high, source="realised", rows=row.n_labelled, group=row.group)
