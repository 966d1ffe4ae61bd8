"""Spans and traces coming in: in any order, in parts, twice, from senders of other conventions."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.llm.spans import BEGAN, TRACE, arrived, span, using

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.formats.otlp import Event, Span
from perenne.llm import ingest, traces
from perenne.llm.blocks import joined, pack, unpack
from perenne.llm.model import Cost, Node, Trace, TraceDraft, TraceState, Usage, sum_usage
from perenne.storage.database import Database

ID = f"tr-{TRACE}"


class Sending:
    """Sends to an experiment and reads back."""

    def __init__(self, database: Database, actor: Principal, experiment: int) -> None:
        self.database, self.actor, self.experiment = database, actor, experiment

    def spans(self, *spans: Span, run: str = "", resource: dict[str, Any] | None = None) -> None:
        sent = arrived(*spans, resource=resource)
        self.database.write(lambda tx: ingest.take_spans(tx, self.actor, self.experiment, sent, run=run))

    def trace(self, **changes: Any) -> None:
        told: dict[str, Any] = {"id": ID, "experiment": self.experiment, "state": TraceState.OK, "started": 5}
        draft = TraceDraft(**(told | changes))
        self.database.write(lambda tx: ingest.start_trace(tx, self.actor, draft))

    def read(self, identity: str = ID) -> Trace:
        with self.database.read() as tx:
            return traces.get(tx, self.actor, identity)

    def read_spans(self, identity: str = ID, *, partial: bool = False) -> list[Span] | None:
        with self.database.read() as tx:
            return traces.complete_spans(tx, [traces.get(tx, self.actor, identity)], partial=partial).get(identity)


@pytest.fixture
def sending(database: Database, actor: Principal, experiment: int) -> Sending:
    return Sending(database, actor, experiment)


def test_spans_make_a_trace_with_its_time_state_sums_and_words(sending: Sending) -> None:
    root = span(1, name="answer", seconds=2, attributes={"mlflow.spanInputs": {"q": "why"}, "mlflow.spanOutputs": "so"})
    root.attributes |= {"session.id": "s-1", "user.id": "ada", "mlflow.traceTag.colour": "blue"}
    sending.spans(root, span(2, 1, attributes=using(10, 0.5)), span(3, 1, attributes=using(20)), resource={"service.name": "bot"})
    found = sending.read()
    assert (found.name, found.state, found.started, found.duration) == ("answer", TraceState.OK, BEGAN // 10**6 + 1, 2000)
    assert found.usage == Usage(input_tokens=30, output_tokens=2, total_tokens=32)
    assert found.cost == Cost(input_cost=0.5, output_cost=0.0, total_cost=0.5)
    assert (found.request_preview, found.response_preview, found.session) == ('{"q":"why"}', "so", "s-1")
    assert found.metadata["mlflow.trace.user"] == "ada" and found.metadata["mlflow.trace.session"] == "s-1"
    assert found.tags["colour"] == "blue" and found.tags["service.name"] == "bot"
    assert found.tags["mlflow.artifactLocation"] == f"mlflow-artifacts:/{sending.experiment}/traces/{ID}/artifacts"
    spans = sending.read_spans()
    assert spans is not None and [one.name for one in spans] == ["answer", "span 2", "span 3"]
    assert spans[0].attributes["mlflow.traceRequestId"] == ID


def test_a_trace_is_in_progress_until_its_root_has_ended_and_failed_if_that_failed(sending: Sending) -> None:
    sending.spans(span(2, 1))
    assert sending.read().state is TraceState.IN_PROGRESS
    sending.spans(span(1, end=0))
    assert sending.read().state is TraceState.IN_PROGRESS
    sending.spans(span(1, status=2))
    assert sending.read().state is TraceState.ERROR


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_the_parts_come_nothing_is_counted_twice(sending: Sending, order: tuple[int, ...]) -> None:
    """A parent that sums up its children, and the children themselves, in requests of their own; some of them sent again."""
    parts = [span(1, attributes=using(30, 0.3)), span(2, 1, attributes=using(10, 0.1)), span(3, 2, attributes=using(20))]
    for place in (*order, order[0]):
        sending.spans(parts[place])
    found = sending.read()
    assert (found.usage.total_tokens, found.cost.total_cost, found.spans) == (31, 0.3, 3)
    assert found.started == BEGAN // 10**6 + 1
    spans = sending.read_spans()
    assert spans is not None and [one.span_id for one in spans] == [f"{number:016x}" for number in (1, 2, 3)]


@pytest.mark.parametrize("first", ["spans", "trace"])
def test_what_the_sender_says_of_the_trace_stands_whichever_comes_first(sending: Sending, first: str) -> None:
    usage = '{"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}'
    metadata = {"mlflow.trace.tokenUsage": usage, "mlflow.trace.session": "told", "own": "x"}

    def describe() -> None:
        tags = {"mlflow.traceName": "mine", "a": "b"}
        sending.trace(duration=7, request_preview="asked", metadata=metadata, tags=tags)

    if first == "trace":
        describe()
    sending.spans(span(1, attributes=using(10, 0.5) | {"session.id": "seen"}))
    if first == "spans":
        describe()
    found = sending.read()
    assert (found.name, found.started, found.duration, found.request_preview) == ("mine", 5, 7, "asked")
    assert found.usage.total_tokens == 3 and found.cost.total_cost == 0.5, "what is not told the spans say"
    assert found.session == "told" and found.metadata["own"] == "x" and found.tags["a"] == "b"
    assert found.metadata["mlflow.trace.infoFinalized"] == "true" and found.spans == 1


def test_spans_that_are_announced_and_not_here_make_it_unfinished(sending: Sending) -> None:
    sending.trace(metadata={"mlflow.trace.sizeStats": '{"num_spans": 2}'})
    sending.spans(span(1))
    assert sending.read_spans() is None
    partial = sending.read_spans(partial=True)
    assert partial is not None and len(partial) == 1
    sending.spans(span(2, 1))
    whole = sending.read_spans()
    assert whole is not None and len(whole) == 2


def test_parts_that_come_at_once_make_one_trace(sending: Sending) -> None:
    """Each in a change of its own, beside the others: PostgreSQL runs them side by side."""
    parts = [arrived(span(number, 1 if number > 1 else 0, attributes=using(1))) for number in range(12, 0, -1)]

    def take(tx: Any, part: Any) -> None:
        ingest.take_spans(tx, sending.actor, sending.experiment, part)

    with ThreadPoolExecutor(8) as pool:
        write = sending.database.write
        list(pool.map(lambda part: write(lambda tx: take(tx, part), durable=False, alone=False), parts))
    found, spans = sending.read(), sending.read_spans()
    assert spans is not None and len(spans) == found.spans == 12
    assert (found.state, found.usage.input_tokens) == (TraceState.OK, 1)


def test_a_run_is_linked_to_traces_whose_root_came(sending: Sending) -> None:
    other = "cd" * 16
    sending.spans(span(1), span(2, 9, trace=other), run="r" * 32)
    with sending.database.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT kind, target FROM trace_link").fetchall()
    assert [tuple(row) for row in rows] == [("run", "r" * 32)]


def test_other_conventions_are_read(sending: Sending) -> None:
    chat = span(1, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "gen_ai.system": "openai"})
    chat.attributes |= {"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": "4"}
    chat.events = [
        Event("gen_ai.user.message", 1, {"content": "Why?"}),
        Event("gen_ai.choice", 2, {"content": '"So."', "role": "assistant"}),
    ]
    tool = span(2, 1, attributes={"openinference.span.kind": "TOOL", "input.value": '{"a": 1}', "output.value": "two"})
    sending.spans(chat, tool)
    found, spans = sending.read(), sending.read_spans()
    assert spans is not None
    assert found.usage == Usage(input_tokens=3, output_tokens=4, total_tokens=7)
    assert spans[0].attributes["mlflow.spanType"] == "CHAT_MODEL" and spans[0].attributes["mlflow.llm.model"] == "m-1"
    assert spans[0].attributes["mlflow.spanOutputs"] == [{"role": "assistant", "content": "So."}]
    assert spans[1].attributes["mlflow.spanType"] == "TOOL" and spans[1].attributes["mlflow.spanInputs"] == '{"a": 1}'
    with sending.database.read() as tx:
        rows = tx.connection.exec_driver_sql(
            "SELECT type, model, provider, total_tokens FROM trace_span ORDER BY span_id"
        ).fetchall()
    assert [tuple(row) for row in rows] == [("CHAT_MODEL", "m-1", "openai", 7), ("TOOL", None, None, None)]


def test_a_batch_is_kept_whole_or_not_at_all(sending: Sending, stranger: Principal) -> None:
    sending.spans(span(1))
    theirs = sending.database.write(lambda tx: tracking.experiments.create(tx, stranger, "other")).id
    both = arrived(span(1, trace="ee" * 16), span(2, 1))
    with pytest.raises(Denied):
        sending.database.write(lambda tx: ingest.take_spans(tx, stranger, theirs, both))
    with pytest.raises(NotFound):
        sending.read(f"tr-{'ee' * 16}")
    with sending.database.read() as tx, pytest.raises(NotFound):
        traces.get(tx, stranger, ID)


def test_unknown_and_deleted_experiments_take_nothing(sending: Sending) -> None:
    with pytest.raises(NotFound):
        sending.database.write(lambda tx: ingest.take_spans(tx, sending.actor, 999, arrived(span(1))))
    sending.database.write(lambda tx: tracking.experiments.delete(tx, sending.actor, sending.experiment))
    with pytest.raises(Conflict):
        sending.spans(span(1))
    with pytest.raises(Invalid, match="no spans"):
        ingest.arrange([])


def test_what_a_database_cannot_hold_is_put_otherwise(sending: Sending) -> None:
    odd = {
        "mlflow.spanInputs": "a\0b",
        "session.id": "s\0",
        "user.id": 7,
        "mlflow.traceTag.t": "\0",
        "x": float("nan"),
        "y": b"\xff",
    }
    sending.spans(span(1, name="n\0", attributes=odd), resource={"service.name": ["a\0"]})
    found, spans = sending.read(), sending.read_spans()
    assert (found.name, found.session, found.tags["t"]) == ("n\ufffd", "s\ufffd", "\ufffd")
    assert found.metadata["mlflow.trace.user"] == "7" and spans is not None and spans[0].attributes["y"] == b"\xff"


def test_many_spans_one_by_one_end_in_one_block(sending: Sending) -> None:
    for number in range(40, 0, -1):
        sending.spans(span(number, number - 1))
    with sending.database.read() as tx:
        blocks = tx.connection.exec_driver_sql("SELECT seq, count FROM trace_block").fetchall()
    assert [tuple(row) for row in blocks] == [(0, 40)]


def test_blocks_are_put_together_as_the_digits_of_a_binary_number(sending: Sending) -> None:
    for number in range(2, 15):
        sending.spans(span(number, number - 1))
    with sending.database.read() as tx:
        counts = [row[0] for row in tx.connection.exec_driver_sql("SELECT count FROM trace_block ORDER BY seq")]
    assert counts == [8, 4, 1]


def test_a_block_comes_back_as_it_went_in() -> None:
    spans = [span(1, attributes={"a": [1, {"b": None}], "c": b"\0"}, events=[Event("e", 1, {"x": True})]), span(2, 1)]
    assert unpack(pack(spans)) == spans and joined(spans, [spans[0]]) == spans


USAGES = st.none() | st.integers(0, 9).map(lambda tokens: Usage(total_tokens=tokens))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), USAGES), max_size=9))
def test_sums_take_the_topmost_that_tells_and_end_in_circles(tree: list[tuple[int, Usage | None]]) -> None:
    nodes = {str(number): Node(str(number), str(parent), usage) for number, (parent, usage) in enumerate(tree)}
    total = sum_usage(nodes).total_tokens
    told = [usage.total_tokens or 0 for _, usage in tree if usage is not None]
    assert (total is None) or total <= sum(told)
    roots = [nodes[key] for key, node in nodes.items() if node.parent_id not in nodes]
    direct = [node.usage.total_tokens or 0 for node in roots if node.usage is not None]
    assert (total or 0) >= sum(direct)
