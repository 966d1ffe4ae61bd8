"""The payloads of the monitors' and the alerts' screens, and the distributions they lay over each other."""

from typing import Any

import numpy as np
import pytest
from tests.asked import ask, seen
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Log, Spool, make_rows

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR
from perenne.core.errors import NotFound
from perenne.monitoring.baselines.telling import in_lines, window_drift
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.labels import LabelRow, submit_labels
from perenne.monitoring.overlays import overlay_of
from perenne.monitoring.realising import realise
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.storage.workspace import Workspace

INSIDE = Principal("ida", roles=frozenset({Role.VIEWER}), projects=frozenset({"flight-delays"}))
OUTSIDE = Principal("oda", roles=frozenset({Role.VIEWER}), projects=frozenset({"others"}))
WINDOWS = 5


@pytest.fixture
def drifting(workspace: Workspace, spool: Spool) -> Workspace:
    """Two windows as the reference, then three in which the wind has shifted."""
    for window in range(WINDOWS):
        spool.leave(make_rows(600, window, shift=0.0 if window < 2 else 1.0), window)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    return workspace


def monitor(workspace: Workspace, actor: Principal, query: str = "") -> Any:
    return seen(workspace, actor, f"/api/view/monitor/{DEPLOYMENT}{query}")["monitor"]


def test_drift_is_ranked_and_laid_over_the_reference(drifting: Workspace, actor: Principal) -> None:
    found = monitor(drifting, actor)
    chosen = found["chosen"]
    assert found["state"] == "alarm" and chosen["start"] == (WINDOWS - 1) * HOUR and chosen["state"] == "alarm"
    impacts = [abs(cause["impact"]) for cause in chosen["causes"] if cause["state"] == "alarm"]
    assert "wind" in [cause["feature"] for cause in chosen["causes"]] and impacts == sorted(impacts, reverse=True)
    assert chosen["overlays"][0]["name"] == "wind"
    assert {item["name"] for item in chosen["overlays"]} == {"wind", "@score", "@prediction"}
    for item in chosen["overlays"]:
        assert sum(item["current"]) + item["missing"][1] == pytest.approx(1) == sum(item["reference"]) + item["missing"][0]
        assert (
            len(item["current"]) == len(item["reference"]) == (len(item["levels"]) if item["levels"] else len(item["edges"]) - 1)
        )


def test_the_heat_is_of_every_window(drifting: Workspace, actor: Principal) -> None:
    timeline = monitor(drifting, actor)["timeline"]
    assert [cell["start"] for cell in timeline["windows"]] == [window * HOUR for window in range(WINDOWS)]
    wind = next(row for row in timeline["heat"] if row["feature"] == "wind")
    assert wind["states"] == ["ok", "ok", "alarm", "alarm", "alarm"]
    assert wind["distances"][:2] == [0, 0] and min(wind["distances"][2:]) > 0
    assert "carrier" not in [row["feature"] for row in timeline["heat"]]


def test_a_window_and_a_feature_can_be_chosen(drifting: Workspace, actor: Principal) -> None:
    chosen = monitor(drifting, actor, "?window=0&feature=carrier")["chosen"]
    assert chosen["start"] == 0 and chosen["state"] == "ok" and chosen["overlays"][0]["name"] == "carrier"
    assert set(chosen["overlays"][0]["levels"]) == {"AA", "DL", "UA"}
    assert monitor(drifting, actor, f"?version={VERSION}")["timeline"] == monitor(drifting, actor)["timeline"]
    for query, code in (
        (f"?window={HOUR // 2}", "monitor.window_not_found"),
        ("?feature=nothing", "reference.feature_not_found"),
        ("?version=late@9", "monitor.version_not_found"),
        ("?window=x", "request.query"),
        ("?window=" + "9" * 19, "request.query"),
    ):
        answer = ask(drifting, actor, "GET", f"/api/view/monitor/{DEPLOYMENT}{query}")
        assert answer.status_code in (400, 404) and answer.json()["error_code"] == code, query


def test_estimated_and_realised_stand_beside_each_other(workspace: Workspace, spool: Spool, log: Log, actor: Principal) -> None:
    rows = make_rows(600, 1)
    spool.leave(rows, 0)
    ids = log.write(rows, 0)
    collect(workspace)
    submit_labels(workspace, actor, [LabelRow(identity, label) for identity, label in zip(ids, rows.labels, strict=True)])
    realise(workspace, workspace.clock.now())
    judge_due(workspace, workspace.clock.now())
    realise(workspace, workspace.clock.now())
    found = monitor(workspace, actor)
    chart = next(chart for chart in found["timeline"]["charts"] if chart["bound"] == "roc_auc")
    assert {series["source"] for series in chart["series"]} == {"estimated", "realised"}
    for series in chart["series"]:
        assert series["low"][0] < series["values"][0] < series["high"][0]
    assert (chart["limit"], chart["at_least"], chart["operational"]) == (0.75, True, False)
    assert found["timeline"]["windows"][0]["coverage"] == 1.0 == found["chosen"]["coverage"]
    (groups,) = found["chosen"]["groups"]
    assert groups["by"] == "carrier" and sum(group["count"] for group in groups["rates"]) == 600
    latency = next(chart for chart in found["timeline"]["charts"] if chart["bound"] == "latency_p99_ms")
    assert latency["operational"] and latency["series"][0]["source"] == "measured"


