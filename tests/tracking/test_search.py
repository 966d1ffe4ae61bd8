"""Searching runs: the language on both databases, orders, pages, scopes and refusals."""

import base64
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from tests.tracking.searching import FILTERS, ORDERS, Holds, Tried, in_order, make_world

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Invalid
from perenne.core.filters import parse_filter
from perenne.storage.bounds import bounded
from perenne.storage.database import Database
from perenne.storage.ordering import read_orders
from perenne.storage.workspace import Workspace
from perenne.tracking import walking
from perenne.tracking.search import View, search_runs

SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(SHARED, max_examples=1500)
ORDERINGS = st.lists(st.tuples(st.sampled_from(list(ORDERS)), st.booleans()), max_size=3, unique_by=lambda order: order[0])
CASES = {
    "asked": FILTERS, "orders": ORDERINGS, "few": st.sampled_from([0, 5, 1000]), "limit": st.sampled_from([3, 7, 100]),
    "offset": st.sampled_from([0, 1, 5, 12, 30, 100]),
    "homes": st.sampled_from([None, (0,), (0, 1)]),
}  # fmt: skip


@pytest.fixture
def world(workspace: Workspace) -> list[Tried]:
    return workspace.database.write(make_world)


def pages(database: Database, actor: Principal, limit: int, **asked: Any) -> list[int]:
    """Read all pages, one after the other."""
    numbers: list[int] = []
    token = ""
    with database.read() as tx:
        while True:
            found = search_runs(tx, actor, limit=limit, token=token, **asked)
            numbers += found.keys
            assert len(found.keys) <= limit
            assert bool(found.token) <= (len(found.keys) == limit)
            token = found.token
            if not token:
                return numbers


def check(
    database: Database, actor: Principal, world: list[Tried], asked: tuple[str, Holds], orders: Sequence[tuple[str, bool]],
    few: int, limit: int, offset: int, homes: tuple[int, ...] | None,
) -> None:  # fmt: skip
    text, holds = asked
    ids = sorted({tried.experiment for tried in world})
    chosen = None if homes is None else [ids[place] for place in homes]
    fitting = [t for t in world if not t.deleted and (chosen is None or t.experiment in chosen) and holds(t)]
    written = [f"{key} {'ASC' if ascending else 'DESC'}" for key, ascending in orders]
    scope = walking.Scope(experiments=None if chosen is None else tuple(chosen))
    usual = walking.FEW
    walking.FEW = few  # how it is found must make no difference
    try:
        found = pages(database, actor, limit, filter=text, order=written, experiments=chosen)
        with database.read() as tx:
            window = walking.find_runs(tx, scope, parse_filter(text), read_orders(written), limit=limit, offset=offset).keys
            count = walking.count_runs(
                tx, walking.Scope(experiments=None if chosen is None else tuple(chosen)), parse_filter(text), most=1000
            )
    finally:
        walking.FEW = usual
    assert found == in_order(fitting, list(orders))
    assert list(window) == found[offset : offset + limit]
    assert count == len(fitting)


@SHARED
@given(**CASES)
def test_every_filter_finds_what_it_should(database: Database, actor: Principal, world: list[Tried], **case: Any) -> None:
    check(database, actor, world, **case)


@pytest.mark.long
@LONG
@given(**CASES)
def test_very_many_filters_find_what_they_should(database: Database, actor: Principal, world: list[Tried], **case: Any) -> None:
    check(database, actor, world, **case)


