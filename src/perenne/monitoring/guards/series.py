"""Guards over time: outcomes however they were posted, groups with their rates, guardrails as they were looked at."""

from collections.abc import Iterator, Sequence

import msgspec

from perenne.monitoring import row_store, store
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.effects import ROLES
from perenne.monitoring.guards.model import OVERRIDES, kind_of, outcome_figure, reported_figure
from perenne.monitoring.model import CHAMPION, BoundState, Figure, Stream, Watch, WindowKey
from perenne.projects import Guardrail
from perenne.stats.fairness import MINIMUM_ROWS, RATES, GroupCounts, rate_spans, rates
from perenne.storage.database import Transaction

SHOWN = 60
_COMPARED = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
}


class OutcomePoint(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome in a window: joined from single answers (`realised`), or as others have computed it (`reported`)."""

    name: str
    variant: str
    version: str
    start: int
    end: int
    by: str
    group: str
    source: str
    n: int
    value: float | None
    low: float | None
    high: float | None


class GroupPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of a group in a window; `left_out` if it is too small to be compared."""

    by: str
    rate: str
    start: int
    group: str
    rows: int
    value: float | None
    low: float | None = None
    high: float | None = None
    left_out: bool = False


class LastingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """How a guardrail stood when it was last looked at, with limits that hold at every look."""

    guardrail: str
    start: int
    looked: int
    compared: bool
    state: BoundState


class GuardsView(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment's guards show over its newest windows, oldest first."""

    outcomes: tuple[OutcomePoint, ...] = ()
    groups: tuple[GroupPoint, ...] = ()
    lasting: tuple[LastingPoint, ...] = ()
    minimum_rows: int = MINIMUM_ROWS


def guards_view(tx: Transaction, deployment: str, *, windows: int = SHOWN) -> GuardsView:
    """Show the guards of a deployment; what is not watched has none."""
    watches = store.list_watches(tx, deployment)
    if not watches:
        return GuardsView()
    watch = watches[0]
    verdicts = store.recent_verdicts(tx, Stream(deployment, CHAMPION, watch.version), windows)
    start = verdicts[-1].window_start if verdicts else 0
    return GuardsView(
        outcomes=tuple(outcome_points(tx, deployment, start)),
        groups=tuple(_group_points(tx, watch, start)),
        lasting=tuple(_lasting_points(tx, deployment, start)),
    )


def outcome_points(tx: Transaction, deployment: str, since: int = 0) -> Iterator[OutcomePoint]:
    """Go through outcomes by window, those of single answers and posted aggregates alike; of windows since an instant."""
    watches = store.list_watches(tx, deployment)
    known = {outcome.name for watch in watches[:1] for outcome in watch.plan.outcomes} | {OVERRIDES}
    for key, sums in guard_store.outcomes_since(tx, deployment, since):
        if sums.name in known:
            figure = outcome_figure(sums, kind_of(watches[0].plan, sums.name))
            mean = sums.total / sums.count if sums.count else None
            found = figure or Figure(value=mean, source="realised", rows=sums.count, group=sums.group)
            yield _point(sums.name, key, sums.by, found)
    for row in guard_store.reported_between(tx, deployment, since, 1 << 62):
        if row.name in known:
            key = WindowKey(Stream(deployment, "", ""), row.start, row.end - row.start)
            yield _point(row.name, key, row.by, reported_figure(row, kind_of(watches[0].plan, row.name)))


def _point(name: str, key: WindowKey, by: str, figure: Figure) -> OutcomePoint:
    return OutcomePoint(
        name=name,
        variant=key.stream.variant,
        version=key.stream.version,
        start=key.start,
        end=key.end,
        by=by,
        group=figure.group,
        source=figure.source,
        n=figure.rows,
        value=figure.value,
        low=figure.low,
        high=figure.high,
    )


def _group_points(tx: Transaction, watch: Watch, start: int) -> Iterator[GroupPoint]:
    """Go through the rates that guardrails compare, by window and group."""
    stream = Stream(watch.deployment, CHAMPION, watch.version)
    answered, labelled = row_store.groups_since(tx, stream, start), guard_store.fairness_since(tx, stream, start)
    asked = dict.fromkeys((guardrail.by or "", rate) for guardrail in watch.guardrails for rate in compared_rates(guardrail))
    for by, rate in asked:
        found = labelled if by in watch.plan.sensitive else answered
        for window in sorted(found):
            yield from group_points(by, rate, window, found[window].get(by, ()))


def compared_rates(guardrail: Guardrail) -> tuple[str, ...]:
    """Return the rates of groups that a guardrail compares; none if it compares no groups.

    >>> compared_rates(Guardrail("equalized_odds_difference", by="sex", at_most=0.1))
    ('true_positive_rate', 'false_positive_rate')
    """
    if guardrail.by is None:
        return ()
    for name in (*_COMPARED, *RATES):
        if guardrail.metric.startswith(f"{name}_"):
            return _COMPARED.get(name, (name,))
    return ()


def group_points(by: str, rate: str, start: int, counts: Sequence[GroupCounts]) -> Iterator[GroupPoint]:
    """Go through the groups of a window: those that are compared with limits, and those that are too small."""
    if by == ROLES:
        return
    spans = {span.group: span for span in rate_spans(rate, counts)}
    for group, told in zip(counts, rates(counts), strict=True):
        span = spans.get(group.group)
        yield GroupPoint(
            by=by,
            rate=rate,
            start=start,
            group=group.group or "missing",
            rows=group.count,
            value=getattr(told, rate),
            low=None if span is None else span.low,
            high=None if span is None else span.high,
            left_out=span is None,
        )


def _lasting_points(tx: Transaction, deployment: str, start: int) -> Iterator[LastingPoint]:
    for running in guard_store.running_since(tx, deployment, start):
        for state in running.states:
            yield LastingPoint(
                guardrail=state.bound,
                start=running.window_start,
                looked=running.looked,
                compared=running.variant == guard_store.COMPARED,
                state=state,
            )
