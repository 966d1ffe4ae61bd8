"""Documents for Elasticsearch: every field of its type; and a stand-in server that answers `_bulk` item by item, as it does."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitoring.conftest import Spool, make_rows

from perenne.core.errors import Invalid, Unavailable
from perenne.formats import ecs, elastic
from perenne.formats.elastic import Answered, Document, Fate
from perenne.monitoring.alerting.documents import of_alert, of_verdict
from perenne.monitoring.alerting.indexing import INDEX, Indexing
from perenne.monitoring.dashboards.templates import TYPES
from perenne.monitoring.events import AlertsChanged, DriftFound
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Alert, AlertState, Cause, Severity, WindowState, WindowVerdict
from perenne.net.elasticsearch import BulkSender, Client, DeadLetters, Place, place_from
from perenne.storage import jobs
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace

HOSTILE = '"\n<script>alert(1)</script>\x1b' + "x" * 10_000
Plan = Callable[[str, int], tuple[int, dict[str, str] | None]]


class StandIn:
    """Answers `POST /_bulk` as Elasticsearch does to a data stream: `create` only, an answer for each item, 409 for a known id.

    `plan` says for an id and which time it comes what becomes of it: a status and an error. `whole` are statuses for the next
    requests as a whole; more than `most` bytes are 413.
    """

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, int] = {}
        self.requests: list[tuple[int, dict[str, str]]] = []
        self.whole: list[int] = []
        self.plan: Plan = lambda *_: (201, None)
        self.most = 1 << 20
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = outer.answer(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        assert path == "/_bulk" and headers["Content-Type"] == "application/x-ndjson" and body.endswith(b"\n")
        lines = body[:-1].split(b"\n")
        self.requests.append((len(lines) // 2, headers))
        if self.whole:
            return self.whole.pop(0), b"{}"
        if len(body) > self.most:
            return 413, b"{}"
        items = [self.item(json.loads(head), json.loads(text)) for head, text in zip(lines[::2], lines[1::2], strict=True)]
        errors = any(item["create"]["status"] >= 300 for item in items)
        return 200, json.dumps({"took": 1, "errors": errors, "items": items}).encode()

    def item(self, head: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        assert list(head) == ["create"], "data streams take only create"
        identity = head["create"]["_id"]
        self.seen[identity] = self.seen.get(identity, 0) + 1
        status, error = (
            (409, {"type": "version_conflict_engine_exception"})
            if identity in self.kept
            else self.plan(identity, self.seen[identity])
        )
        if status == 201:
            self.kept[identity] = fields
        return {"create": {"_id": identity, "status": status, **({"error": error} if error else {})}}

    def client(self, **values: str) -> Client:
        return Client(Place(url=f"http://{self.place}", allow=frozenset({self.place}), **values))


@pytest.fixture
def elasticsearch() -> Iterator[StandIn]:
    made = StandIn()
    yield made
    made.server.shutdown()
    made.server.server_close()


def documents(count: int, text: str = "x") -> list[Document]:
    return [Document("logs-perenne.drift-default", f"d{number}", {"message": text, "n": number}) for number in range(count)]


def mixed(identity: str, time: int) -> tuple[int, dict[str, str] | None]:
    number = int(identity[1:])
    if number % 4 == 1 and time == 1:
        return 429, {"type": "es_rejected_execution_exception", "reason": "queue full"}
    if number % 4 == 2:
        return 400, {"type": "document_parsing_exception", "reason": f"no date {HOSTILE}"}
    return 201, None


def test_each_item_of_an_answer_is_looked_at(elasticsearch: StandIn) -> None:
    elasticsearch.plan = mixed
    elasticsearch.kept["d0"] = {}
    answers = elasticsearch.client(key="k").send(documents(4))
    assert [(item.fate, item.status) for item in answers] == [
        (Fate.KEPT, 409), (Fate.AGAIN, 429), (Fate.REFUSED, 400), (Fate.KEPT, 201),
    ]  # fmt: skip
    assert answers[2].reason.startswith("document_parsing_exception: no date") and "\n" not in answers[2].reason
    assert elasticsearch.requests[0][1]["Authorization"] == "ApiKey k"


def test_a_request_that_is_too_large_is_halved_and_a_document_that_is_too_large_is_refused(elasticsearch: StandIn) -> None:
    elasticsearch.most = 1_000
    answers = elasticsearch.client(user="ada", password="p").send([*documents(8, "y" * 150), *documents(1, "z" * 2_000)])
    assert [item.fate for item in answers] == [Fate.KEPT] * 8 + [Fate.REFUSED]
    assert elasticsearch.requests[0][1]["Authorization"] == "Basic YWRhOnA="


@pytest.mark.parametrize(("status", "kind"), [(429, Unavailable), (503, Unavailable), (401, Invalid), (404, Invalid)])
def test_an_answer_to_the_whole_is_told_by_whether_it_is_worth_another_try(
    elasticsearch: StandIn, status: int, kind: type[Exception]
) -> None:
    elasticsearch.whole = [status]
    with pytest.raises(kind):
        elasticsearch.client().send(documents(2))


def test_a_sender_sends_again_what_may_be_taken_later_and_writes_down_what_is_refused(
    elasticsearch: StandIn, tmp_path: Path
) -> None:
    elasticsearch.plan, elasticsearch.whole = mixed, [503]
    counted = [0, 0]

    def count(kept: int, lost: int) -> None:
        counted[0] += kept
        counted[1] += lost

    path = tmp_path / "dead" / "refused.ndjson"
    sender = BulkSender(elasticsearch.client().send, DeadLetters(path), count, pause=0.01)
    sender.put(documents(40))
    sender.close(30)
    assert counted == [30, 10] and len(elasticsearch.kept) == 30
    dead = [json.loads(line) for line in path.read_text().splitlines()]
    assert {item["id"] for item in dead} == {f"d{number}" for number in range(2, 40, 4)} and dead[0]["status"] == 400
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_finds_no_room_is_dropped_and_counted(tmp_path: Path) -> None:
    gate, counted = threading.Event(), []

    def slow(portion: Any) -> list[Answered]:
        gate.wait(30)
        return [Answered(Fate.KEPT, 201)] * len(portion)

    sender = BulkSender(slow, DeadLetters(tmp_path / "x"), lambda *numbers: counted.append(numbers), most=10)
    sender.put(documents(15))
    gate.set()
    sender.close(30)
    assert counted[0] == (0, 5) and sum(kept for kept, _ in counted) == 10


@given(st.lists(st.integers(1, 400), max_size=30), st.integers(1, 5), st.integers(100, 900))
@settings(max_examples=30)
def test_documents_are_cut_into_requests_in_order_and_none_is_lost(sizes: list[int], most: int, size: int) -> None:
    made = [Document("s", str(number), {"message": "x" * length}) for number, length in enumerate(sizes)]
    found = elastic.portions(made, most, size)
    assert [document for portion in found for document in portion] == made
    assert all(len(portion) <= most for portion in found)
    assert all(sum(map(len, map(elastic.lines_of, portion))) <= size or len(portion) == 1 for portion in found)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"items":[]}', b'{"items":[{}]}', b'{"items":[{"create":{}}]}'])
def test_what_is_no_answer_to_a_bulk_request_is_worth_another_try(body: bytes) -> None:
    with pytest.raises(Unavailable):
        elastic.read_answer(body, 1)


def check_types(fields: dict[str, Any]) -> None:
    """Check a document against the field list: known names, each of its type, nothing that JSON has no word for."""
    texts = {"keyword", "constant_keyword", "match_only_text"}
    for name, value in fields.items():
        kind = TYPES[name]
        for item in value if isinstance(value, list) else [value]:
            if kind in texts:
                assert isinstance(item, str) and (kind != "keyword" or len(item.encode()) < 32_766), name
            elif kind == "date":
                assert datetime.fromisoformat(item).utcoffset() is not None, name
            else:
                assert isinstance(item, int if kind == "long" else int | float), name
    assert fields["event.category"] == ["api"] and fields["data_stream.dataset"] == fields["event.dataset"]


def alert_of(feature: str, **values: Any) -> Alert:
    given: dict[str, Any] = {
        "state": AlertState.FIRING,
        "severity": Severity.WARNING,
        "since": 0,
        "latest": 0,
        "opened": 0,
    } | values
    causes = (Cause(feature, "alarm", 0.2, 0.1, 0.3, f"{feature}: median 1 -> 5"),)
    return Alert(
        id="01A", deployment="churn", version="churn@1", rule="drift", summary=f"drift: {feature}", causes=causes, **given
    )


@pytest.mark.parametrize("feature", ["wind", HOSTILE, "\ud800", "a.b*c", ""])
def test_every_field_of_every_document_is_known_and_of_its_type(feature: str) -> None:
    verdict = WindowVerdict(
        deployment="churn", variant="champion", version="churn@1", window_start=0, window_length=10, span_start=0, revision=1,
        state=WindowState.ALARM, rows=100, needed_rows=0, dropped_share=0.0,
        causes=(*alert_of(feature).causes, Cause("b", "warn", None, float("nan"), None, "x")),
    )  # fmt: skip
    made = [of_alert(alert_of(feature, ended=5), "resolved", 1), *of_verdict(verdict)]
    for document in made:
        head, line = elastic.lines_of(document).splitlines()
        assert json.loads(head)["create"]["_index"] == "logs-perenne.drift-default" and len(line) < ecs.MAX_LINE
        read = {name: value for name, value in json.loads(line).items() if value is not None}
        check_types(read)
    assert made[0].id == of_alert(alert_of(feature, ended=5), "resolved", 1).id
    assert len({document.id for document in made}) == 3


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_drift_and_alerts_reach_elasticsearch_once_however_often_they_are_sent(
    workspace: Workspace, spool: Spool, elasticsearch: StandIn
) -> None:
    for window in range(3):
        spool.leave(make_rows(600, window, shift=1.0), window)
    collect(workspace)
    judge_due(workspace, workspace.clock.now())
    indexing = Indexing(Place(url=f"http://{elasticsearch.place}", allow=frozenset({elasticsearch.place})))
    Outbox(workspace.database, {AlertsChanged: [indexing.on_alerts], DriftFound: [indexing.on_drift]}).deliver()
    elasticsearch.plan = lambda identity, time: (429, None) if time == 1 else (201, None)
    claimed = []
    while (job := workspace.database.write(lambda tx: jobs.claim(tx, "me", [INDEX]))) is not None:
        claimed.append(job)
    for job in claimed:
        with pytest.raises(Unavailable):
            indexing.send(workspace, job)
        indexing.send(workspace, job)
    kinds = sorted(fields["event.kind"] for fields in elasticsearch.kept.values())
    assert kinds.count("alert") == 1 and kinds.count("metric") >= 1 and set(kinds) == {"alert", "metric"}
    with workspace.database.read() as tx:
        assert {item.state for item in jobs.jobs(tx, kind=INDEX)} == {"done"}


def test_without_an_address_nothing_is_queued(workspace: Workspace) -> None:
    event = AlertsChanged(deployment="d", version="m@1", window_start=0, changes=(("x", "firing"),))
    workspace.database.write(lambda tx: Indexing.of({}).on_alerts(tx, event))
    with workspace.database.read() as tx:
        assert jobs.jobs(tx) == []
    assert place_from({"PERENNE_ELASTICSEARCH_URL": "https://es/", "PERENNE_ELASTICSEARCH_KEY": "k"}) == Place(
        url="https://es", key="k"
    )
    assert msgspec.json.encode(Answered(Fate.KEPT, 201)) == b'["kept",201,""]'
