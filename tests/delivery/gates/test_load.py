"""The real model server under load: what callers see, what it costs, and what is held against objectives."""

import asyncio
import http.server
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from tests.delivery.gates.conftest import Done

from perenne.core import json
from perenne.delivery.gates.checks.budgets import Memory, Start
from perenne.delivery.gates.checks.speed import Gpu, Latency, Throughput, refused
from perenne.delivery.gates.load import LEAST, Callers, bodies
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.running import look
from perenne.delivery.gates.subject import Rules, Subject
from perenne.inference import Signature
from perenne.projects import Gate, Objective
from perenne.registry import Verdict
from perenne.stats.columns import Field, FieldKind, Task

QUICK: dict[str, Setting] = {"concurrency": 2, "seconds": 1}


def rules(*objectives: Objective, **limits: Gate) -> Rules:
    stated = {name: limits.get(name, Gate(name, settings=QUICK)) for name in ("latency", "throughput", "start", "memory")}
    return Rules(objectives, gates=tuple(stated.values()))


@pytest.mark.waits
def test_one_run_through_the_real_server_answers_four_gates(done: Done, subject: Subject) -> None:
    subject.rules = rules(
        Objective("latency_p99_ms", at_most=60_000.0),
        Objective("throughput_rps", at_least=0.01),
        start=Gate("start", at_most=600.0, settings=QUICK),
        memory=Gate("memory", at_most=10.0, settings=QUICK),
    )
    latency, throughput = look(subject, Latency(), 120), look(subject, Throughput(), 120)
    start, memory = look(subject, Start(), 120), look(subject, Memory(), 120)
    assert len(subject.loads) == 1
    assert [found.verdict for found in (latency, throughput, start)] == [Verdict.PASS] * 3
    assert (memory.verdict, memory.unit) == (Verdict.FAIL, "MB"), "nothing runs in ten megabytes"
    facts = latency.facts
    assert facts["requests"] >= LEAST and facts["errors"] == 0 and facts["rows"] > 50
    assert 0 < facts["p50_ms"] <= facts["p99_ms"] == latency.value
    assert facts["cpu_us"] > 0 and facts["concurrency"] == 2
    subject.rules = rules(Objective("latency_p99_ms", at_most=60_000.0), Objective("latency_p50_ms", at_most=0.000_001))
    missed = look(subject, Latency(), 120)
    assert (missed.verdict, missed.limit, missed.value) == (Verdict.FAIL, 0.000_001, facts["p50_ms"])
    subject.rules = rules(Objective("throughput_rps", at_least=1e9))
    assert look(subject, Throughput(), 120).verdict is Verdict.FAIL


def test_nothing_is_claimed_for_a_gpu(subject: Subject) -> None:
    assert Gpu().unasked(subject)
    subject.rules = Rules(gates=(Gate("gpu"),))
    assert not Gpu().unasked(subject)
    found = look(subject, Gpu(), 60)
    assert (found.verdict, "ONNX Runtime offers" in found.detail) == (Verdict.UNKNOWN, True)


def test_without_a_limit_nothing_is_asked(subject: Subject) -> None:
    subject.rules = Rules()
    for gate in (Latency(), Throughput(), Start(), Memory()):
        assert "is stated" in gate.unasked(subject)


@pytest.mark.parametrize("settings", [{"concurrency": 0}, {"workers": 2.5}, {"seconds": "long"}, {"concurrency": True}])
def test_settings_that_make_no_sense_leave_it_unknown(subject: Subject, settings: dict[str, int | float | str]) -> None:
    subject.rules = Rules(gates=(Gate("latency", at_most=1.0, settings=settings),))
    found = look(subject, Latency(), 60)
    assert found.verdict is Verdict.UNKNOWN
    assert next(iter(settings)) in found.detail


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every third request with an error, and hangs up on the tenth, if it is told to."""

    protocol_version = "HTTP/1.1"
    hangs_up = False
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        type(self).asked += 1
        if self.hangs_up and self.asked >= 10:
            self.close_connection = True
            return
        body = b'{"error": "model failed"}'
        self.send_response(200 if self.asked % 3 else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def failing() -> Iterator[tuple[int, type[Answers]]]:
    handler = type("Handler", (Answers,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], handler
    server.shutdown()
    thread.join()
    server.server_close()


REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("hangs_up", [False, True])
def test_answers_that_fail_are_counted_and_never_timed(failing: tuple[int, type[Answers]], hangs_up: bool) -> None:
    port, handler = failing
    handler.hangs_up = hangs_up
    callers = Callers(port, [REQUEST], 1, 0.05, lambda: 0.0)
    asyncio.run(callers.run())
    assert callers.errors > 0
    assert callers.problem
    assert len(callers.taken) + callers.errors <= handler.asked + 2


def test_failed_answers_fail_the_gate_and_too_few_leave_it_unknown(subject: Subject) -> None:
    from perenne.delivery.gates.load import Load

    few = Load(
        concurrency=1, workers=1, requests=LEAST - 1, errors=0, rows=1, seconds=1.0, p50_ms=None, p99_ms=None, rps=1.0,
        cpu_us=None, start_seconds=1.0, resident_mb=None,
    )  # fmt: skip
    found = refused(few)
    assert found is not None and found.verdict is Verdict.UNKNOWN
    import msgspec

    failed = refused(msgspec.structs.replace(few, errors=1, problem="status 500"))
    assert failed is not None and failed.verdict is Verdict.FAIL


def test_each_row_is_a_request_of_its_own_whatever_it_holds() -> None:
    fields = (
        Field("n", FieldKind.NUMBER), Field("t", FieldKind.CATEGORY, "string"), Field("when", FieldKind.TIME, "timestamp"),
        Field("image", FieldKind.TENSOR, "float32", (2, 2)),
    )  # fmt: skip
    rows = {
        "n": np.array([1.5, np.nan]), "t": np.array(["a", None], object), "when": np.array([0.0, np.nan]),
        "image": np.arange(8, dtype=np.float32).reshape(2, 2, 2),
    }  # fmt: skip
    made = [json.decode(body, dict) for body in bodies(Signature(fields, Task.REGRESSION, (), "y"), rows)]
    assert [tensor["data"] for tensor in made[0]["inputs"]] == [[1.5], ["a"], ["1970-01-01T00:00:00.000Z"], [0.0, 1.0, 2.0, 3.0]]
    assert [tensor["data"] for tensor in made[1]["inputs"][:3]] == [[None], [None], [None]]
    assert made[1]["inputs"][3]["shape"] == [1, 2, 2]