def refusal(database: Database, actor: Principal, **asked: Any) -> Invalid:
    with database.read() as tx, pytest.raises(Invalid) as caught:
        search_runs(tx, actor, **asked)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.a = 1", "Invalid entity type 'x'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"),
        ("attribute.k = 'x'", "Invalid attribute key 'k' specified. Valid keys are '{'Created', 'Run Name', 'Run name', "),
        ("dataset.k = 'x'", "Invalid dataset key 'k' specified. Valid keys are '{'context', 'digest', 'name'}'"),
        ("status > 'x'", "Invalid comparator '>' not one of '{'!=', '=', 'ILIKE', 'IN', "),
        ("params.a > 'x'", "Invalid comparator '>' not one of '{'!=', '=', 'ILIKE', 'IN', "),
        ("metrics.a LIKE 1", "Invalid comparator 'LIKE' not one of '{'!=', '<', '<=', '=', '>', '>=', 'BETWEEN', "),
        ("tags.a = 1", "Expected a quoted string value for tag (e.g. 'my-value'). Got value 1"),
        ("params.a LIKE 1", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 1"),
        ("status = 1", "Expected a quoted string value for attributes. Got value 1"),
        ("dataset.name = 1", "Expected a quoted string value for attributes. Got value 1"),
        ("metrics.a = '1'", "Expected numeric value type for metric. Found '1'"),
        ("start_time = 'yesterday'", "Expected numeric value type for numeric attribute: start_time. Found 'yesterday'"),
        ("duration = 'long'", "Expected numeric value type for numeric attribute: duration. Found 'long'"),
        (
            "params.a = foo",
            "Parameter value is either not quoted or unidentified quote types used for string value foo. Use either single or ",
        ),
        ("experiment_id = 'abc'", "Invalid experiment ID 'abc'. Experiment ID must be a valid integer."),
        ("tags.a RLIKE '(?=x)'", "the regular expression '(?=x)' cannot be used: "),
        ("a b", "Invalid clause(s) in filter string: 'a'"),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_as_mlflow_says_it(
    database: Database, actor: Principal, text: str, message: str
) -> None:
    for written in (text, f"metrics.x = 1 OR NOT ({text})"):
        error = refusal(database, actor, filter=written)
        assert error.message.startswith(message)
        assert error.status == 400
    if error.code != "filter.pattern":
        assert f"column {written.index(text) + 1}" in error.hint


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["metrics.a foo"], "Invalid ordering key in order_by clause 'metrics.a foo'."),
        (["a b c"], "Invalid order_by clause 'a b c'. Could not be parsed."),
        (["attribute.k"], "Invalid attribute key 'k' specified. Valid keys are '{'Created', "),
        (["dataset.name"], "Invalid order_by entity type 'dataset'"),
        (["x.a"], "Invalid entity type 'x'. Valid values are ['metric', "),
        (["metrics.a", "metric.a DESC"], "`order_by` contains duplicate fields: ['metrics.a', 'metric.a DESC']"),
        (["start_time", "created DESC"], "`order_by` contains duplicate fields: ['start_time', 'created DESC']"),
        ([f"metrics.m{number}" for number in range(21)], "order_by has 21 keys"),
    ],
)
def test_what_is_wrong_with_an_order_is_said(database: Database, actor: Principal, order: list[str], message: str) -> None:
    assert refusal(database, actor, order=order).message.startswith(message)


def found_by(database: Database, actor: Principal, text: str, **asked: Any) -> set[int]:
    with database.read() as tx:
        return set(search_runs(tx, actor, filter=text, **asked).keys)


def test_times_and_spans_may_be_written_as_people_do(database: Database, actor: Principal, world: list[Tried]) -> None:
    there = [tried for tried in world if not tried.deleted]
    ended = {tried.number for tried in there if tried.ended is not None}
    assert found_by(database, actor, "start_time > '2023-01-01' AND created < '2023-11-15T00:00:00Z'") == {
        t.number for t in there
    }
    assert found_by(database, actor, "end_time BETWEEN '2020-01-01' AND '2100-01-01'") == ended
    short = {t.number for t in there if t.ended is not None and t.ended - t.started < 3_600_000_000}
    assert found_by(database, actor, "duration < '1h'") == short
    assert found_by(database, actor, f"duration < {3_600_000}") == short


def test_numbers_beyond_every_column_are_compared_all_the_same(database: Database, actor: Principal, world: list[Tried]) -> None:
    there = {tried.number for tried in world if not tried.deleted}
    with_metric = {t.number for t in world if not t.deleted and t.metrics.get("a", float("nan")) == t.metrics.get("a")}
    for large in ("9" * 30, "9" * 350, "1e400"):
        assert found_by(database, actor, f"start_time < {large}") == there
        assert found_by(database, actor, f"start_time > -{large}") == there
        assert found_by(database, actor, f"start_time = {large} OR start_time > {large}") == set()
        assert found_by(database, actor, f"start_time != {large}") == there
        assert found_by(database, actor, f"metrics.a <= {large}") == (with_metric if len(large) != 30 else {
            t.number for t in world if t.number in with_metric and t.metrics["a"] < 1e30
        })  # fmt: skip
        assert found_by(database, actor, f"params.p > {large}") == set()


def test_a_value_is_a_value_whatever_it_holds(database: Database, actor: Principal, world: list[Tried]) -> None:
    percent = {t.number for t in world if not t.deleted and t.parameters.get("p") == "ä%_b"}
    assert percent
    assert found_by(database, actor, "params.p = 'ä%_b'") == percent
    assert found_by(database, actor, "params.p LIKE '%[%]%'") == set()
    assert found_by(database, actor, "params.p = 'x'' OR 1=1 --'") == set()
    assert found_by(database, actor, 'params.p = "\'; drop table run; --"') == set()


def test_what_somebody_may_not_see_is_not_found(database: Database, actor: Principal, world: list[Tried]) -> None:
    limited = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"two"}))
    mine = {tried.number for tried in world if tried.project == "two" and not tried.deleted}
    theirs = next(tried.experiment for tried in world if tried.project == "one")
    assert found_by(database, limited, "") == mine
    assert found_by(database, limited, "metrics.a > -5 OR NOT metrics.a > -5", order=["metrics.a"]) == mine
    assert found_by(database, limited, "", experiments=[theirs]) == set()


def test_deleted_runs_are_found_when_asked_for(database: Database, actor: Principal, world: list[Tried]) -> None:
    deleted = {tried.number for tried in world if tried.deleted}
    assert deleted
    assert found_by(database, actor, "", view=View.DELETED) == deleted
    assert found_by(database, actor, "", view=View.ALL) == {tried.number for tried in world}
    assert found_by(database, actor, "", experiments=[]) == set()