def test_without_the_reference_nothing_is_laid_over_and_nothing_is_invented(
    drifting: Workspace, actor: Principal, reference: Reference
) -> None:
    from perenne.monitoring.views import monitor_view

    with drifting.database.read() as tx:
        found = monitor_view(tx, DEPLOYMENT, {})
        assert found.chosen is not None and found.chosen.overlays == () and found.chosen.features == ()
        assert monitor_view(tx, DEPLOYMENT, {reference.digest: reference}).chosen is not None


def test_a_value_beyond_the_reference_falls_into_the_outermost_cell(reference: Reference) -> None:
    window = Profile.empty(reference)
    rows = make_rows(100, 3, shift=1_000.0)
    window.add(rows.columns | {"carrier": np.array(["ZZ"] * 100, object)}, rows.predictions, rows.scores)
    wind, carrier = overlay_of(reference, window, "wind"), overlay_of(reference, window, "carrier")
    assert wind.current[-1] == 1.0 and wind.edges is not None and list(wind.edges) == sorted(wind.edges)
    assert carrier.levels is not None and dict(zip(carrier.levels, carrier.current, strict=True))["never seen before"] == 1.0


def test_monitors_are_listed_the_worst_first_and_to_those_who_may(drifting: Workspace, actor: Principal) -> None:
    found = seen(drifting, INSIDE, "/api/view/monitor")
    (row,) = found["rows"]
    assert (row["deployment"], row["state"], row["alerts"], found["total"]) == (DEPLOYMENT, "alarm", 1, 1)
    assert [state for _, state in row["strip"]] == ["ok", "ok", "alarm", "alarm", "alarm"] and row["cause"].startswith("wind")
    assert seen(drifting, OUTSIDE, "/api/view/monitor") == {"rows": [], "total": 0, "offset": 0, "limit": 200, "states": {}}
    assert seen(drifting, actor, "/api/view/monitor?offset=1")["rows"] == []
    assert ask(drifting, OUTSIDE, "GET", f"/api/view/monitor/{DEPLOYMENT}").status_code == 404
    assert ask(drifting, actor, "GET", "/api/view/monitor/nowhere").status_code == 404


def test_alerts_open_first_with_silence_and_filters(drifting: Workspace, actor: Principal) -> None:
    path = "/api/view/alert"
    (row,) = seen(drifting, INSIDE, path)["rows"]
    assert row["open"] and row["silence"] is None and row["project"] == "flight-delays" and row["tone"] == "warn"
    ask(drifting, actor, "POST", f"/api/alert/{row['id']}/silence", json={"for": "2h", "reason": "a storm"})
    (silent,) = seen(drifting, INSIDE, f"{path}?state=firing&severity=warning&deployment={DEPLOYMENT}")["rows"]
    assert silent["silence"]["reason"] == "a storm"
    for query in ("?state=ended", "?severity=critical", "?deployment=other", "?state=pending"):
        assert seen(drifting, actor, path + query)["total"] == 0, query
    assert seen(drifting, OUTSIDE, path)["rows"] == [] == seen(drifting, OUTSIDE, f"{path}?deployment={DEPLOYMENT}")["rows"]
    assert seen(drifting, INSIDE, f"{path}?state=ended&alert={row['id']}")["chosen"]["alert"]["id"] == row["id"]
    assert ask(drifting, OUTSIDE, "GET", f"{path}?alert={row['id']}").status_code == 404
    assert ask(drifting, actor, "GET", f"{path}?alert=none").status_code == 404
    assert ask(drifting, actor, "GET", f"{path}?state=lost").json()["error_code"] == "alert.filter"
    assert not seen(drifting, INSIDE, path)["may_answer"] and seen(drifting, actor, path)["may_answer"]


def test_features_are_ranked_and_the_window_is_laid_over_what_is_chosen(drifting: Workspace, actor: Principal) -> None:
    drift = monitor(drifting, actor)["drift"]
    first = drift["ranked"][0]
    assert (first["feature"], first["quadrant"]) == ("wind", "act")
    assert first["drift"] > 1 and first["score"] == pytest.approx(first["drift"] * first["importance"])
    timeline = next(line for line in drift["timelines"] if line["feature"] == "wind")
    assert [moved > 1 for moved in timeline["times"]] == [False, False, True, True, True]
    assert (drift["against"], drift["baseline"], drift["skew"]) == ("training", "training", False)
    shifted = [monitor(drifting, actor, f"?against={kind}")["chosen"]["overlays"][0] for kind in ("training", "previous")]
    apart = [sum(abs(a - b) for a, b in zip(item["reference"], item["current"], strict=True)) for item in shifted]
    assert apart[1] < apart[0] / 2  # the window before has the shift already
    for query, code in (("?against=tomorrow", "request.query"), ("?segment=x", "monitor.segment_not_found")):
        answer = ask(drifting, actor, "GET", f"/api/view/monitor/{DEPLOYMENT}{query}")
        assert answer.status_code in (400, 404) and answer.json()["error_code"] == code, query


def test_the_command_line_ranks_the_same(drifting: Workspace, actor: Principal) -> None:
    told = window_drift(drifting, DEPLOYMENT)
    assert [one.feature for one in told.features] == [one["feature"] for one in monitor(drifting, actor)["drift"]["ranked"]]
    lines = in_lines(told, every=False)
    assert lines.features[0].feature == "wind" and lines.features[0].look == "moved, and matters"
    assert "would show the smallest change" in lines.rows
    assert window_drift(drifting, DEPLOYMENT, instant=10).state == "ok"
    with pytest.raises(NotFound):
        window_drift(drifting, DEPLOYMENT, instant=900 * HOUR)
