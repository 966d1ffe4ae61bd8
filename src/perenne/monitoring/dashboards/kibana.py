"""Saved objects for Kibana: a data view, two searches and a dashboard whose panels are by value in it; pure.

To be imported by `POST /api/saved_objects/_import?overwrite=true` or in Stack Management. What refers to something names it
in `references`, as Kibana asks; texts of JSON within JSON are its own form.
"""

import json
from typing import Any, NamedTuple

VIEW, DASHBOARD = "perenne-logs", "perenne-dashboard"
CORE = "8.8.0"
_SOURCE_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"


class Chart(NamedTuple):
    """A chart over time: its place in a grid of 48 columns, what is counted or averaged, of which documents, and by what."""

    title: str
    place: tuple[int, int, int, int]
    kind: str
    value: tuple[str, str]
    query: str
    by: str = ""


_DRIFT = 'event.dataset : "perenne.drift" and event.kind : "metric"'
_ALERTS = 'event.dataset : "perenne.drift" and event.kind : "alert"'
_ANSWERS = 'event.dataset : "perenne.inference"'
CHARTS = (
    Chart("Alerts fired", (0, 0, 24, 12), "bar_stacked", ("count", ""), f'{_ALERTS} and event.action : "firing"', "service.name"),
    Chart("Alerts by severity", (24, 0, 24, 12), "bar_stacked", ("count", ""), _ALERTS, "ml.drift.severity"),
    Chart("Drift by feature", (0, 12, 24, 14), "line", ("max", "ml.drift.value"), _DRIFT, "ml.drift.feature"),
    Chart("What drift does to the answer", (24, 12, 24, 14), "line", ("max", "ml.drift.impact"), _DRIFT, "ml.drift.feature"),
    Chart("Predictions", (0, 26, 24, 12), "bar_stacked", ("count", ""), _ANSWERS, "service.name"),
    Chart("Time to answer, ns", (24, 26, 24, 12), "line", ("average", "event.duration"), _ANSWERS, "service.name"),
)


def saved_objects() -> list[dict[str, Any]]:
    """Return the objects, what others refer to first."""
    return [
        _view(),
        _search("perenne-alerts", "perenne: alerts", _ALERTS, ["service.name", "event.action", "ml.drift.severity", "message"]),
        _search("perenne-answers", "perenne: predictions", _ANSWERS, ["service.name", "ml.model.version", "ml.prediction.label"]),
        _dashboard(),
    ]


def ndjson() -> str:
    """Write the objects as Kibana takes them in: one in a line."""
    return "".join(json.dumps(item, separators=(",", ":"), sort_keys=True) + "\n" for item in saved_objects())


def _object(kind: str, identity: str, attributes: dict[str, Any], references: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "id": identity,
        "type": kind,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": CORE,
        "managed": False,
    }


def _view() -> dict[str, Any]:
    attributes = {"title": "logs-perenne.*-*", "name": "perenne", "timeFieldName": "@timestamp", "fields": "[]"}
    return _object("index-pattern", VIEW, attributes, [])


def _search(identity: str, title: str, query: str, columns: list[str]) -> dict[str, Any]:
    source = {"query": {"query": query, "language": "kuery"}, "filter": [], "indexRefName": _SOURCE_REFERENCE}
    attributes = {
        "title": title,
        "description": "",
        "columns": columns,
        "sort": [["@timestamp", "desc"]],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    return _object("search", identity, attributes, [{"id": VIEW, "name": _SOURCE_REFERENCE, "type": "index-pattern"}])


def _dashboard() -> dict[str, Any]:
    panels = [_panel(chart, f"panel{number}") for number, chart in enumerate(CHARTS)]
    table = {
        "type": "search",
        "panelIndex": "table",
        "panelRefName": "panel_table",
        "gridData": {"x": 0, "y": 38, "w": 48, "h": 16, "i": "table"},
        "embeddableConfig": {"enhancements": {}},
    }
    references = [
        {"id": VIEW, "name": f"{panel['panelIndex']}:indexpattern-datasource-layer-layer1", "type": "index-pattern"}
        for panel in panels
    ]
    attributes = {
        "title": "perenne",
        "description": "Models in production: alerts, drift and answers.",
        "panelsJSON": json.dumps([*panels, table]),
        "optionsJSON": json.dumps({"useMargins": True, "syncColors": True, "hidePanelTitles": False}),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60_000},
        "version": 1,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": json.dumps({"query": {"query": "", "language": "kuery"}, "filter": []})
        },
    }  # fmt: skip
    last = {"id": "perenne-alerts", "name": "table:panel_table", "type": "search"}
    return _object("dashboard", DASHBOARD, attributes, [*references, last])


def _panel(chart: Chart, name: str) -> dict[str, Any]:
    x, y, width, height = chart.place
    return {
        "type": "lens",
        "panelIndex": name,
        "title": chart.title,
        "gridData": {"x": x, "y": y, "w": width, "h": height, "i": name},
        "embeddableConfig": {"attributes": _lens(chart), "enhancements": {}},
    }


def _lens(chart: Chart) -> dict[str, Any]:
    columns = {"time": _time(), "value": _value(*chart.value)} | ({"by": _terms(chart.by)} if chart.by else {})
    order = [*(["by"] if chart.by else []), "time", "value"]
    layer = {"columns": columns, "columnOrder": order, "incompleteColumns": {}}
    return {
        "title": chart.title,
        "visualizationType": "lnsXY",
        "type": "lens",
        "references": [{"id": VIEW, "name": "indexpattern-datasource-layer-layer1", "type": "index-pattern"}],
        "state": {
            "datasourceStates": {"formBased": {"layers": {"layer1": layer}}},
            "visualization": _drawn(chart),
            "query": {"query": chart.query, "language": "kuery"},
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _drawn(chart: Chart) -> dict[str, Any]:
    layer = {"layerId": "layer1", "layerType": "data", "seriesType": chart.kind, "xAccessor": "time", "accessors": ["value"]}
    return {
        "preferredSeriesType": chart.kind,
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "layers": [layer | ({"splitAccessor": "by"} if chart.by else {})],
    }


def _time() -> dict[str, Any]:
    return {
        "label": "@timestamp",
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": "@timestamp",
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }


def _value(operation: str, field: str) -> dict[str, Any]:
    label = "Count" if operation == "count" else f"{operation} of {field}"
    return {
        "label": label,
        "dataType": "number",
        "operationType": operation,
        "sourceField": field or "___records___",
        "isBucketed": False,
        "scale": "ratio",
        "params": {"emptyAsNull": True},
    }


def _terms(field: str) -> dict[str, Any]:
    return {
        "label": f"Top 10 of {field}",
        "dataType": "string",
        "operationType": "terms",
        "sourceField": field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": 10,
            "orderBy": {"type": "column", "columnId": "value"},
            "orderDirection": "desc",
            "otherBucket": True,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    }
