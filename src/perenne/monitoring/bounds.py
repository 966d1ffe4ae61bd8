"""Holding a window's figures against objectives and guardrails: pure."""

from collections.abc import Iterable, Sequence

from perenne.monitoring.model import BoundState, Figure, Standing, Watch, WindowMetric, WindowVerdict, stand
from perenne.projects import Guardrail, Objective

_WORST_FIRST = (Standing.MISSED, Standing.UNSURE, Standing.MET, Standing.UNKNOWN)


def bound_states(watch: Watch, verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> tuple[BoundState, ...]:
    """Tell how every objective and guardrail stands in a window: once for each way in which its metric is known.

    Parameters
    ----------
    verdict : WindowVerdict
        With the measured and estimated figures of the profile.
    metrics : sequence of WindowMetric
        Of the same window, from its rows and labels.
    """
    bounds: list[Objective | Guardrail] = [*watch.objectives, *watch.guardrails]
    return tuple(state for bound in bounds for state in _states(bound, verdict, metrics))


def _states(bound: Objective | Guardrail, verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> Iterable[BoundState]:
    if bound.operational:
        if bound.metric in verdict.measured:
            yield stand(bound, verdict.measured[bound.metric])
        return
    if bound.by is None and bound.metric in verdict.estimated:
        yield stand(bound, verdict.estimated[bound.metric])
    rows = [row for row in metrics if (row.metric, row.by) == (bound.metric, bound.by or "")]
    if rows:
        yield _worst(bound, [stand(bound, _figure(row), trusted=row.trusted) for row in rows])


def _worst(bound: Objective | Guardrail, states: Sequence[BoundState]) -> BoundState:
    """Return the group that stands worst; among several the one farthest beyond the limit."""
    sign = 1 if bound.at_least is not None else -1

    def rank(state: BoundState) -> tuple[int, float]:
        value = state.figure.value
        return _WORST_FIRST.index(state.standing), float("inf") if value is None else sign * value

    return min(states, key=rank)


def _figure(row: WindowMetric) -> Figure:
    rows = row.n_labelled if row.source == "realised" else row.n
    return Figure(value=row.value, low=row.low, high=row.high, source=row.source, rows=rows, group=row.group)
