"""The dashboard for Grafana, in its classic model, which every Grafana since 8 takes in; pure.

Source: https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/.
"""

from typing import Any, NamedTuple

SCHEMA = 39
WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OURS = '{deployment=~"$deployment"}'


class Query(NamedTuple):
    """A question to Prometheus, and what its lines are called."""

    expression: str
    legend: str = ""


class Panel(NamedTuple):
    """A panel: how wide (of 24) and high it is, what it shows, in what unit, and from where on it is coloured."""

    title: str
    kind: str
    width: int
    height: int
    queries: tuple[Query, ...]
    unit: str = "short"
    limits: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    description: str = ""


def _rate(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{labels}[$__rate_interval]))"


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (deployment, le) (rate({metric}_bucket{_OURS}[$__rate_interval])))"


_RED = ((None, "green"), (1.0, "red"))
PANELS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Now",
        (
            Panel("Alerts firing", "stat", 4, 4, (Query('sum(perenne_alerts{state="firing"}) or vector(0)'),), limits=_RED),
            Panel("Critical", "stat", 4, 4, (Query('sum(perenne_alerts{severity="critical"}) or vector(0)'),), limits=_RED),
            Panel("Guardrails breached", "stat", 4, 4, (Query(f"sum(perenne_guardrail_breached{_OURS})"),), limits=_RED),
            Panel("Largest drift", "stat", 4, 4, (
                Query('max(perenne_drift{deployment=~"$deployment", feature="_max", statistic="js2"})'),
            ), unit="none", limits=((None, "green"), (0.002, "orange"), (0.02, "red"))),
            Panel("Least label coverage", "stat", 4, 4, (Query(f"min(perenne_label_coverage{_OURS})"),), unit="percentunit",
                  limits=((None, "orange"), (0.3, "green"))),
            Panel("Oldest newest window", "stat", 4, 4, (
                Query(f"time() - min(perenne_window_end_timestamp_seconds{_OURS})"),
            ), unit="s"),
        ),
    ),
    (
        "Drift",
        (
            Panel("Drift by deployment", "timeseries", 12, 8, (
                Query('perenne_drift{deployment=~"$deployment", feature="_max", statistic="js2"}', "{{deployment}} {{version}}"),
            ), unit="none", limits=((None, "green"), (0.002, "orange")),
                description="The largest divergence of a feature from its reference; 0.002 is what counts as material."),
            Panel("Features that drift most", "timeseries", 12, 8, (
                Query('topk(10, perenne_drift{deployment=~"$deployment", feature!="_max", statistic="js2"})',
                      "{{deployment}} {{feature}}"),
            ), unit="none"),
            Panel("Missing values", "timeseries", 12, 8, (
                Query('topk(10, perenne_missing_ratio{deployment=~"$deployment", feature!="_max"})',
                      "{{deployment}} {{feature}}"),
            ), unit="percentunit"),
            Panel("Drift alerts fired in a week", "bargauge", 12, 8, (
                Query(f"sum by (deployment) (increase(perenne_drift_alarms_total{_OURS}[7d]))", "{{deployment}}"),
            )),
        ),
    ),
    (
        "Performance and guardrails",
        (
            Panel("Estimated and realised", "timeseries", 12, 8, (
                Query(f"perenne_performance{_OURS}", "{{deployment}} {{metric}} ({{source}})"),
            ), unit="none"),
            Panel("Guardrails", "timeseries", 12, 8, (
                Query(f"perenne_guardrail{_OURS}", "{{deployment}} {{metric}} {{group}} ({{source}})"),
            ), unit="none"),
            Panel("Fairness", "timeseries", 12, 8, (
                Query(f"perenne_fairness{_OURS}", "{{deployment}} {{metric}} by {{by}}"),
            ), unit="none"),
            Panel("Rows and label coverage", "timeseries", 12, 8, (
                Query(f"perenne_window_rows{_OURS}", "{{deployment}} rows"),
                Query(f"perenne_label_coverage{_OURS}", "{{deployment}} share with a label"),
            )),
        ),
    ),
    (
        "Answers (from model servers)",
        (
            Panel("Rows answered", "timeseries", 8, 8, (
                Query(_rate("perenne_predictions_total", _OURS, "deployment, variant"), "{{deployment}} {{variant}}"),
            ), unit="reqps"),
            Panel("Requests that failed", "timeseries", 8, 8, (
                Query(_rate("perenne_requests_total", '{deployment=~"$deployment", outcome!="ok"}', "deployment, outcome"),
                      "{{deployment}} {{outcome}}"),
            ), unit="reqps"),
            Panel("Latency", "timeseries", 8, 8, (
                Query(_quantile(0.5, "perenne_predict_seconds"), "{{deployment}} p50"),
                Query(_quantile(0.99, "perenne_predict_seconds"), "{{deployment}} p99"),
            ), unit="s"),
        ),
    ),
    (
        "The loop",
        (
            Panel("Retraining", "timeseries", 8, 6, (Query("perenne_episodes", "{{state}}"),)),
            Panel("Jobs that wait", "timeseries", 8, 6, (Query('perenne_jobs{state="queued"}', "{{kind}}"),)),
            Panel("Turns of the loop that failed", "timeseries", 8, 6, (
                Query("sum by (part) (rate(perenne_loop_failures_total[$__rate_interval]))", "{{part}}"),
            )),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    return {
        "uid": "perenne",
        "title": "perenne",
        "description": "Models in production: alerts, drift, performance, guardrails, answers.",
        "tags": ["perenne", "mlops"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "1m",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "links": [],
        "annotations": {"list": [_annotation()]},
        "templating": {"list": _variables()},
        "panels": _panels(),
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "regex": "",
            "refresh": 1,
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "current": {},
            "options": [],
        },
        {
            "name": "deployment",
            "label": "Deployment",
            "type": "query",
            "datasource": _SOURCE,
            "definition": "label_values(perenne_model_info, deployment)",
            "query": {"query": "label_values(perenne_model_info, deployment)", "refId": "deployment"},
            "regex": "",
            "refresh": 2,
            "sort": 1,
            "hide": 0,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
        },
    ]


def _annotation() -> dict[str, Any]:
    return {
        "name": "Another version",
        "datasource": _SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": f"perenne_model_info{_OURS} unless perenne_model_info{_OURS} offset 5m",
        "titleFormat": "{{deployment}}: {{version}}",
        "step": "5m",
    }


def _panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    top = 0
    for title, panels in PANELS:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        found.append({"id": len(found) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []})
        top, left, height = top + 1, 0, 0
        for panel in panels:
            if left + panel.width > WIDTH:
                top, left, height = top + height, 0, 0
            found.append(_panel(panel, len(found) + 1, left, top))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return found


def _panel(panel: Panel, identity: int, left: int, top: int) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.limits]
    return {
        "id": identity,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
        "targets": [_target(query, number) for number, query in enumerate(panel.queries)],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": _OPTIONS[panel.kind],
    }


def _target(query: Query, number: int) -> dict[str, Any]:
    return {
        "refId": "ABCDEFGH"[number],
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "editorMode": "code",
        "range": True,
    }


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"reduceOptions": _LAST, "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "bargauge": {"reduceOptions": _LAST, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True},
}
