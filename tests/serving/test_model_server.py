"""The model server as it runs: a parent, workers and an observer, under traffic, deaths and new releases."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.packages import ReleaseFolder, flights
from tests.serving.traffic import Traffic, ask, exchange, infer_body

from perenne.core.clock import HOUR, parse_time
from perenne.core.errors import Invalid, Unavailable
from perenne.formats.windows import WindowPost, decode_window
from perenne.inference import load
from perenne.serving import ModelServer, read_predictions
from perenne.serving.challengers import REFERENCE
from perenne.serving.counters import Gauge
from perenne.serving.model import Role
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile


def posts(spool: Path) -> list[WindowPost]:
    return [decode_window(path.read_bytes()) for path in sorted((spool / "windows").glob("[!.]*.post"))]


@pytest.fixture
def server(packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path) -> Iterator[ModelServer]:
    release.write(release.add(packages["first"], 1), release.add(packages["second"], 2, Role.CHALLENGER), replay=True)
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool") as running:
        running.wait_ready()
        yield running


def test_rows_are_logged_and_counted_for_champion_and_challenger(
    server: ModelServer, packages: dict[str, Path], tmp_path: Path
) -> None:
    days = ["2013-05-01T10:59:59Z", "2013-05-01T11:00:00Z", "2013-05-01T11:30:00Z"]
    replies = [ask(server.port, infer_body(50, seed), x_event_time=day)[1] for seed, day in enumerate(days)]
    server.flush()
    ids = replies[1]["outputs"][2]["data"]
    assert read_predictions(tmp_path / "logs").num_rows == 300
    rows = read_predictions(tmp_path / "logs", [ids[7]]).to_pylist()
    assert [(row["variant"], row["version"]) for row in rows] == [("champion", "late@1"), ("challenger", "late@2")]
    assert rows[0]["prediction"] == replies[1]["outputs"][0]["data"][7]
    assert rows[0]["score"] == replies[1]["outputs"][1]["data"][15]
    assert rows[0]["f_distance"] == rows[1]["f_distance"] == flights(50, 1)["distance"][7]
    assert rows[0]["event_time"].isoformat() == "2013-05-01T11:00:00+00:00"

    first, second = load(packages["first"]), load(packages["second"])
    start, found = parse_time("2013-05-01T10:00Z"), posts(tmp_path / "spool")
    assert {(post.variant, post.version, post.window_start - start) for post in found} == {
        (variant, version, later)
        for variant, version in (("champion", "late@1"), ("challenger", "late@2"))
        for later in (0, HOUR)
    }
    assert all(post.dropped == post.errors == 0 for post in found)
    tables = [{**rows, "scheduled": (rows["scheduled"] * 1e9).astype("int64") / 1e9} for rows in (flights(50, 1), flights(50, 2))]
    answers = [(first.predict(rows), second.predict(rows)) for rows in tables]
    for variant, package, which in (("champion", "first", 0), ("challenger", "second", 1)):
        reference = Reference.from_bytes((packages[package] / REFERENCE).read_bytes())
        counted, expected = Profile.empty(reference), Profile.empty(reference)
        window = [post for post in found if post.variant == variant and post.window_start == start + HOUR]
        for post in window:
            counted.merge(Profile.from_bytes(post.profile, reference))
        for table, pair in zip(tables, answers, strict=True):
            expected.add(table, pair[which].predictions, pair[which].scores)
        assert counted.rows == sum(post.rows for post in window) == 100
        assert (counted.counts == expected.counts).all() and (counted.scores == expected.scores).all()
        agreed = sum(int((ours.predictions == theirs.predictions).sum()) for ours, theirs in answers)
        compared = tuple(sum(post.agreement[part] for post in window) for part in (0, 1))
        assert compared == ((agreed, 100) if which else (0, 0))
        assert sum(sum(post.latency) for post in window) == (0 if which else 2)


def test_a_new_release_takes_over_under_traffic_without_a_lost_or_mixed_answer(
    server: ModelServer, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    first, second = release.add(packages["first"], 1), release.add(packages["second"], 2)
    with Traffic(server.port) as traffic:
        for generation in range(6):
            traffic.wait_for(20)
            release.write(second if generation % 2 == 0 else first)
            server.wait_ready()
        traffic.wait_for(20)
    assert not traffic.lost and {status for status, _ in traffic.answers} == {200}
    versions = {body["model_version"] for _, body in traffic.answers}
    answers = {(body["model_version"], tuple(body["outputs"][0]["data"])) for _, body in traffic.answers}
    assert versions == {"1", "2"} and len(answers) == 2, "a version answers the same question in the same way"
    scores = {body["model_version"]: body["outputs"][1]["data"] for _, body in traffic.answers}
    assert scores["1"] != scores["2"]


def test_a_release_that_cannot_be_loaded_changes_nothing(
    server: ModelServer, packages: dict[str, Path], release: ReleaseFolder
) -> None:
    champion = release.add(packages["first"], 1)
    broken = release.add(packages["second"], 3)
    (release.folder / "versions" / broken.tree).unlink()
    release.write(broken)
    with pytest.raises(Unavailable, match="cannot be loaded"):
        server.wait_ready()
    assert ask(server.port, infer_body(1))[1]["model_version"] == "1"
    release.write(champion)
    server.wait_ready()


def test_a_killed_observer_costs_no_answer_and_comes_back(server: ModelServer, tmp_path: Path) -> None:
    with Traffic(server.port) as traffic:
        for _ in range(3):
            traffic.wait_for(20)
            pid = server.pids().get("observer")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        traffic.wait_for(20)
    assert not traffic.lost and {status for status, _ in traffic.answers} == {200}
    server.wait_ready()
    last = ask(server.port, infer_body(1))[1]["outputs"][2]["data"]
    server.flush()
    assert {row["variant"] for row in read_predictions(tmp_path / "logs", last).to_pylist()} == {"champion", "challenger"}


def test_a_stopped_observer_costs_no_answer_and_what_it_missed_is_counted(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path
) -> None:
    release.write(release.add(packages["first"], 1))
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool", backlog_bytes=100_000) as server:
        server.wait_ready()
        os.kill(server.pids()["observer"], signal.SIGSTOP)
        body, asked = infer_body(500), 0
        while not server.counters.total(Gauge.DROPPED):
            assert ask(server.port, body)[0] == 200
            asked += 500
            assert asked < 1_000_000
        os.kill(server.pids()["observer"], signal.SIGCONT)
        assert ask(server.port, body)[0] == 200
        server.flush()
        seen = posts(tmp_path / "spool")
        dropped = server.counters.total(Gauge.DROPPED)
    assert sum(post.rows for post in seen) == asked + 500 - dropped
    assert sum(post.dropped for post in seen) == dropped
    assert read_predictions(tmp_path / "logs").num_rows == asked + 500 - dropped


def test_a_killed_worker_comes_back_on_the_same_socket(packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path) -> None:
    release.write(release.add(packages["first"], 1))
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool", workers=2) as server:
        server.wait_ready()
        assert {ask(server.port, infer_body(1))[0] for _ in range(10)} == {200}
        old = [pid for name, pid in server.pids().items() if name != "observer"]
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        while set(old) & set(server.pids().values()):
            time.sleep(0.01)
        waited = ask(server.port, infer_body(1))  # the parent holds the socket: the connection waits for a new worker
        assert waited[0] in (200, 503)
        server.wait_ready()
        assert {ask(server.port, infer_body(1))[0] for _ in range(10)} == {200}
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
    assert 'perenne_ready{worker="0"} 1' in text and 'perenne_ready{worker="1"} 1' in text
    total = sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("perenne_requests_total"))
    assert total >= 20, "one scrape shows every worker, and what a dead one counted"


def test_told_to_stop_it_finishes_what_it_has_and_every_row_is_written(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path
) -> None:
    release.write(release.add(packages["first"], 1))
    server = ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool", drain_seconds=0.3)
    server.start()
    server.wait_ready()
    pids = server.pids()
    with Traffic(server.port) as traffic:
        traffic.wait_for(50)
        server.stop()
    assert {status for status, _ in traffic.answers} == {200}
    closed = ("Refused", "Reset", "RemoteDisconnected", "BrokenPipe")
    assert all(any(word in error for word in closed) for error in traffic.lost), "no answer was cut short"
    logged = set(read_predictions(tmp_path / "logs", columns=["prediction_id"])["prediction_id"].to_pylist())
    assert {identity for _, body in traffic.answers for identity in body["outputs"][2]["data"]} <= logged
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    server.stop()


PARENT = """
import sys, time
from pathlib import Path
from perenne.serving import ModelServer
root = Path(sys.argv[1])
server = ModelServer(root / "release", root / "logs", root / "spool")
server.start()
server.wait_ready()
print(server.port, *server.pids().values(), flush=True)
time.sleep(600)
"""


def test_when_the_parent_is_killed_its_children_write_what_they_have_and_go(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path
) -> None:
    release.write(release.add(packages["first"], 1))
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port, *pids = map(int, parent.stdout.readline().split())
        try:
            assert ask(port, infer_body(7))[0] == 200
        finally:
            parent.kill()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() and not is_zombie(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert read_predictions(tmp_path / "logs").num_rows == 7


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


FORBIDDEN = {"cryptography", "obstore", "sqlalchemy", "duckdb", "pyarrow", "sklearn", "starlette", "pandas"}
REMEMBER = """
import atexit, os, sys
atexit.register(lambda: open(os.path.join(os.environ["MODULES"], f"{sys.argv[1]}"), "w").write("\\n".join(sys.modules)))
"""


def test_a_worker_imports_nothing_of_the_control_plane(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(REMEMBER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MODULES", str(tmp_path))
    release.write(release.add(packages["first"], 1), release.add(packages["second"], 2, Role.PREVIOUS))
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool") as server:
        server.wait_ready()
        assert ask(server.port, infer_body(3))[0] == 200
        assert ask(server.port, b'{"instances": []}', "/invocations")[0] == 200
        server.flush()
    worker, observer = ({line.split(".")[0] for line in (tmp_path / kind).read_text().split()} for kind in ("worker", "observer"))
    assert "onnxruntime" in worker and "uvicorn" in worker and not worker & FORBIDDEN
    assert "pyarrow" in observer and not observer & (FORBIDDEN - {"pyarrow"}) and "uvicorn" not in observer


HEAD = b"POST /v2/models/delays/infer HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("after", "body", "status"),
    [
        (b"Content-Length: 99999999999\r\n", b"{}", 413),
        (b"Content-Length: -1\r\n", b"", 400),
        (b"Content-Length: 2, 2\r\n", b"{}", 400),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", 400),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nGET /ping HTTP/1.1\r\n\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 20 + b"0\r\n\r\n", 413),
        (b"Content-Length: 2\r\nHost: evil\r\n", b"{}", 400),
        (b"Content-Length: 2\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(120)), b"{}", 431),
        (b"Content-Length: 2\r\nX-Large: " + b"x" * 70_000 + b"\r\n", b"{}", 431),
        (b"Content-Length: 2\r\nContent-Encoding: gzip\r\n", b"{}", 400),
        (b"Content-Length: 2\r\nContent-Encoding: br\r\n", b"{}", 415),
        (b"Content-Length: 2\r\nX-Null: \0\r\n", b"{}", 400),
    ],
)
def test_a_hostile_request_gets_one_4xx_with_an_error(small: ModelServer, after: bytes, body: bytes, status: int) -> None:
    answer = exchange(small.port, HEAD % small.port + after + b"\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1 and b'"error"' in answer and b"Traceback" not in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n", 403),
        (b"GET /ping HTTP/1.1\r\nHost: localhost.evil:80\r\nConnection: close\r\n\r\n", 403),
        (b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET http://evil/ping HTTP/1.1\r\nHost: evil\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: evil\r\n\r\n", 414),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_a_request_for_somebody_else_or_in_another_language_is_refused(small: ModelServer, sent: bytes, status: int) -> None:
    answer = exchange(small.port, sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and b'"error"' in answer


def test_a_truncated_body_is_no_request_and_the_server_lives_on(small: ModelServer) -> None:
    head = HEAD % small.port + b"Content-Length: 1000\r\n\r\n"
    assert exchange(small.port, head + b'{"inputs"', shut=True) in (b"",)
    assert ask(small.port, infer_body(1))[0] == 200


@pytest.fixture(scope="module")
def small(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("small")
    release = ReleaseFolder(folder / "release")
    release.write(release.add(packages["first"], 1))
    with ModelServer(release.folder, folder / "logs", folder / "spool", body_bytes=1_000_000) as running:
        running.wait_ready()
        yield running


def test_it_listens_on_this_machine_only_and_says_if_the_port_is_taken(small: ModelServer, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"refusing to listen on 0\.0\.0\.0 without authentication"):
        ModelServer(tmp_path, tmp_path, tmp_path, host="0.0.0.0")
    with pytest.raises(Unavailable, match="cannot be listened on"):
        ModelServer(tmp_path, tmp_path, tmp_path, port=small.port)


def test_a_worker_that_holds_more_than_it_may_is_replaced_and_no_answer_is_lost(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release.write(release.add(packages["first"], 1))
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool", memory_bytes=1) as running:
        before = running.pids()["worker-0"]  # at once: it may be replaced as soon as it is ready
        running.wait_ready()
        with Traffic(running.port, callers=2) as traffic:
            traffic.wait_for(5)
            while before in running.pids().values() or len(running.pids()) < 2:
                traffic.wait_for(5)
        assert not traffic.lost and {status for status, _ in traffic.answers} == {200}
        assert running.counters.total(Gauge.OVER_MEMORY) >= 1
    assert "MB of 0 and is replaced" in caplog.text


def test_a_killed_process_is_told_of_with_what_it_held(
    packages: dict[str, Path], release: ReleaseFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release.write(release.add(packages["first"], 1))
    with ModelServer(release.folder, tmp_path / "logs", tmp_path / "spool") as running:
        running.wait_ready()
        before = running.pids()["worker-0"]
        os.kill(before, signal.SIGKILL)
        while running.pids().get("worker-0", before) == before:
            time.sleep(0.01)
        running.wait_ready()
        assert ask(running.port, infer_body(1))[0] == 200
    assert re.search(r"worker-0 was killed by SIGKILL, as the kernel does where memory runs out, holding \d+ MB", caplog.text)
