"""The dashboards: of Grafana's model, with queries that parse and metrics that are exposed; Kibana's refer to what is there."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.formats import exposition
from tests.monitoring.conftest import Spool, make_rows
from tests.monitoring.outputs.promql import Reader

from perenne.app import metrics
from perenne.cli.monitor import monitor
from perenne.core.clock import SystemClock
from perenne.formats import prometheus
from perenne.formats.prometheus import Family
from perenne.monitoring.alerting import figures
from perenne.monitoring.dashboards import grafana, kibana, templates
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.serving.counters import Counters
from perenne.serving.metrics import families as of_server
from perenne.storage.workspace import Workspace
from perenne.telemetry.pulse import Pulse

HOSTILE = '"}\n<script>alert(1)</script>\\' + "x" * 10_000


def queries() -> list[str]:
    board = grafana.dashboard()
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return [*found, *(item["expr"] for item in board["annotations"]["list"])]


def exposed(workspace: Workspace) -> dict[str, Family]:
    """Every metric that the control plane and a model server show."""
    pulse = Pulse()
    with pulse.turn():
        pulse.fail("judge")
    counters = Counters.create(2)
    with workspace.database.read() as tx:
        control = [*metrics.stored_families(tx, SystemClock().now()), *figures.families(tx), *pulse.families()]
    return {family.name: family for family in [*control, *of_server(counters)]}


@pytest.fixture
def judged(workspace: Workspace, spool: Spool) -> Workspace:
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0), window)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    return workspace


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_every_query_of_grafana_parses_and_asks_for_what_is_exposed(judged: Workspace) -> None:
    known = exposed(judged)
    for text in queries():
        read = Reader(text).read()
        for metric in read.metrics - {"time"}:
            name = metric.removesuffix("_bucket")
            assert name in known, f"{name} is not on /metrics: {text}"
            assert (metric != name) == (known[name].kind == "histogram" and metric.endswith("_bucket"))
            shown = {label for sample in known[name].samples for label in sample.labels}
            assert not known[name].samples or read.labels.get(metric, set()) <= shown, text
    variable = grafana.dashboard()["templating"]["list"][1]["definition"]
    assert Reader(variable).read().metrics == {"perenne_model_info", "deployment"}


@pytest.mark.parametrize("wrong", ["sum(", "rate(a)", "a{b}", "a b", 'a{b="c"', "topk(a)", "1 +", "sum by a (b)"])
def test_what_is_no_query_would_be_found(wrong: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        Reader(wrong).read()


def test_the_dashboard_is_of_grafanas_model() -> None:
    board = grafana.dashboard()
    assert json.loads(json.dumps(board)) == board
    assert isinstance(board["schemaVersion"], int) and isinstance(board["title"], str) and len(board["uid"]) <= 40
    names = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert names == {"datasource": "datasource", "deployment": "query"}
    places: set[tuple[int, int]] = set()
    identities = [panel["id"] for panel in board["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and min(place.values()) >= 0 and place["h"] > 0
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert places.isdisjoint(cells), f"{panel['title']} lies on another"
        places |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in {"stat", "timeseries", "bargauge"} and panel["datasource"]["uid"] == "${datasource}"
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH")[: len(panel["targets"])]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None and all(step["value"] is not None for step in steps[1:])


def test_nothing_in_kibanas_objects_refers_to_what_is_not_there() -> None:
    objects = [json.loads(line) for line in kibana.ndjson().splitlines()]
    assert [item["type"] for item in objects] == ["index-pattern", "search", "search", "dashboard"]
    known = {(item["type"], item["id"]) for item in objects}
    for item in objects:
        assert {(reference["type"], reference["id"]) for reference in item["references"]} <= known
    board = objects[-1]
    panels: list[dict[str, Any]] = json.loads(board["attributes"]["panelsJSON"])
    names = {reference["name"] for reference in board["references"]}
    assert names == {
        *(f"{panel['panelIndex']}:indexpattern-datasource-layer-layer1" for panel in panels[:-1]),
        "table:panel_table",
    }
    for panel in panels[:-1]:
        place = panel["gridData"]
        assert place["x"] + place["w"] <= 48 and place["i"] == panel["panelIndex"]
        lens = panel["embeddableConfig"]["attributes"]
        layer = lens["state"]["datasourceStates"]["formBased"]["layers"]["layer1"]
        assert sorted(layer["columnOrder"]) == sorted(layer["columns"])
        drawn = lens["state"]["visualization"]["layers"][0]
        assert {drawn["xAccessor"], *drawn["accessors"]} <= set(layer["columns"])
        fields = {column["sourceField"] for column in layer["columns"].values()} - {"___records___"}
        assert fields <= set(templates.TYPES), f"{panel['title']} shows a field that nobody writes"


def test_the_templates_hold_every_field_once_above_the_built_in_ones() -> None:
    properties = templates.component()["template"]["mappings"]["properties"]

    def flat(level: dict[str, Any], path: str = "") -> dict[str, str]:
        found: dict[str, str] = {}
        for name, entry in level.items():
            found |= flat(entry["properties"], f"{path}{name}.") if "properties" in entry else {f"{path}{name}": entry["type"]}
        return found

    assert flat(properties) == templates.TYPES
    index = templates.index()
    assert index["priority"] > 100 and index["composed_of"] == [templates.COMPONENT] and index["data_stream"] == {}
    assert index["template"]["settings"]["index.lifecycle.name"] == templates.POLICY


def test_the_command_writes_them_as_files(workspace: Workspace, tmp_path: Path) -> None:
    def run(*words: str) -> set[str]:
        folder = tmp_path / f"to{'-'.join(words)}"
        done = CliRunner().invoke(monitor, ["dashboards", *words, "--to", str(folder)], obj=workspace, standalone_mode=False)
        assert done.exception is None, done.exception
        return {path.name for path in folder.iterdir()}

    both = {"perenne-grafana.json", "perenne.ndjson", *templates.FILES}
    assert run() == both and run("--grafana") == {"perenne-grafana.json"} and run("--kibana") == both - {"perenne-grafana.json"}


def test_what_is_watched_is_read_by_a_strict_reader_whatever_features_are_called(judged: Workspace) -> None:
    with judged.database.read() as tx:
        found = figures.families(tx)
    read = exposition.read(prometheus.render(found))
    labels = dict(next(iter(read["perenne_drift"].samples))[1])
    assert {"deployment", "model", "version", "feature", "statistic"} == labels.keys()
    (_, largest) = max(
        ((key, value) for (_, key), value in read["perenne_drift"].samples.items() if dict(key)["feature"] == "_max"),
        key=lambda item: item[1],
    )
    assert largest > 0.1
    sources = {dict(key)["source"] for _, key in read["perenne_performance"].samples}
    assert sources == {"estimated"}
    assert sum(read["perenne_window_rows"].samples.values()) == 600 and read["perenne_alerts"].samples
    assert list(read["perenne_drift_alarms_total"].samples.values()) == [1]
    assert list(read["perenne_model_info"].samples.values()) == [1]


def test_hostile_names_pass_the_exposition() -> None:
    names = [HOSTILE, HOSTILE + "2", "\x00\x7f\u2028", "ü", ""]
    samples = [prometheus.Sample({"feature": name}, 1.0) for name in names]
    read = exposition.read(prometheus.render([prometheus.Family("perenne_drift", "gauge", "x", samples)]))
    assert len(read["perenne_drift"].samples) == len(names), "long names that begin alike stay apart"
