"""Rules of a project: figures, features and those there are anyway, with their own limits, windows, severity and channels."""

from typing import Any

import msgspec
import pytest
from tests.monitoring.alerting.conftest import watch_of

import perenne as pn
from perenne.core.clock import HOUR
from perenne.core.errors import Invalid
from perenne.monitoring.bounds import bound_states
from perenne.monitoring.findings import Finding, findings_of
from perenne.monitoring.model import Cause, Figure, Outcome, Severity, WindowMetric, WindowState, WindowVerdict
from perenne.monitoring.own_rules import applied


def found(*alerts: pn.Alert, metrics: tuple[WindowMetric, ...] = (), **values: Any) -> dict[str, Finding]:
    """What a window says, by rule."""
    watch = watch_of("churn", plan=pn.Monitoring(alerts=alerts))
    given: dict[str, Any] = {"state": WindowState.OK, "rows": 1_000} | values
    verdict = WindowVerdict(
        deployment="churn", variant="champion", version="churn@1", window_start=0, window_length=HOUR, span_start=0,
        revision=1, needed_rows=200, dropped_share=0.0, **given,
    )  # fmt: skip
    settled = msgspec.structs.replace(verdict, bounds=bound_states(watch, verdict, metrics, {}))
    return {finding.rule: finding for finding in applied(watch, settled, findings_of(watch, settled))}


def figure(value: float, margin: float = 0.0) -> Figure:
    return Figure(value=value, low=value - margin, high=value + margin)


@pytest.mark.parametrize(
    ("value", "margin", "outcome"), [(90, 5, "alarm"), (82, 5, "unknown"), (70, 5, "clear"), (80, 0, "clear")]
)
def test_a_figure_alarms_beyond_its_limit_if_its_whole_interval_lies_there(value: float, margin: float, outcome: str) -> None:
    rule = pn.Alert("latency_p99_ms", above=80, severity="critical", channels=("pager",), clear=5)
    finding = found(rule, measured={"latency_p99_ms": figure(value, margin)})["alert:latency_p99_ms > 80:measured"]
    assert finding.outcome == outcome
    assert (finding.severity, finding.confirm, finding.clear, finding.channels) == (Severity.CRITICAL, 1, 5, ("pager",))
    assert finding.event is None, "an alert of a project's own retrains and stops nothing"


def test_rows_coverage_and_the_like_are_figures_too() -> None:
    row = WindowMetric(
        deployment="churn", variant="champion", version="churn@1", window_start=0, window_length=HOUR, metric="accuracy",
        n_labelled=100, rows_labelled=100, watermark=0, value=0.9, low=0.8, high=0.95, rows=1_000,
    )  # fmt: skip
    rules = (pn.Alert("rows", below=2_000), pn.Alert("label_coverage", below=0.2, confirm=3))
    said = found(*rules, metrics=(row,))
    assert said["alert:rows < 2000:measured"].outcome is Outcome.ALARM
    assert (said["alert:label_coverage < 0.2:measured"].outcome, said["alert:label_coverage < 0.2:measured"].confirm) == (
        "alarm",
        3,
    )
    assert found(pn.Alert("label_coverage", below=0.2))["alert:label_coverage < 0.2:measured"].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (pn.Alert(feature="wind"), "alarm"),
        (pn.Alert(feature="rain"), "clear"),
        (pn.Alert(feature="rain", measure="missing_rise", above=0.05), "alarm"),
        (pn.Alert(feature="rain", measure="missing_rise", above=0.5), "clear"),
        (pn.Alert(feature="wind", measure="impact", above=0.1), "alarm"),
        (pn.Alert(feature="other", measure="js2", above=0.001), "clear"),
        (pn.Alert(feature="rain", measure="ks", above=0.001), "clear"),
    ],
)
def test_a_feature_alarms_by_its_verdict_or_by_a_measure(rule: pn.Alert, outcome: str) -> None:
    causes = (
        Cause("wind", "alarm", 0.2, 0.3, -0.15, "median 1 -> 5"),
        Cause("rain", "warn", 0.01, None, 0.0, "missing 0 % -> 20 %", missing_rise=0.2),
    )
    assert found(rule, state=WindowState.ALARM, causes=causes)[f"alert:{rule.id}"].outcome == outcome
    assert found(rule, state=WindowState.TOO_FEW, causes=causes)[f"alert:{rule.id}"].outcome is Outcome.UNKNOWN


def test_drift_can_be_less_urgent_go_elsewhere_or_be_switched_off() -> None:
    causes = (Cause("wind", "alarm", 0.2, 0.3, 0.1, "median 1 -> 5"),)
    said = found(pn.Alert("drift", severity="info", confirm=4, channels=("post",)), state=WindowState.ALARM, causes=causes)[
        "drift"
    ]
    assert (said.outcome, said.severity, said.confirm, said.channels) == ("alarm", "info", 4, ("post",))
    assert said.event is not None, "automation hears of it all the same"
    assert found(pn.Alert("drift", off=True), state=WindowState.ALARM, causes=causes)["drift"].outcome is Outcome.CLEAR


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "either a figure or a feature"),
        ({"figure": "roc_auc"}, "needs above or below"),
        ({"figure": "roc_auc", "above": 1, "below": 0}, "both above and below"),
        ({"figure": "roc_auc", "above": float("nan")}, "no number"),
        ({"figure": "drift", "above": 1}, "no limit"),
        ({"figure": "no_data", "below": 1}, "no lower limit"),
        ({"feature": "x", "measure": "js2"}, "together, or neither"),
        ({"feature": "x", "by": "y"}, "groups of figures"),
        ({"figure": "rows", "below": 1, "severity": "bad"}, "no severity"),
        ({"figure": "rows", "below": 1, "confirm": -1}, "0 or more"),
        ({"figure": "rows", "below": 1, "off": True}, "switch off"),
    ],
)
def test_what_is_no_rule_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        pn.Alert(**values)


def test_a_rule_stands_there_once() -> None:
    with pytest.raises(Invalid, match="two alerts on rows < 5"):
        pn.Monitoring(
            alerts=(
                pn.Alert("rows", below=5),
                pn.Alert("rows", below=5.0, severity="info"),
            )
        )
