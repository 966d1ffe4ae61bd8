"""Finding traces: by what lies in compressed spans, by what was said of them, by who may see them; and figures over them."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.llm.spans import BEGAN, arrived, span, using

from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.core.filters import Clause, Literal, Op, parse_filter
from perenne.llm import assessments, contents, ingest, trace_metrics, trace_search
from perenne.llm.model import Assessment, AssessmentKind
from perenne.storage.comparing import holds
from perenne.storage.database import Database

IDS = [f"{number:x}" * 32 for number in range(1, 6)]


@pytest.fixture
def filled(database: Database, actor: Principal, experiment: int) -> int:
    """An experiment with five traces, each a second after the one before: of two spans each."""
    for number, identity in enumerate(IDS):
        start = BEGAN + number * 10**9
        root = span(1, trace=identity, name=f"ask {number}", start=start, seconds=1 + number)
        root.attributes |= {"mlflow.spanInputs": f"the question {number}", "session.id": f"s{number // 2}"}
        child = span(2, 1, trace=identity, name="tool" if number % 2 else "model", start=start, status=2 if number == 3 else 1)
        child.attributes |= using(10 * number) | {"mlflow.llm.model": "m-1", "kind": "odd" if number % 2 else "even"}
        sent = arrived(root, child)
        database.write(lambda tx, sent=sent: ingest.take_spans(tx, actor, experiment, sent))  # type: ignore[misc]
    return experiment


@pytest.fixture
def find(database: Database, actor: Principal, filled: int) -> Any:
    def find(text: str, **more: Any) -> list[int]:
        with database.read() as tx:
            found = trace_search.search(tx, more.pop("actor", actor), experiments=[filled], text=text, **more)
        return [IDS.index(one.id[3:]) for one in found.traces]

    return find


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("trace.text LIKE '%question 3%'", [3]),
        ("trace.text ILIKE '%QUESTION 3%'", [3]),
        ("NOT trace.text LIKE '%question 3%'", [4, 2, 1, 0]),
        ("span.content LIKE '%question 1%' OR name = 'ask 0'", [1, 0]),
        ("span.attributes.kind = 'odd'", [3, 1]),
        ("span.attributes.kind != 'odd'", [4, 2, 0]),
        ("span.attributes.kind RLIKE '^ev'", [4, 2, 0]),
        ("span.attributes.kind IN ('even', 'none')", [4, 2, 0]),
        ("span.attributes.nothing IS NULL", [4, 3, 2, 1, 0]),
        ("span.attributes.kind = 'odd' AND span.status = 'ERROR'", [3]),
        ("span.attributes.kind = 'odd' AND span.name = 'ask 1'", []),
        ("span.name = 'tool' AND span.status = 'OK'", [1]),
        ("span.name = 'tool' AND name = 'ask 1'", [1]),
        ("timestamp_ms BETWEEN 1790000001000 AND 1790000002000", [2, 1]),
        ("execution_time_ms >= 4000 OR name = 'ask 0'", [4, 3, 0]),
        ("metadata.`mlflow.trace.session` = 's1'", [3, 2]),
        ("metadata.`mlflow.trace.tokenUsage` IS NOT NULL", [4, 3, 2, 1, 0]),
        ("tags.mlflow.traceName = 'ask 2'", [2]),
    ],
)
def test_filters_find_what_they_ask_for(find: Any, text: str, expected: list[int]) -> None:
    assert find(text) == expected


def test_orders_and_pages(find: Any, database: Database, actor: Principal, filled: int) -> None:
    assert find("", order=["execution_time_ms ASC"]) == [0, 1, 2, 3, 4]
    assert find("", order=["tag.mlflow.traceName DESC"]) == [4, 3, 2, 1, 0]
    seen, token = [], ""
    while True:
        with database.read() as tx:
            page = trace_search.search(tx, actor, experiments=[filled], limit=2, token=token)
        seen += [IDS.index(one.id[3:]) for one in page.traces]
        token = page.token
        if not token:
            break
    assert seen == [4, 3, 2, 1, 0]
    with pytest.raises(Invalid, match="page token"):
        find("", token="junk")


def test_who_is_limited_to_other_projects_finds_nothing(find: Any, stranger: Principal) -> None:
    assert find("", actor=stranger) == [] and find("trace.text LIKE '%question%'", actor=stranger) == []


def say(database: Database, actor: Principal, number: int, value: Any, **more: Any) -> Assessment:
    told: dict[str, Any] = {"id": "", "trace_id": f"tr-{IDS[number]}", "name": "good", "source_kind": "HUMAN", "source": "ada"}
    given = Assessment(**(told | {"kind": AssessmentKind.FEEDBACK, "value": value} | more))
    return database.write(lambda tx: assessments.create(tx, actor, given))


def test_assessments_are_found_by_value_and_for_a_whole_session(find: Any, database: Database, actor: Principal) -> None:
    say(database, actor, 0, "yes", metadata={"mlflow.trace.session": "s0"})
    say(database, actor, 2, 0.25)
    say(database, actor, 3, True)
    assert find("feedback.good = 'yes'") == [1, 0], "the other trace of its session as well"
    assert find("feedback.good < 0.5") == [2] and find("feedback.good = 0.25") == [2]
    assert find("feedback.good LIKE 'y%'") == [1, 0] and find("feedback.good = 'true'") == [3]
    assert find("feedback.good IS NULL") == [4] and find("NOT feedback.good IS NULL") == [3, 2, 1, 0]
    assert find("expectation.good IS NOT NULL") == []


def test_an_override_counts_in_the_place_of_what_it_overrides(find: Any, database: Database, actor: Principal) -> None:
    first = say(database, actor, 0, True)
    second = say(database, actor, 0, False, overrides=first.id)
    assert find("feedback.good = 'true'") == [] and find("feedback.good = 'false'") == [0]
    database.write(lambda tx: assessments.delete(tx, actor, second.trace_id, second.id))
    assert find("feedback.good = 'true'") == [0]


def test_what_is_too_much_to_look_into_is_refused(find: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "AT_ONCE", 2)
    assert find("trace.text LIKE '%question%'") == [4, 3, 2, 1, 0]
    monkeypatch.setattr(contents, "MOST", 3)
    with pytest.raises(Invalid, match="looked into 4 blocks"):
        find("trace.text LIKE '%question%'")
    assert find("trace.text LIKE '%question%' AND timestamp_ms > 1790000002500") == [4, 3]


@settings(max_examples=200)
@given(st.text("ab%_", max_size=8), st.text("abA\n", max_size=10), st.booleans())
def test_patterns_mean_what_they_mean_in_a_database(pattern: str, text: str, folded: bool) -> None:
    op = Op.ILIKE if folded else Op.LIKE
    clause = Clause(entity="", name="text", op=op, values=(Literal(pattern, repr(pattern)),))
    look = contents.Look(clause)
    assert look._fits(text) == holds(text, op, [pattern])


def test_a_pattern_of_many_parts_takes_no_longer_for_it() -> None:
    clause = parse_filter(f"trace.text LIKE '{'%a' * 50}'")
    assert isinstance(clause, Clause)
    assert contents.Look(clause)._fits("a" * 200_000) and not contents.Look(clause)._fits("a" * 200_000 + "b")


def figures(database: Database, actor: Principal, experiment: int, view: str, metric: str, *kinds: Any, **more: Any) -> Any:
    one = trace_metrics.Aggregation
    told = tuple(one("PERCENTILE", kind) if isinstance(kind, float) else one(kind) for kind in kinds)
    asked = trace_metrics.Asked(experiments=[experiment], view=view, metric=metric, aggregations=told, **more)
    with database.read() as tx:
        return [(one.dimensions, one.values) for one in trace_metrics.query(tx, actor, asked)]


def test_figures_are_summed_by_dimension_time_and_place(database: Database, actor: Principal, filled: int) -> None:
    def ask(*told: Any, **more: Any) -> Any:
        return figures(database, actor, filled, *told, **more)

    assert ask("TRACES", "latency", "AVG", "MIN", "MAX", 50.0, 90.0) == [
        ({}, {"AVG": 3000.0, "MIN": 1000.0, "MAX": 5000.0, "P50.0": 3000.0, "P90.0": 4600.0})
    ]
    assert ask("SPANS", "span_count", "COUNT", dimensions=("span_name",))[-2:] == [
        ({"span_name": "model"}, {"COUNT": 3.0}),
        ({"span_name": "tool"}, {"COUNT": 2.0}),
    ]
    assert ask("TRACES", "input_tokens", "SUM", filters=("trace.tag.`mlflow.traceName` = 'ask 4'",)) == [({}, {"SUM": 40.0})]
    bounds = {"first": BEGAN // 10**6, "last": BEGAN // 10**6 + 10_000}
    buckets = ask("TRACES", "trace_count", "COUNT", interval=2, **bounds)
    assert [values["COUNT"] for _, values in buckets] == [2.0, 2.0, 1.0]
    assert buckets[0][0]["time_bucket"] == "2026-09-21T14:13:20+00:00"
    by_name = ask("SPANS", "latency", 50.0, "AVG", dimensions=("span_name",), filters=("span.status = 'ERROR'",))
    assert by_name == [({"span_name": "tool"}, {"P50.0": 1000.0, "AVG": 1000.0})]
    assert ask("TRACES", "trace_count", "COUNT", first=1, last=2) == [({}, {"COUNT": 0.0})]
    with pytest.raises(Invalid, match="only '=' operator"):
        ask("TRACES", "trace_count", "COUNT", filters=("trace.status != 'OK'",))


def test_correlation_is_that_of_the_formula(database: Database, actor: Principal, filled: int) -> None:
    with database.read() as tx:
        found = trace_search.correlate(
            tx, actor, experiments=[filled], first="span.name = 'tool'", second="span.status = 'ERROR'"
        )
        none = trace_search.correlate(tx, actor, experiments=[filled], first="name = 'x'", second="status = 'OK'")
    assert (found.first, found.second, found.both, found.total) == (2, 1, 1, 5)
    assert found.npmi == pytest.approx(math.log(1 / 5 / (2 / 5 * 1 / 5)) / -math.log(1 / 5))
    assert math.isnan(none.npmi)
