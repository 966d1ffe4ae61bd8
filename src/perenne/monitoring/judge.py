"""Judging windows that have ended: drift against the reference, estimated performance, latency and errors, objectives."""

import logging
from collections.abc import Collection, Mapping, Sequence

import msgspec

from perenne import serving
from perenne.core.errors import NotFound, PerenneError
from perenne.monitoring import alert_store, own_rules, row_store, store
from perenne.monitoring.alerts import MONITOR, advance, resolve_alert
from perenne.monitoring.baselines.choosing import REFERENCE, Chosen, choose
from perenne.monitoring.baselines.parts import cause_of, comparisons_of, list_measures, segment_causes, with_segments
from perenne.monitoring.baselines.production import fix
from perenne.monitoring.baselines.ranking import lines_of
from perenne.monitoring.baselines.schema import schema_changes
from perenne.monitoring.baselines.store import was_well
from perenne.monitoring.bounds import bound_states
from perenne.monitoring.findings import NULL_BURST, findings_of
from perenne.monitoring.fleet.checking import remember, worst_first
from perenne.monitoring.fleet.sharing import A_TURN, Fence, share
from perenne.monitoring.guards import effects
from perenne.monitoring.model import (
    BLIND_SHARE,
    CHAMPION,
    GATHERED_WINDOWS,
    MERGED_WINDOWS,
    AlertLine,
    BoundState,
    Cause,
    Figure,
    Stream,
    Watch,
    Window,
    WindowKey,
    WindowState,
    WindowVerdict,
    finite,
)
from perenne.monitoring.operational import Z, operational_figures
from perenne.monitoring.performance import expecting, stream_store, told
from perenne.monitoring.performance.relations import doubts, relations
from perenne.monitoring.references import load_reference
from perenne.projects import BaselineKind
from perenne.stats import drift
from perenne.stats.cells import Reference
from perenne.stats.chosen import judge_chosen
from perenne.stats.fairness import wilson
from perenne.stats.performance import Estimate, estimate
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

_log = logging.getLogger("perenne.monitoring")

SELECTION_RATE = "selection_rate"
MOST_MISSING = 20


def judge_due(workspace: Workspace, now: int, *, leads: bool = True, owner: str = "") -> int:
    """Judge the windows that have ended by `now` and changed since they were judged; return how many were.

    A window with fewer than 200 rows is judged together with those before it that had too few, at most eight in all.
    Later windows into which a changed one was merged are judged again as well. Several processes share the deployments by
    leases, and one of them, which leads, does what is done for all.

    Parameters
    ----------
    owner : str
        Who takes the leases; this process if not given.
    """
    if leads:
        _close_superseded(workspace, now)
    with workspace.database.read() as tx:
        names = list(dict.fromkeys(key.stream.deployment for key in store.due_windows(tx, now)))

    if len(names) > A_TURN:
        names = worst_first(workspace, names)

    def due(mine: Collection[str]) -> list[WindowKey]:
        with workspace.database.read() as tx:
            keys = set(store.due_windows(tx, now, mine))
            return [*keys, *{later for key in keys for later in store.spans_over(tx, key)} - keys]

    return share(workspace, names, due, lambda keys, fence: _judge_all(workspace, keys, now, fence), owner=owner)


def _judge_all(workspace: Workspace, keys: Sequence[WindowKey], now: int, fence: Fence) -> int:
    """Judge one window of each of several streams, and keep all verdicts in one transaction.

    What changed meanwhile, or is another's to judge by now, is left: its turn comes again. So is what cannot be judged.
    """
    with workspace.database.read() as tx:
        found = [verdict for key in keys if (verdict := _verdict(workspace, tx, key, now)) is not None]

    def keep(tx: Transaction) -> int:
        mine = fence(tx)
        return sum(_keep(tx, *judged, now) for judged in found if judged[0].deployment in mine)

    return workspace.database.write(keep) if found else 0


def _verdict(workspace: Workspace, tx: Transaction, key: WindowKey, now: int) -> tuple[Watch, Reference, WindowVerdict] | None:
    watch = store.find_watch(tx, key.stream.deployment, key.stream.version)
    if watch is None:
        return None
    try:
        span = _span(tx, key, watch)
        reference = load_reference(workspace.objects, watch.reference)
        remember(watch.reference, reference)
        against, fresh = choose(tx, watch, reference, span), not was_well(tx, key.stream, key.start)
        return watch, reference, judge_span(watch, reference, span, now, against, fresh=fresh)
    except PerenneError as error:  # one that is damaged keeps no other back
        _log.error("window %s cannot be judged: %s", key.id, error)
        return None


