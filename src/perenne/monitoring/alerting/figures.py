"""What monitoring has to tell Prometheus: drift, performance, coverage, guardrails, missing values, open alerts.

A gauge is of the newest judged window of each deployment's champion. Of features there are the twenty that matter most and
`_max`, however many a model has: nobody's scraper is filled by a wide table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from perenne.formats.prometheus import Family, Sample
from perenne.monitoring import alert_store, recent_store, store
from perenne.monitoring.disparity import is_disparity
from perenne.monitoring.measuring import HEADLINE
from perenne.monitoring.model import BoundState, Cause, WindowVerdict
from perenne.monitoring.recent_store import RecentMetric
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, near

TOP = 20
RECENT = 8
ALL = "_max"

Labels = Mapping[str, str]


class _State(msgspec.Struct, frozen=True):
    """What is known of every deployment."""

    verdicts: dict[str, WindowVerdict]
    realised: dict[str, dict[str, RecentMetric]]
    coverage: dict[str, float]
    runs: dict[str, str]
    alarms: dict[tuple[str, str], int]
    open: dict[tuple[str, str, str], int]


def families(tx: Transaction) -> list[Family]:
    """Return the metrics of everything that is watched."""
    state = _read(tx)
    found = [
        _family(state, "perenne_drift", "Distance of the newest window from its reference; feature _max is the largest.", _drift),
        _family(state, "perenne_missing_ratio", "Share of rows that miss a feature, of those that miss most.", _missing),
        _family(
            state, "perenne_performance", "Metrics of the newest window, estimated from scores or from labels.", _performance
        ),
        _family(state, "perenne_label_coverage", "Share of the rows of the newest labelled window with a label.", _coverage),
        _family(state, "perenne_window_rows", "Rows of the newest judged window.", lambda _, verdict: [({}, verdict.rows)]),
        _family(state, "perenne_window_end_timestamp_seconds", "When the newest judged window ended.", _end),
        _family(state, "perenne_fairness", "Differences and ratios between groups in the newest window.", _fairness),
        _family(state, "perenne_guardrail", "Figures that guardrails bound, in the newest window.", _guardrails),
        _family(state, "perenne_guardrail_breached", "Whether a guardrail is breached in the newest window.", _breached),
        _family(state, "perenne_model_info", "Always 1; the labels say which run made the champion.", _info),
    ]
    alarms = [
        Sample({"deployment": name, "model": version.rpartition("@")[0], "version": version}, count)
        for (name, version), count in sorted(state.alarms.items())
    ]
    found.append(Family("perenne_drift_alarms_total", "counter", "Drift alerts that have fired.", alarms))
    opened = [
        Sample({"kind": kind, "state": word, "severity": severity}, count)
        for (kind, word, severity), count in sorted(state.open.items())
    ]
    found.append(Family("perenne_alerts", "gauge", "Open alerts, by kind of rule.", opened))
    return found


def _read(tx: Transaction) -> _State:
    names = list(store.watched_projects(tx))
    verdicts = store.newest_verdicts(tx, names)
    wanted = sorted({metric for metrics in HEADLINE.values() for metric in metrics})
    realised: dict[str, dict[str, RecentMetric]] = {}
    coverage: dict[str, float] = {}
    for item in recent_store.metrics(tx, names, RECENT, wanted):  # oldest first: the newest stays
        coverage[item.deployment] = item.coverage
        if item.trusted:
            realised.setdefault(item.deployment, {})[item.metric] = item
    links = near(tx, Kind.VERSION, {verdict.version for verdict in verdicts.values()}, forwards=True, each=1)
    runs = {item.link.source: item.link.target for item in links if item.link.relation == "made_by"}
    return _State(verdicts, realised, coverage, runs, alert_store.count_fired(tx, "drift"), _open(tx))


def _open(tx: Transaction) -> dict[tuple[str, str, str], int]:
    found: dict[tuple[str, str, str], int] = {}
    for line in alert_store.open_lines(tx):
        kind = line.rule.partition(":")[0].partition(" ")[0]
        key = (kind, "pending" if line.fired is None else "firing", line.severity.value)
        found[key] = found.get(key, 0) + 1
    return found


Told = Callable[[_State, WindowVerdict], Iterable[tuple[Labels, float | None]]]


def _family(state: _State, name: str, description: str, told: Told) -> Family:
    samples = []
    for verdict in state.verdicts.values():
        base = {"deployment": verdict.deployment, "model": verdict.version.rpartition("@")[0], "version": verdict.version}
        samples += [Sample({**base, **labels}, value) for labels, value in told(state, verdict) if value is not None]
    return Family(name, "gauge", description, samples)


def _drift(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    ranked = sorted(verdict.causes, key=lambda cause: -abs(cause.impact or 0.0))
    for cause in ranked[:TOP]:
        yield from (({"feature": cause.feature, "statistic": name}, value) for name, value in _distances(cause).items())
    for name in ("js2", "ks"):
        values = [value for cause in verdict.causes if (value := _distances(cause)[name]) is not None]
        yield {"feature": ALL, "statistic": name}, max(values, default=0.0)


def _distances(cause: Cause) -> dict[str, float | None]:
    return {"js2": cause.js2, "ks": cause.ks_d}


def _missing(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    yield from (({"feature": name}, share) for name, share in list(verdict.missing.items())[:TOP])
    yield {"feature": ALL}, max(verdict.missing.values(), default=0.0)


def _performance(state: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    for metric, figure in verdict.estimated.items():
        yield {"metric": metric, "source": "estimated"}, figure.value
    for metric, item in state.realised.get(verdict.deployment, {}).items():
        yield {"metric": metric, "source": "realised"}, item.value


def _coverage(state: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    yield {}, state.coverage.get(verdict.deployment)


def _end(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    yield {}, verdict.key.end / 1e6


def _bound_labels(bound: BoundState) -> dict[str, str]:
    metric, _, by = bound.bound.partition(" by ")
    return {"metric": metric, "by": by, "group": bound.figure.group, "source": bound.figure.source}


def _fairness(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    for bound in verdict.bounds:
        labels = _bound_labels(bound)
        if bound.kind != "alert" and is_disparity(labels["metric"]):
            yield labels, bound.figure.value


def _guardrails(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    yield from ((_bound_labels(bound), bound.figure.value) for bound in verdict.bounds if bound.kind == "guardrail")


def _breached(_: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    for bound in verdict.bounds:
        if bound.kind == "guardrail":
            yield _bound_labels(bound), float(bound.standing == "missed")


def _info(state: _State, verdict: WindowVerdict) -> Iterator[tuple[Labels, float | None]]:
    yield {"run_id": state.runs.get(verdict.version, "")}, 1.0
