"""What leaves the observer: sampled, without what is hidden, as Parquet, as lines of ECS and as CloudEvents."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from tests.serving.packages import ReleaseFolder
from tests.serving.test_observer import Observed, answered

from perenne.core.errors import Invalid, PerenneError
from perenne.data.privacy.keys import keyed_hash
from perenne.formats import cloudevents
from perenne.formats.cloudevents import CloudEvent
from perenne.serving import ecs_log, event_sender, outlets, read_predictions
from perenne.serving.counters import Gauge
from perenne.serving.ecs_log import EcsLog
from perenne.serving.log_rules import LogRules, check
from perenne.serving.messages import Served
from perenne.serving.model import Role
from perenne.serving.redaction import Redaction, write_key

KEY = b"k" * 32


class Receiver:
    """A receiver of events over HTTP; `status` is what it answers."""

    def __init__(self, status: int = 200) -> None:
        received: list[CloudEvent] = []
        changed = threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                found = cloudevents.read({name.lower(): value for name, value in self.headers.items()}, body)
                with changed:
                    received.extend(found)
                    changed.notify_all()
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.events, self.changed = received, changed
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def wait_for(self, count: int) -> list[CloudEvent]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= count, 30)
            return list(self.events)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("PERENNE_EVENTS_ALLOW", made.host)
    yield made
    made.server.shutdown()
    made.server.server_close()


def observed_with(release: ReleaseFolder, packages: dict[str, Path], root: Path, rules: LogRules) -> Observed:
    release.write(release.add(packages["first"], 1), release.add(packages["second"], 2, Role.CHALLENGER), log=rules)
    return Observed(release.folder, root)


def requests(packages: dict[str, Path], release: ReleaseFolder, count: int) -> list[Served]:
    one = answered(packages, release, 2)
    return [msgspec.structs.replace(one, request_id=f"01M7Y3F63RVMJ4B0S8{number:08d}") for number in range(count)]


def test_a_share_of_requests_is_kept_whole_with_its_challengers_and_the_profile_counts_all(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path
) -> None:
    observed = observed_with(release, packages, tmp_path, LogRules(sample=0.4))
    sent = requests(packages, release, 50)
    observed.send(*sent)
    posts = observed.flush()
    assert {post.variant: post.rows for post in posts} == {"champion": 100, "challenger": 100}
    rows = read_predictions(tmp_path / "logs").to_pylist()
    kept = {served.request_id for served in sent if outlets.is_sampled(served.request_id, 0.4)}
    assert 5 < len(kept) < 45
    assert sorted((row["request_id"], row["row"], row["variant"]) for row in rows) == sorted(
        (name, row, variant) for name in kept for row in range(2) for variant in ("champion", "challenger")
    )
    assert observed.counters.total(Gauge.LEFT_OUT) == 4 * (50 - len(kept)) and observed.counters.total(Gauge.DROPPED) == 0
    observed.close()


def test_a_larger_share_keeps_all_that_a_smaller_one_keeps() -> None:
    names = [f"request-{number}" for number in range(2_000)]
    small, large = ({name for name in names if outlets.is_sampled(name, share)} for share in (0.1, 0.3))
    assert small < large and 120 < len(small) < 280 and 480 < len(large) < 720


def test_what_is_hidden_is_in_nothing_that_is_written_or_sent(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path, receiver: Receiver
) -> None:
    write_key(release.folder, KEY)
    rules = LogRules(
        redact=("carrier=hash", "distance=round:100", "scheduled=day", "weekend=drop", "seats=mask"),
        ecs=True,
        cloudevents_url=f"http://{receiver.host}/",
    )
    observed = observed_with(release, packages, tmp_path, rules)
    message = answered(packages, release, 5)
    carriers = message.columns[2]
    assert isinstance(carriers, list)
    observed.send(message)
    observed.flush()
    (row, *_) = rows = read_predictions(tmp_path / "logs", variant="champion").to_pylist()
    assert {name for name in row if name[:2] in ("f_", "m_")} == {"m_carrier", "m_distance", "m_scheduled", "m_seats"}
    assert [row["m_carrier"] for row in rows] == [None if text is None else keyed_hash(KEY, text) for text in carriers]
    assert all(row["m_distance"] % 100 == 0 and row["m_scheduled"].hour == 0 for row in rows)
    assert not any(letter.isdigit() for row in rows for letter in row["m_seats"])
    written = (tmp_path / "logs" / "ecs").glob("*.ndjson").__next__().read_text()
    sent = b"".join(event.data for event in receiver.wait_for(2))
    for secret in ("weekend", '"AA"', '"UA"', '"DL"'):
        assert secret not in written and secret.encode() not in sent
    observed.close()


def test_what_cannot_be_hidden_is_left_out(tmp_path: Path) -> None:
    table = pa.table({"f_a": [1.5, 2.5], "f_b": ["x", "y"], "f_c": [[1], [2]], "row": [0, 1]})
    redaction = Redaction(["a=network", "b=hash", "c=hash", "d=drop"], tmp_path)
    assert redaction.apply(table).column_names == ["row"], "without a key, or of another type, it cannot be hidden as asked"


def test_lines_of_ecs_are_lines_that_filebeat_reads(release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path) -> None:
    observed = observed_with(release, packages, tmp_path, LogRules(ecs=True))
    failed = answered(packages, release, 1, request_id="bad", status=500, predictions=b"", scores=b"")
    observed.send(answered(packages, release, 3), failed)
    observed.flush()
    (path,) = (tmp_path / "logs" / "ecs").glob("*.ndjson")
    assert path.stat().st_mode & 0o777 == 0o640
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == observed.counters.total(Gauge.ECS_LINES) == 3 + 3 + 1
    champion = next(line for line in lines if line["ml.model.variant"] == "champion" and line["event.outcome"] == "success")
    assert list(champion)[:4] == ["@timestamp", "log.level", "message", "ecs.version"]
    assert (champion["ml.model.name"], champion["ml.model.version"], champion["event.duration"]) == ("late", "1", 3_000)
    assert champion["ml.prediction.label"] in ("on time", "late") and len(champion["ml.prediction.proba"]) == 2
    assert champion["ml.features"].keys() == {"distance", "seats", "carrier", "weekend", "scheduled"}
    failure = next(line for line in lines if line["event.outcome"] == "failure")
    assert (failure["log.level"], failure["error.code"], failure["event.category"]) == ("error", "INTERNAL_ERROR", ["api"])
    observed.close()


def test_full_files_are_put_aside_and_a_few_are_kept(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecs_log, "KEPT_FILES", 2)
    table = logged(release, packages, tmp_path)
    writer = EcsLog(tmp_path, "delays", "server", most=1_000)
    for _ in range(4):
        assert writer.write(table, 1.0) == 0
    writer.close()
    assert len(list((tmp_path / "ecs").glob("delays-server.*.ndjson"))) == 2
    (tmp_path / "full").write_text("no folder")
    assert EcsLog(tmp_path / "full", "delays", "server").write(table, 1.0) == table.num_rows, "refused, and counted"


def logged(release: ReleaseFolder, packages: dict[str, Path], root: Path) -> pa.Table:
    observed = observed_with(release, packages, root, LogRules())
    observed.send(answered(packages, release, 4))
    observed.flush()
    observed.close()
    return read_predictions(root / "logs", variant="champion")


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
def test_a_request_and_its_answer_are_two_events_of_one_id(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path, receiver: Receiver, mode: Any
) -> None:
    rules = LogRules(cloudevents_url=f"http://{receiver.host}/v1/events", cloudevents_mode=mode)
    observed = observed_with(release, packages, tmp_path, rules)
    sent = requests(packages, release, 3)
    observed.send(*sent)
    observed.flush()
    events = receiver.wait_for(6)
    assert sorted((event.id, event.type) for event in events) == sorted(
        (served.request_id, kind) for served in sent for kind in (cloudevents.REQUEST, cloudevents.RESPONSE)
    )
    asked = json.loads(next(event.data for event in events if event.type == cloudevents.REQUEST))
    told = json.loads(next(event.data for event in events if event.type == cloudevents.RESPONSE))
    assert [(tensor["name"], tensor["shape"], tensor["datatype"]) for tensor in asked["inputs"]][:3] == [
        ("distance", [2], "FP64"),
        ("seats", [2], "FP64"),
        ("carrier", [2], "BYTES"),
    ]
    assert told["outputs"][0]["name"] == "prediction" and told["outputs"][1]["shape"] == [2, 2] and told["id"] == asked["id"]
    assert events[0].extensions == {"inferenceservicename": "delays", "component": "predictor", "endpoint": "champion"}
    observed.close()
    assert observed.observer is not None


def test_a_receiver_that_refuses_or_is_not_there_costs_counted_events_and_nothing_else(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = logged(release, packages, tmp_path)
    monkeypatch.setattr(event_sender, "MOST_EVENTS", 5)
    counted = [0, 0]

    class Away:
        def request(self, *_: object) -> Any:
            raise PerenneError("nobody is there")

    def count(sent: int, dropped: int) -> None:
        counted[0] += sent
        counted[1] += dropped

    sender = event_sender.EventSender("http://127.0.0.1:1/", "binary", Away(), count)  # type: ignore[arg-type]
    for _ in range(20):
        sender.put(table, "delays")
    sender.close()
    assert counted == [0, 40], "each event is counted once"


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (LogRules(sample=1.5), "sample"),
        (LogRules(sample=float("nan")), "sample"),
        (LogRules(keep=5), "keep"),
        (LogRules(cloudevents_url="ftp://x"), "cloudevents_url"),
    ],
)
def test_rules_that_cannot_be_carried_out_are_refused_by_name(rules: LogRules, says: str) -> None:
    with pytest.raises(Invalid, match=f"^{says}:"):
        check(rules)


def test_rows_reach_elasticsearch_each_as_a_document_of_its_own(
    release: ReleaseFolder, packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.monitoring.outputs.test_elasticsearch import StandIn, check_types

    there = StandIn()
    there.plan = lambda identity, time: (400, {"type": "x"}) if identity.startswith("bad") else (201, None)
    monkeypatch.setenv("PERENNE_ELASTICSEARCH_URL", f"http://{there.place}")
    monkeypatch.setenv("PERENNE_EVENTS_ALLOW", there.place)
    observed = observed_with(release, packages, tmp_path, LogRules(elasticsearch=True, redact=("carrier=drop",)))
    observed.send(answered(packages, release, 3), answered(packages, release, 1, request_id="bad"))
    observed.flush()
    observed.close()
    there.server.shutdown()
    there.server.server_close()
    assert observed.counters.total(Gauge.INDEXED) == len(there.kept) == 6
    assert observed.counters.total(Gauge.INDEX_LOST) == 2
    assert len((tmp_path / "logs" / "elasticsearch").glob("*.ndjson").__next__().read_text().splitlines()) == 2
    for fields in there.kept.values():
        assert "carrier" not in fields["ml.features"]
        check_types({name: value for name, value in fields.items() if name != "ml.features" and value is not None})