def _keep(tx: Transaction, watch: Watch, reference: Reference, verdict: WindowVerdict, now: int) -> bool:
    if not store.mark_judged(tx, verdict.key, verdict.revision):
        return False
    fix(tx, watch, settle(tx, watch, expecting.carry_on(tx, verdict, reference), now), now)
    return True


def settle(tx: Transaction, watch: Watch, verdict: WindowVerdict, now: int) -> WindowVerdict:
    """Hold what is known of a window against objectives and guardrails, keep the verdict, and let it move the alerts."""
    key, metrics = verdict.key, row_store.list_metrics(tx, verdict.key)
    bounds: tuple[BoundState, ...] = ()
    if verdict.state is not WindowState.GAP:
        known = bound_states(watch, verdict, metrics, row_store.list_groups(tx, key))
        bounds = (*known, *effects.effect_states(tx, watch, verdict))
    settled = _with_labels(tx, msgspec.structs.replace(verdict, bounds=bounds))
    store.save_verdict(tx, settled)
    if speaks(tx, key.stream):
        found = [*findings_of(watch, settled), *effects.feedback_findings(watch, settled)]
        found += told.findings_of(watch, settled, metrics)
        advance(tx, watch, key, own_rules.applied(watch, settled, found), now)
    return settled


def _with_labels(tx: Transaction, verdict: WindowVerdict) -> WindowVerdict:
    """Add what the labels that have come say beyond metrics."""
    labelled = row_store.found_in(tx, verdict.key)
    states = {} if labelled is None else stream_store.states(tx, verdict.key.stream)
    return told.complete(verdict, labelled, {segment: state.firings for segment, (_, state) in states.items()})


def speaks(tx: Transaction, stream: Stream) -> bool:
    """Tell whether windows are of who answers: the champion, or the previous version that stands in for a stopped one.

    A champion whose deployment is served elsewhere is taken to be the one that answers.
    """
    try:
        deployment = serving.service.get_deployment(tx, stream.deployment)
    except NotFound:
        return stream.variant == CHAMPION
    return any((variant.role.value, variant.version) == (stream.variant, stream.version) for variant in deployment.answering)


def _close_superseded(workspace: Workspace, now: int) -> None:
    """Resolve the alerts of versions that no longer answer: their windows can neither confirm nor clear them."""

    def left(tx: Transaction) -> list[AlertLine]:
        lines = [line for line in alert_store.open_lines(tx) if line.version]
        answering = serving.service.named(tx, {line.deployment for line in lines}) if lines else {}
        return [
            line
            for line in lines
            if line.deployment in answering
            and line.version not in [variant.version for variant in answering[line.deployment].answering]
        ]

    def close(tx: Transaction) -> None:
        for line in left(tx):
            alert = alert_store.find_alert(tx, line.id)
            assert alert is not None
            resolve_alert(tx, MONITOR, alert, f"{alert.version} no longer answers", now)

    with workspace.database.read() as tx:
        superseded = left(tx)
    if superseded:
        workspace.database.write(close)


def _span(tx: Transaction, key: WindowKey, watch: Watch) -> list[Window]:
    """Return the window after those right before it that had too few rows and wait to be judged with the next; oldest first."""
    most = GATHERED_WINDOWS if watch.plan.every_rows else MERGED_WINDOWS
    earliest = key.start - (most - 1) * key.length - key.length // 8  # days differ where the clocks are changed
    *earlier, window = store.windows_between(tx, key, earliest)
    span = [window]
    for before in reversed(earlier):
        verdict = store.find_verdict(tx, before.key)
        if verdict is None or verdict.state is not WindowState.TOO_FEW:
            break
        span.insert(0, before)
    return span


def judge_span(
    watch: Watch,
    reference: Reference,
    span: Sequence[Window],
    now: int,
    against: Chosen = REFERENCE,
    *,
    fresh: bool = False,
) -> WindowVerdict:
    """Judge a window merged with those before it that had too few rows.

    Parameters
    ----------
    span : sequence of Window
        Oldest first; the last is the one the verdict is about.
    against : Chosen
        What it is compared with.
    fresh : bool
        No window of the version has been well so far.
    """
    window = span[-1]
    rows, dropped = sum(part.rows for part in span), sum(part.dropped for part in span)
    verdict = WindowVerdict(
        deployment=window.deployment,
        variant=window.variant,
        version=window.version,
        window_start=window.window_start,
        window_length=window.window_length,
        span_start=span[0].window_start,
        revision=window.revision,
        state=WindowState.GAP,
        rows=rows,
        needed_rows=drift.MINIMUM_ROWS,
        dropped_share=dropped / (rows + dropped) if rows + dropped else 0.0,
        agreement=window.agreed / window.compared if window.compared else None,
        baseline=against.kind.value,
        baseline_words=against.words,
        judged=now,
    )
    if verdict.dropped_share > BLIND_SHARE:
        return verdict
    if not rows and not window.errors:
        return msgspec.structs.replace(verdict, state=WindowState.NO_DATA)
    return _compared(verdict, watch, reference, span, against, fresh=fresh)