def token_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_tokens_of_another_order_or_forged_are_refused(database: Database, actor: Principal, world: list[Tried]) -> None:
    with database.read() as tx:
        token = search_runs(tx, actor, order=["metrics.a"], limit=3).token
        named = search_runs(tx, actor, order=["run_name"], limit=3).token
    body = base64.b64decode(token).decode()
    names = base64.b64decode(named).decode()
    values = body.partition("[")[2].partition("]")[0]
    forged = [
        (["run_name"], token),
        (["metrics.a"], token_of(body.replace(values, "1"))),
        (["metrics.a"], token_of(body.replace(values, '"x","y","z","u"'))),
        (["metrics.a"], token_of(body.replace(values, "null,null,null,null"))),
        (["metrics.a"], token_of(body.replace(values, ""))),
        (["run_name"], token_of(names.replace('"after":["', '"after":[1,"'))),
        (["metrics.a"], "no token"),
    ]
    for order, wrong in forged:
        error = refusal(database, actor, order=order, token=wrong)
        assert error.code == "page.token"
        assert error.message.startswith("Invalid page token, ")


def test_mlflows_tokens_go_on_at_their_offset(database: Database, actor: Principal, world: list[Tried]) -> None:
    everything = pages(database, actor, 100, order=["metrics.a DESC"])
    with database.read() as tx:
        found = search_runs(tx, actor, order=["metrics.a DESC"], limit=5, token=token_of('{"offset": 7}'))
        assert list(found.keys) == everything[7:12]
        assert list(search_runs(tx, actor, order=["metrics.a DESC"], limit=5, token=found.token).keys) == everything[12:17]


def test_a_search_that_takes_too_long_is_stopped(database: Database) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT max(i) FROM n"
    with database.read() as tx, pytest.raises(Invalid) as caught, bounded(tx, 0.05):
        tx.connection.exec_driver_sql(endless).all()
    assert (caught.value.code, caught.value.status) == ("search.slow", 400)
    with database.read() as tx:
        assert tx.connection.exec_driver_sql("SELECT 1").scalar() == 1


KEYS = [
    "metrics.a",
    "params.p",
    "tags.t",
    "number.p",
    "dataset.name",
    "status",
    "run_id",
    "end_time",
    "duration",
    "experiment_id",
]
KEYS += ["start_time", "user_id", "metrics.`odd 'name'`", "x", "y.z"]
VALUES = ["1", "-2.5", "1e400", "9" * 20, "'x'", "'5m'", "'2026-01-01'", "'a%_b'", "'(a|b)+'", "'9'", "''", "bare"]
COMPARED = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "<", ">=", "LIKE", "NOT ILIKE", "RLIKE"]), st.sampled_from(VALUES)).map(" ".join),
    st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)).map(lambda two: f"NOT IN ({', '.join(two)})"),
    st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)).map(lambda two: f"BETWEEN {' AND '.join(two)}"),
    st.sampled_from(["IS NULL", "IS NOT NULL"]),
)
CLAUSE = st.tuples(st.sampled_from(KEYS), COMPARED).map(" ".join)
WRITTEN = st.tuples(CLAUSE, st.sampled_from(["", " AND ", " OR NOT "]), CLAUSE).map(
    lambda parts: "".join(parts) if parts[1] else parts[0]
)


@settings(SHARED, max_examples=150)
@given(text=WRITTEN, order=st.lists(st.sampled_from([*ORDERS, "dataset.name", "duration", "x"]), max_size=3))
def test_whatever_is_asked_is_answered_or_refused(
    database: Database, actor: Principal, world: list[Tried], text: str, order: list[str]
) -> None:
    try:
        with database.read() as tx:
            found = search_runs(tx, actor, filter=text, order=order, limit=5)
            assert len(found.keys) <= 5
    except Invalid as error:
        assert error.code.startswith("filter.")  # noqa: PT017


def test_the_largest_filters_are_answered(database: Database, actor: Principal, world: list[Tried]) -> None:
    there = {tried.number for tried in world if not tried.deleted}
    keys = (
        "metrics.a > 5",
        "params.p LIKE 'z%'",
        "tags.t RLIKE '^z'",
        "params.p < -100",
        "dataset.name = 'z'",
        "number.p IN (7, 8)",
    )
    some = [keys[place % len(keys)] for place in range(100)]
    assert found_by(database, actor, " OR ".join(some)) == set()
    assert found_by(database, actor, " AND ".join(f"NOT {clause}" for clause in some)) == there
    assert found_by(database, actor, f"{'NOT ' * 31}({some[0]})") == there
    assert found_by(database, actor, f"tags.t IN ({', '.join(repr(str(place)) for place in range(2000))})") == {
        tried.number for tried in world if not tried.deleted and tried.tags.get("t") == "10"
    }
    order = [f"metrics.m{place}" for place in range(17)] + ["metrics.a DESC", "params.p", "tags.t"]
    assert len(found_by(database, actor, "", order=order)) == len(there)
