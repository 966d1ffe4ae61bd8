"""Two lines in somebody else's server: nothing is lost, nothing is raised, and what cannot be kept is counted."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.asked import ask
from tests.monitoring.conftest import make_rows

import perenne
from perenne.app.own_traces import own_traces
from perenne.auth.principals import Principal
from perenne.core.clock import SystemClock
from perenne.monitoring.elsewhere import service, store
from perenne.monitoring.elsewhere.client import Watcher, watch
from perenne.monitoring.elsewhere.counting import count_sent
from perenne.monitoring.elsewhere.keeping import read_part
from perenne.monitoring.elsewhere.sending import journal
from perenne.monitoring.elsewhere.traces import read_traces
from perenne.net.peer import Peer
from perenne.storage.journal import Journal, is_over, journals, records
from perenne.storage.workspace import Workspace


def rows_of(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    with workspace.database.read() as tx:
        parts = store.parts_between(tx, name, 0, 1 << 62)
    return [row for part in parts for row in read_part(workspace, part).to_pylist()]


def test_rows_of_every_form_arrive_in_the_workspace(workspace: Workspace) -> None:
    assert perenne.watch is watch
    churn = watch("churn", url="", home=workspace.settings.home)
    churn.log({"age": 31, "plan": "basic"}, "stays", score=0.2, id="a")
    churn.log({"age": np.array([1, 2]), "plan": ["basic", "pro"]}, np.array(["stays", "leaves"]), score=[0.1, 0.9], id=["b", "c"])
    churn.log([{"age": 5}, {"age": 6, "plan": None}], ["stays", "stays"], id=["d", "e"])
    churn.log(pa.table({"age": [7], "plan": ["pro"]}), ["leaves"], id=["f"])
    assert len(churn.log(np.array([[8.0, 9.0], [1.0, 2.0]]), np.array([0, 1]))) == 2

    @churn
    def predict(features: dict[str, Any]) -> str:
        return "stays" if features["age"] > 30 else "leaves"

    assert predict({"age": 40, "plan": "basic"}) == "stays"
    assert churn.dropped == 0
    assert count_sent(workspace, at_once=True) == 9
    assert count_sent(workspace, at_once=True) == 0
    found = {row["id"]: row for row in rows_of(workspace, "churn")}
    assert (found["a"]["prediction"], found["a"]["score_0"], found["a"]["f_plan"]) == ("stays", 0.2, "basic")
    assert (found["c"]["f_age"], found["c"]["prediction"], found["c"]["score_0"]) == (2, "leaves", 0.9)
    assert (found["e"]["f_plan"], found["f"]["f_age"]) == (None, 7)


def test_what_cannot_be_kept_is_counted_and_never_raised(tmp_path: Path) -> None:
    class Strange:
        def __len__(self) -> int:
            raise RuntimeError("no")

    churn = Watcher("churn", tmp_path, None)
    assert churn.log({"age": 1}, Strange()) == ""
    assert churn.log({"age": [1, 2]}, ["one"]) == ""
    assert churn.log(None, ["one"]) == ""
    (tmp_path / "rows").mkdir()
    blocked = Watcher("churn", tmp_path / "rows" / "file" / "below", None)
    (tmp_path / "rows" / "file").write_text("in the way")
    assert blocked.log({"age": 1}, "one") == ""
    assert (churn.dropped, blocked.dropped) == (3, 1)


def test_labels_find_rows_by_the_ids_that_others_gave_them(workspace: Workspace, actor: Principal) -> None:
    journal.cache_clear()
    rows = make_rows(300, 1)
    sent = {
        "time": [SystemClock().now() - 10_000_000] * 300,
        "id": [f"order {place}" for place in range(300)],
        "features": {"wind": rows.wind.tolist(), "carrier": rows.carrier.tolist()},
        "prediction": [["no", "yes"][place] for place in rows.predictions.tolist()],
        "score": rows.scores[:, 1:].tolist(),
    }
    path = "/api/monitor/foreign/fees"
    assert ask(workspace, actor, "POST", f"{path}/rows", json={"rows": [sent]}).json() == {"rows": 300}
    assert count_sent(workspace, at_once=True) == 300
    assert ask(workspace, actor, "POST", f"{path}/rows", json={"rows": [sent]}).json() == {"rows": 300}
    assert count_sent(workspace, at_once=True) == 0
    with workspace.database.read() as tx:
        assert service.get(tx, actor, "fees").repeated == 300
    labels = [{"prediction_id": "order 7", "label": "no"}, {"prediction_id": "order 999", "label": "no"}]
    answer = ask(workspace, actor, "POST", f"{path}/labels", json=labels)
    assert (answer.status_code, answer.json()["labelled"], answer.json()["unknown"]) == (201, 1, 1)
    torn: list[Any] = [{"rows": []}, {"rows": [sent | {"time": [1]}]}, {"rows": [sent | {"score": [[1], [2, 3]]}]}, [1]]
    for body in torn:
        assert ask(workspace, actor, "POST", f"{path}/rows", json=body).status_code == 400
    assert ask(workspace, actor, "POST", "/api/monitor/foreign/..%20x/rows", json={"rows": [sent]}).status_code == 400


def test_a_journal_gives_back_what_was_written_and_nothing_torn(tmp_path: Path) -> None:
    made = Journal(tmp_path, "rows")
    for number in range(5):
        made.append(b"%d" % number * 100, durably=number % 2 == 0)
    (path,) = journals(tmp_path, "rows")
    assert not is_over(path)
    with path.open("ab") as stream:
        stream.write(b"\x64\0\0\0half a rec")
    found = list(records(path, 0))
    assert [body[:1] for body, _ in found] == [b"0", b"1", b"2", b"3", b"4"]
    assert [body[:1] for body, _ in records(path, found[2][1])] == [b"3", b"4"]
    assert len(list(records(path, 0, most=1))) == 1
    made.close()
    assert is_over(path)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


PROGRAM = """
import os, signal, sys
import perenne as pn
churn = pn.watch("churn", url=sys.argv[1])
for number in range(400):
    churn.log({"age": number, "plan": "basic"}, "stays", score=0.25, id=f"row {number}")
