"""What a model does to its world, held against its guardrails once a window has ended; and features that it moves itself."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from perenne.monitoring import row_store
from perenne.monitoring.bounds import worst
from perenne.monitoring.disparity import disparity_figure, is_disparity
from perenne.monitoring.findings import Finding
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.figures import answer_counts, at_the_top
from perenne.monitoring.guards.model import OVERRIDES, Z, kind_of, outcome_figure, reported_figure
from perenne.monitoring.model import BoundState, Figure, Outcome, Severity, Watch, WindowKey, WindowVerdict, stand
from perenne.projects import Guardrail
from perenne.stats.concentration import entropy, gini, largest_share
from perenne.stats.fairness import GroupCounts, wilson
from perenne.stats.layout import Layout
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction

ROLES = "@role"
"""The column under which it is kept who answered the rows of a window: the model, or nobody that had learned anything."""

UNDECIDED = ("constant", "holdout", "person")
_CONCENTRATIONS = {"largest_share": largest_share, "answer_entropy": entropy, "answer_gini": gini}
_DRAWS = 200


def concentration_figures(watch: Watch, layout: Layout, profile: Profile) -> dict[str, Figure]:
    """Return how concentrated the answers of a window are, as far as guardrails ask for it, with 95 % intervals."""
    asked = {guardrail.metric for guardrail in watch.guardrails}
    counts, (hits, rows) = answer_counts(layout, profile), at_the_top(layout, profile)
    found = {name: _resampled(name, counts) for name in sorted(asked & _CONCENTRATIONS.keys()) if sum(counts)}
    if "top_share" in asked and rows:
        low, high = wilson(hits, rows, Z)
        found["top_share"] = Figure(value=hits / rows, low=low, high=high, rows=rows)
    return {name: figure for name, figure in found.items() if figure is not None}


def _resampled(name: str, counts: Sequence[int]) -> Figure | None:
    measure, rows = _CONCENTRATIONS[name], sum(counts)
    value = measure(counts)
    if value is None:
        return None
    draws = np.random.default_rng(rows).multinomial(rows, np.array(counts) / rows, _DRAWS)
    low, high = np.quantile([measure(draw) or 0.0 for draw in draws], [0.025, 0.975])
    return Figure(value=value, low=min(float(low), value), high=max(float(high), value), rows=rows)


def effect_states(tx: Transaction, watch: Watch, verdict: WindowVerdict) -> tuple[BoundState, ...]:
    """Tell how the guardrails stand that are about outcomes, overrides, groups that come with labels, and feedback."""
    asked = [guardrail for guardrail in watch.guardrails if not guardrail.against]
    if not asked:
        return ()
    seen = _Seen(tx, watch, verdict.key)
    return tuple(state for guardrail in asked for state in seen.states(guardrail))


class _Seen:
    """What is known of a window's effects; read when the first guardrail asks for it."""

    def __init__(self, tx: Transaction, watch: Watch, key: WindowKey) -> None:
        self._tx, self._watch, self._key = tx, watch, key
        self._outcomes = {outcome.name for outcome in watch.plan.outcomes} | {OVERRIDES}

    def states(self, guardrail: Guardrail) -> Iterator[BoundState]:
        if guardrail.metric in self._outcomes:
            yield from self._outcome(guardrail)
        elif guardrail.metric == "decided_share":
            figure = decided_share(row_store.list_groups(self._tx, self._key).get(ROLES, ()))
            if figure is not None:
                yield stand(guardrail, figure)
        elif guardrail.by in self._watch.plan.sensitive and is_disparity(guardrail.metric):
            counts = guard_store.list_fairness(self._tx, self._key).get(guardrail.by or "", ())
            figure = disparity_figure(guardrail.metric, counts, source="realised")
            if figure is not None:
                yield stand(guardrail, figure)

    def _outcome(self, guardrail: Guardrail) -> Iterator[BoundState]:
        kind, by = kind_of(self._watch.plan, guardrail.metric), guardrail.by or ""
        rows = [row for row in guard_store.list_outcomes(self._tx, self._key) if (row.name, row.by) == (guardrail.metric, by)]
        large = [figure for row in rows if (figure := outcome_figure(row, kind, groups=len(rows))) is not None]
        yield from _worst_of(guardrail, large)
        posted = guard_store.reported_between(self._tx, self._key.stream.deployment, self._key.start, self._key.end)
        yield from _worst_of(
            guardrail, [reported_figure(row, kind) for row in posted if (row.name, row.by) == (guardrail.metric, by)]
        )


def _worst_of(guardrail: Guardrail, figures: Iterable[Figure]) -> Iterator[BoundState]:
    states = [stand(guardrail, figure) for figure in figures]
    if states:
        yield worst(guardrail, states)


def decided_share(roles: Sequence[GroupCounts]) -> Figure | None:
    """Return the share of the traffic whose answer the model decided; None without any.

    >>> round(decided_share([GroupCounts("champion", count=98), GroupCounts("holdout", count=2)]).value, 2)
    0.98
    """
    rows = sum(role.count for role in roles)
    if not rows:
        return None
    decided = sum(role.count for role in roles if role.group not in UNDECIDED)
    low, high = wilson(decided, rows, Z)
    return Figure(value=decided / rows, low=low, high=high, rows=rows)


def feedback_findings(watch: Watch, verdict: WindowVerdict) -> list[Finding]:
    """Say whether features have drifted that the model's own answers move: it may be learning from itself by then."""
    if not watch.plan.moves:
        return []
    causes = tuple(cause for cause in verdict.causes if cause.feature in watch.plan.moves and cause.state == "alarm")
    unknown = verdict.state.value in ("too_few", "gap", "no_data")
    told = "; ".join(f"{cause.feature}: {cause.sentence}" for cause in causes)
    return [
        Finding(
            rule="feedback",
            outcome=Outcome.UNKNOWN if unknown else Outcome.ALARM if causes else Outcome.CLEAR,
            severity=Severity.WARNING,
            confirm=watch.confirm,
            summary=f"feedback: what the model moves has moved: {told}",
            causes=causes,
        )
    ]
