"""Searching runs, experiments and logged models: the language on both databases, orders, pages, scopes and refusals."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from tests.tracking.searching import FILTERS, ORDERS, Holds, Tried, in_order, make_world

from perenne.auth.principals import Principal
from perenne.core.filters import parse_filter
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace
from perenne.tracking import walking
from perenne.tracking.search import search_runs

SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
LONG = settings(SHARED, max_examples=1500)
ORDERINGS = st.lists(st.tuples(st.sampled_from(list(ORDERS)), st.booleans()), max_size=3, unique_by=lambda order: order[0])
CASES = {
    "asked": FILTERS, "orders": ORDERINGS, "few": st.sampled_from([0, 5, 1000]), "limit": st.sampled_from([3, 7, 100]),
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
    few: int, limit: int, homes: tuple[int, ...] | None,
) -> None:  # fmt: skip
    text, holds = asked
    ids = sorted({tried.experiment for tried in world})
    chosen = None if homes is None else [ids[place] for place in homes]
    fitting = [t for t in world if not t.deleted and (chosen is None or t.experiment in chosen) and holds(t)]
    written = [f"{key} {'ASC' if ascending else 'DESC'}" for key, ascending in orders]
    usual = walking.FEW
    walking.FEW = few  # how it is found must make no difference
    try:
        found = pages(database, actor, limit, filter=text, order=written, experiments=chosen)
        with database.read() as tx:
            count = walking.count_runs(tx, walking.Scope(experiments=chosen and tuple(chosen)), parse_filter(text), most=1000)
    finally:
        walking.FEW = usual
    assert found == in_order(fitting, list(orders))
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
