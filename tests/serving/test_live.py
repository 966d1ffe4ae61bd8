"""What a running model server says of itself, asked as the page asks it."""

import json
from pathlib import Path

import httpx
from tests.app import servers
from tests.serving.packages import ReleaseFolder, as_tensors, flights, made_packages

from perenne.serving.live import live, read_figures
from perenne.telemetry.heartbeats import Heartbeat


def test_a_running_server_gives_its_figures(tmp_path: Path) -> None:
    release = ReleaseFolder(tmp_path / "release" / "delays")
    release.write(release.add(made_packages()["first"], 1))
    with (
        servers.model_server(release, tmp_path) as running,
        Heartbeat(tmp_path, "model-server", release.name, running.url, running.state),
    ):
        body = json.dumps({"inputs": as_tensors(flights(4))}).encode()
        for _ in range(3):
            assert httpx.post(f"{running.url}/v2/models/{release.name}/infer", content=body).status_code == 200
        httpx.post(f"{running.url}/invocations", content=b"{}", headers={"content-type": "application/json"})
        servers.until(lambda: bool(live(tmp_path, tmp_path / "spool", release.name).servers[0].generation))
        (found,) = live(tmp_path, tmp_path / "spool", release.name).servers
        assert found.url == running.url and found.state == "alive" and found.ready == found.workers == 1
        assert found.figures is not None and found.silent_because == ""
        assert found.figures.requests["ok"] == 3 and found.figures.requests["invalid"] == 1
        assert found.figures.latency[-1][1] >= 3 and found.figures.resident_bytes > 0
        assert {item.name for item in found.processes} == {"worker-0", "observer"} and all(item.pid for item in found.processes)
        assert live(tmp_path, tmp_path / "spool", "another").servers == ()
    assert live(tmp_path, tmp_path / "spool", release.name).servers == (), "it left in good order"


def test_a_server_that_does_not_answer_is_shown_without_figures(tmp_path: Path) -> None:
    with Heartbeat(tmp_path, "model-server", "delays", "http://127.0.0.1:9"):
        (found,) = live(tmp_path, tmp_path / "spool", "delays").servers
    assert found.figures is None and found.silent_because == "it does not answer" and found.state == "alive"


def test_figures_are_summed_over_versions_and_workers() -> None:
    text = (
        'perenne_requests_total{deployment="d",outcome="ok"} 3\n'
        'perenne_requests_total{deployment="a\\"}b",outcome="ok"} 4\n'
        'perenne_predict_seconds_bucket{variant="x",le="0.001"} 2\n'
        'perenne_predict_seconds_bucket{variant="y",le="0.001"} 5\n'
        'perenne_predict_seconds_bucket{variant="y",le="+Inf"} 9\n'
        'perenne_in_flight{worker="0"} 1\nperenne_in_flight{worker="1"} 2\n'
    )
    found = read_figures(text)
    assert found.requests == {"ok": 7} and found.latency == ((0.001, 7),) and found.in_flight == 3