def _compared(
    verdict: WindowVerdict, watch: Watch, reference: Reference, span: Sequence[Window], against: Chosen, *, fresh: bool
) -> WindowVerdict:
    """Add what the profile tells: drift, performance estimated from the scores, and how the service did."""
    profile = Profile.empty(reference)
    for part in span:
        profile.merge(Profile.from_bytes(part.profile, reference))
    minimum, comparisons = max(watch.plan.minimum_rows, watch.plan.every_rows), comparisons_of(reference)
    found = drift.judge(reference, profile, minimum_rows=minimum, against=against.standard, comparisons=comparisons)
    found = judge_chosen(reference, profile, found, watch.plan.choices, against=against.standard)
    window = span[-1]
    worth = watch.plan.performance.worth
    figures = {} if reference.calibration is None else estimate(reference.calibration, profile, worth)
    whole = [] if found.state == "too_few" else [cause_of(feature) for feature in found.features if feature.state != "ok"]
    causes = whole if found.state == "too_few" else with_segments(whole, segment_causes(watch, reference, span, comparisons))
    schema = schema_changes(reference, profile, window.columns)
    state, causes = _weighed(WindowState(found.state), causes, against)
    return msgspec.structs.replace(
        verdict,
        state=state,
        needed_rows=found.needed_rows,
        causes=tuple(causes),
        lines=() if found.state == "too_few" else lines_of(found),
        skew=fresh and against.kind is BaselineKind.TRAINING and state is WindowState.ALARM,
        schema=tuple(change.words for change in schema),
        schema_broken=any(change.broken for change in schema),
        measured={
            **operational_figures(window.latency, window.rows, window.errors),
            **list_measures(reference, profile),
            **_answered(figures, profile.rows),
            **effects.concentration_figures(watch, reference.layout, profile),
        },
        estimated=_estimated(figures, profile.rows),
        missing=_missing(found.features),
        unsure=doubts(reference, profile),
        contributions=relations(reference, profile),
    )


def _missing(features: Sequence[drift.FeatureDrift]) -> dict[str, float]:
    """Return the features that miss values, the most first."""
    ranked = sorted(features, key=lambda feature: -(finite(feature.missing_window) or 0.0))
    shares = {feature.name: finite(feature.missing_window) or 0.0 for feature in ranked[:MOST_MISSING]}
    return {name: share for name, share in shares.items() if share}


def _weighed(state: WindowState, causes: list[Cause], against: Chosen) -> tuple[WindowState, list[Cause]]:
    """Return how the window stands with what moved in its segments.

    While production is getting to be known, that it is not like training is told and no alarm, unless values are missing.
    """
    if state in (WindowState.OK, WindowState.WARN) and causes:
        worst = WindowState.ALARM if any(cause.state == "alarm" for cause in causes) else WindowState.WARN
        state = max(state, worst, key=[WindowState.OK, WindowState.WARN, WindowState.ALARM].index)
    if against.learning and state is WindowState.ALARM and all(cause.missing_rise <= NULL_BURST for cause in causes):
        return WindowState.WARN, [msgspec.structs.replace(cause, state="warn") for cause in causes]
    return state, causes


def _answered(told: Mapping[str, Estimate], rows: int) -> dict[str, Figure]:
    """Return what the answers alone are, whatever comes true: the share of positive ones, which needs no label."""
    if SELECTION_RATE not in told:
        return {}
    rate = told[SELECTION_RATE].value
    low, high = wilson(round(rate * rows), rows, Z)
    return {SELECTION_RATE: Figure(value=rate, low=low, high=high, rows=rows)}


def _estimated(told: Mapping[str, Estimate], rows: int) -> dict[str, Figure]:
    return {
        name: Figure(
            value=finite(found.value),
            low=finite(found.value - Z * found.sd),
            high=finite(found.value + Z * found.sd),
            source="estimated",
            rows=rows,
        )
        for name, found in told.items()
        if name != SELECTION_RATE
    }