assert churn.dropped == 0
os.kill(os.getpid(), signal.SIGKILL)
"""


TRACE = {
    "trace_id": "tr-" + "a" * 32,
    "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
    "request_time": "2026-01-01T00:00:00Z",
    "execution_duration": "0.5s",
    "state": "OK",
    "request_preview": '{"age": 31}',
    "response_preview": '{"prediction": "stays"}',
}


@pytest.mark.waits
def test_neither_a_killed_program_nor_a_killed_server_loses_what_was_acknowledged(tmp_path: Path) -> None:
    """A program logs to a server that is not there, and is killed; the server is killed when it has said that it has the rows."""
    port = free_port()
    url, home = f"http://127.0.0.1:{port}", tmp_path / "client"
    environment = os.environ | {"PERENNE_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", PROGRAM, url], env=environment, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    environment |= {"PERENNE_HOME": str(tmp_path / "server")}
    command = [sys.executable, "-m", "tests.tracking.serving", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            assert watch("churn", url=url, home=home).flush(30), "the next one brings what the dead one left"
            peer = Peer(url)
            peer.post("/api/3.0/mlflow/traces", msgspec.json.encode({"trace": {"trace_info": TRACE}}))
            peer.close()
            by_rest = read_traces(f"mlflow:{url}", "Default", 0, None)
        finally:
            server.kill()
    from perenne.core.config import load_settings

    with Workspace(load_settings(tmp_path / "server", {"PERENNE_HOME": str(tmp_path / "server")})) as opened:
        assert count_sent(opened, at_once=True) == 400
        by_hand = read_traces("traces:", "Default", 0, lambda name, since: own_traces(opened, name, since))
        assert {row["id"] for row in rows_of(opened, "churn")} == {f"row {number}" for number in range(400)}
        assert count_sent(opened, at_once=True) == 0
        assert journals(opened.settings.spool / "elsewhere", "rows") == [], "a journal that is counted to its end goes"
    assert by_rest is not None
    assert by_hand is not None
    (row,) = by_rest.to_pylist()
    assert by_hand.to_pylist() == [row], "our own traces are rows without a server, too"
    assert (row["id"], row["prediction"], row["f_age"], row["f_duration_ms"]) == (TRACE["trace_id"], "stays", 31.0, 500.0)


def test_rows_are_written_as_the_server_reads_them() -> None:
    from perenne.monitoring.elsewhere.client import _json
    from perenne.monitoring.elsewhere.sending import SentRows

    row = {
        "time": [1],
        "id": ["a"],
        "features": {"x": [np.float32(1.5), None]},
        "prediction": [np.int64(3)],
        "score": [[float("nan")]],
    }
    plain = msgspec.json.decode(_json.encode(row))
    assert plain["features"]["x"] == [1.5, None]
    assert msgspec.convert(plain | {"score": None}, SentRows).prediction == [3]
