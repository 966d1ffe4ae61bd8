"""The pure rules: what a verdict says about each alert, how figures stand against bounds, and operational figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.clock import HOUR
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.monitoring.findings import findings_of
from perenne.monitoring.model import (
    BoundState,
    Cause,
    Figure,
    Outcome,
    Severity,
    Standing,
    Watch,
    WindowState,
    WindowVerdict,
    stand,
)
from perenne.monitoring.operational import latency_quantile, operational_figures
from perenne.projects import Guardrail, Objective

WATCH = Watch(deployment="d", version="m@1", project="p", reference="0" * 64, window_length=HOUR)
LOW, GOOD = Figure(value=0.5, low=0.45, high=0.55, rows=900), Figure(value=0.7, low=0.65, high=0.75, rows=900)


def verdict(state: WindowState, causes: tuple[Cause, ...] = (), bounds: tuple[BoundState, ...] = ()) -> WindowVerdict:
    return WindowVerdict(
        deployment="d",
        variant="champion",
        version="m@1",
        window_start=0,
        window_length=HOUR,
        span_start=0,
        revision=1,
        state=state,
        rows=900,
        needed_rows=200,
        dropped_share=0.0,
        causes=causes,
        bounds=bounds,
    )


def cause(feature: str, missing_rise: float = 0.0, state: str = "alarm") -> Cause:
    return Cause(feature, state, 0.1, 0.2, 0.3, "it changed", missing_rise)


def state_of(source: str, figure: Figure, kind: type[Objective] | type[Guardrail] = Objective) -> BoundState:
    known = Figure(value=figure.value, low=figure.low, high=figure.high, source=source, rows=figure.rows)
    return stand(kind("roc_auc", at_least=0.6), known)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (WindowState.OK, Outcome.CLEAR),
        (WindowState.WARN, Outcome.CLEAR),
        (WindowState.ALARM, Outcome.ALARM),
        (WindowState.TOO_FEW, Outcome.UNKNOWN),
        (WindowState.GAP, Outcome.UNKNOWN),
    ],
)
def test_what_a_window_says_about_drift(state: WindowState, outcome: Outcome) -> None:
    finding, *_ = findings_of(WATCH, verdict(state))
    assert (finding.rule, finding.outcome, finding.confirm) == ("drift", outcome, 2)


def test_a_burst_of_missing_values_is_critical_and_needs_no_second_window() -> None:
    slight, burst = (findings_of(WATCH, verdict(WindowState.ALARM, (cause("a", rise),)))[0] for rise in (0.5, 0.51))
    assert (slight.severity, slight.confirm) == (Severity.WARNING, 2)
    assert (burst.severity, burst.confirm) == (Severity.CRITICAL, 1)


def test_a_message_names_five_causes_and_counts_the_rest() -> None:
    causes = (*(cause(name) for name in "abcdefg"), cause("z", state="warn"))
    finding, *_ = findings_of(WATCH, verdict(WindowState.ALARM, causes))
    assert [item.feature for item in finding.causes] == list("abcde")
    assert finding.summary.endswith("and 2 more")


@pytest.mark.parametrize(
    ("realised", "outcome"),
    [(None, Outcome.ALARM), (GOOD, Outcome.CLEAR), (LOW, Outcome.UNKNOWN), (Figure(value=None), Outcome.ALARM)],
    ids=["no labels", "labels say it is met", "labels say it is missed", "labels say nothing"],
)
def test_labels_take_the_place_of_an_estimate(realised: Figure | None, outcome: Outcome) -> None:
    bounds = (state_of("estimated", LOW), *([] if realised is None else [state_of("realised", realised)]))
    estimated = next(item for item in findings_of(WATCH, verdict(WindowState.OK, bounds=bounds)) if "estimated" in item.rule)
    assert estimated.outcome is outcome


def test_a_guardrail_is_critical_and_needs_no_second_window() -> None:
    bounds = (state_of("realised", LOW, Guardrail), state_of("realised", LOW))
    _, guardrail, objective, *_ = findings_of(WATCH, verdict(WindowState.OK, bounds=bounds))
    assert (guardrail.severity, guardrail.confirm, guardrail.outcome) == (Severity.CRITICAL, 1, Outcome.ALARM)
    assert (objective.severity, objective.confirm, objective.outcome) == (Severity.WARNING, 2, Outcome.ALARM)


@given(value=st.floats(0, 1), spread=st.floats(0, 0.5), limit=st.floats(0, 1), at_least=st.booleans())
def test_missed_means_the_whole_interval_lies_beyond_the_limit(value: float, spread: float, limit: float, at_least: bool) -> None:
    bound = Objective("x", at_least=limit) if at_least else Objective("x", at_most=limit)
    low, high = value - spread, value + spread
    standing = stand(bound, Figure(value=value, low=low, high=high)).standing
    beyond = high < limit if at_least else low > limit
    met = value >= limit if at_least else value <= limit
    assert standing is (Standing.MET if met else Standing.MISSED if beyond else Standing.UNSURE)


def test_a_figure_without_an_interval_or_not_trusted_never_misses() -> None:
    bound = Objective("x", at_least=0.5)
    assert stand(bound, Figure(value=0.1)).standing is Standing.UNSURE
    assert stand(bound, Figure(value=0.1, low=0.0, high=0.2), trusted=False).standing is Standing.UNKNOWN
    assert stand(bound, Figure(value=float("nan"))).standing is Standing.UNKNOWN


@given(st.lists(st.integers(1, 20_000_000), min_size=1, max_size=300), st.floats(0, 1))
def test_a_latency_quantile_lies_in_the_cell_of_the_exact_one(latencies: list[int], share: float) -> None:
    cells = np.searchsorted(LATENCY_EDGES_US, latencies, side="left")
    counts = np.bincount(cells, minlength=len(LATENCY_EDGES_US) + 1).tolist()
    exact = sorted(latencies)[max(0, int(np.ceil(share * len(latencies))) - 1)]
    cell = int(np.searchsorted(LATENCY_EDGES_US, exact, side="left"))
    low = LATENCY_EDGES_US[cell - 1] if cell else 0
    high = LATENCY_EDGES_US[cell] if cell < len(LATENCY_EDGES_US) else LATENCY_EDGES_US[-1] * 1.5
    assert low / 1_000 <= latency_quantile(counts, share) <= high / 1_000


def test_operational_figures_are_surer_with_more_requests() -> None:
    def latency(fast: int, slow: int) -> list[int]:
        counts = [0] * (len(LATENCY_EDGES_US) + 1)
        counts[10], counts[30] = fast, slow
        return counts

    few, many = operational_figures(latency(49, 1), 50, 1), operational_figures(latency(98_000, 2_000), 100_000, 2_000)
    limit = Objective("latency_p99_ms", at_most=10)
    assert stand(limit, few["latency_p99_ms"]).standing is Standing.UNSURE
    assert stand(limit, many["latency_p99_ms"]).standing is Standing.MISSED
    rate = Objective("error_rate", at_most=0.01)
    assert stand(rate, few["error_rate"]).standing is Standing.UNSURE
    assert stand(rate, many["error_rate"]).standing is Standing.MISSED
    assert many["availability"].value == pytest.approx(1 - many["error_rate"].value)  # type: ignore[operator]


def test_no_requests_give_no_operational_figures() -> None:
    assert operational_figures([0] * (len(LATENCY_EDGES_US) + 1), 0, 0) == {}
