"""From a verdict to what it says about each alert rule: pure."""

from collections.abc import Callable

import msgspec

from perenne.core.events import Event
from perenne.monitoring.events import DriftFound, GuardrailBreached, ObjectiveMissed, SchemaChanged
from perenne.monitoring.model import (
    TOP_CAUSES,
    BoundState,
    Cause,
    Outcome,
    Severity,
    Standing,
    Watch,
    WindowState,
    WindowVerdict,
)

NULL_BURST = 0.5
MIN_SCHEMA_ROWS = 50

_DRIFT_OUTCOMES = {
    WindowState.OK: Outcome.CLEAR,
    WindowState.WARN: Outcome.CLEAR,
    WindowState.ALARM: Outcome.ALARM,
    WindowState.TOO_FEW: Outcome.UNKNOWN,
    WindowState.GAP: Outcome.UNKNOWN,
    WindowState.NO_DATA: Outcome.UNKNOWN,
}
_BOUND_OUTCOMES = {
    Standing.MET: Outcome.CLEAR,
    Standing.MISSED: Outcome.ALARM,
    Standing.UNSURE: Outcome.UNKNOWN,
    Standing.UNKNOWN: Outcome.UNKNOWN,
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one window says about one alert rule.

    Attributes
    ----------
    confirm : int
        Alarm windows in a row before the alert fires.
    summary : str
        One sentence for people.
    event : callable, optional
        Makes the event that goes out if the alert fires, given the alert's id.
    clear : int
        Windows without alarm before it is resolved; 0 for the watch's own number.
    channels : tuple of str
        Who is told; by the channels' own routes if none is named.
    """

    rule: str
    outcome: Outcome
    severity: Severity
    confirm: int
    summary: str
    causes: tuple[Cause, ...] = ()
    event: Callable[[str], Event] | None = None
    clear: int = 0
    channels: tuple[str, ...] = ()


def findings_of(watch: Watch, verdict: WindowVerdict) -> list[Finding]:
    """Return what a window's verdict says about every rule it can speak of."""
    found = [_drift(watch, verdict), *(_bound(watch, verdict, state) for state in verdict.bounds)]
    return [*found, *_schema(watch, verdict)]


def _drift(watch: Watch, verdict: WindowVerdict) -> Finding:
    alarming = tuple(cause for cause in verdict.causes if cause.state == "alarm")
    burst = any(cause.missing_rise > NULL_BURST for cause in alarming)
    top = alarming[:TOP_CAUSES]
    more = f" and {len(alarming) - TOP_CAUSES} more" if len(alarming) > TOP_CAUSES else ""
    return Finding(
        rule="drift",
        outcome=_DRIFT_OUTCOMES[verdict.state],
        severity=Severity.CRITICAL if burst else Severity.WARNING,
        confirm=1 if burst else watch.confirm,
        summary="drift: " + "; ".join(f"{cause.where}: {cause.sentence}" for cause in top) + more + _skewed(verdict),
        causes=top,
        event=lambda alert: _drift_found(verdict, tuple(dict.fromkeys(cause.feature for cause in alarming)), alert),
    )


def _skewed(verdict: WindowVerdict) -> str:
    """What differs since the first window has not drifted: serving gives the model something else than training did."""
    return "; so since the first window (training-serving skew)" if verdict.skew else ""


def _drift_found(verdict: WindowVerdict, features: tuple[str, ...], alert: str) -> DriftFound:
    return DriftFound(
        deployment=verdict.deployment,
        version=verdict.version,
        window_start=verdict.window_start,
        features=features,
        alert=alert,
    )


def _schema(watch: Watch, verdict: WindowVerdict) -> list[Finding]:
    """Columns that are missing or of another type; new ones are told with them, and alone they are no alarm."""
    if verdict.state in (WindowState.GAP, WindowState.NO_DATA):
        return []
    few = verdict.rows < min(watch.plan.minimum_rows, MIN_SCHEMA_ROWS)
    outcome = Outcome.ALARM if verdict.schema_broken else Outcome.CLEAR
    return [
        Finding(
            rule="schema",
            outcome=Outcome.UNKNOWN if few else outcome,
            severity=Severity.CRITICAL,
            confirm=1,
            summary="schema: " + "; ".join(verdict.schema[:TOP_CAUSES]),
            event=lambda alert: SchemaChanged(
                deployment=verdict.deployment,
                version=verdict.version,
                window_start=verdict.window_start,
                changes=verdict.schema,
                alert=alert,
            ),
        )
    ]


def _bound(watch: Watch, verdict: WindowVerdict, state: BoundState) -> Finding:
    guardrail = state.kind == "guardrail"
    return Finding(
        rule=state.rule,
        outcome=_overruled(verdict, state) or _BOUND_OUTCOMES[state.standing],
        severity=Severity.CRITICAL if guardrail else Severity.WARNING,
        confirm=1 if guardrail else watch.confirm,
        summary=sentence(state),
        event=None if state.kind == "alert" else lambda alert: _bound_event(verdict, state, alert),
    )


def _overruled(verdict: WindowVerdict, state: BoundState) -> Outcome | None:
    """What labels say takes the place of what was estimated for the same window."""
    if state.figure.source != "estimated":
        return None
    for other in verdict.bounds:
        if (other.kind, other.bound, other.figure.source) == (state.kind, state.bound, "realised"):
            return {Standing.MET: Outcome.CLEAR, Standing.MISSED: Outcome.UNKNOWN}.get(other.standing)
    return None


def sentence(state: BoundState) -> str:
    """Say how a bound stands.

    >>> from perenne.monitoring.model import Figure
    >>> figure = Figure(value=0.6, low=0.58, high=0.62, source="realised", rows=1842)
    >>> missed = Standing.MISSED
    >>> sentence(BoundState(kind="objective", bound="roc_auc", limit=0.64, at_least=True, standing=missed, figure=figure))
    'roc_auc is 0.6 (0.58 to 0.62), must be at least 0.64; realised on 1,842 rows'
    """
    figure = state.figure
    value = "unknown" if figure.value is None else f"{figure.value:.3g}"
    interval = f" ({figure.low:.3g} to {figure.high:.3g})" if figure.low is not None and figure.high is not None else ""
    worst = f" in {figure.group}" if figure.group else ""
    must = "at least" if state.at_least else "at most"
    counted = "requests" if state.bound.startswith("latency") else "rows"
    return (
        f"{state.bound} is {value}{interval}{worst}, must be {must} {state.limit:g}; {figure.source} on {figure.rows:,} {counted}"
    )


def _bound_event(verdict: WindowVerdict, state: BoundState, alert: str) -> Event:
    value = state.figure.value if state.figure.value is not None else float("nan")
    if state.kind == "guardrail":
        return GuardrailBreached(
            deployment=verdict.deployment,
            version=verdict.version,
            guardrail=state.bound,
            value=value,
            threshold=state.limit,
            source=state.figure.source,
            group=state.figure.group,
            window_start=verdict.window_start,
            alert=alert,
            stop=state.stop,
        )
    return ObjectiveMissed(
        deployment=verdict.deployment,
        version=verdict.version,
        objective=state.bound,
        value=value,
        threshold=state.limit,
        source=state.figure.source,
        window_start=verdict.window_start,
        alert=alert,
    )
