"""What each search looks up: an index, never a whole table of what runs have by name."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.tracking.searching import make_world

from perenne.auth.principals import Principal
from perenne.storage.database import Database, Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import walking
from perenne.tracking.search import search_runs
from perenne.tracking.tables import run_param, run_tag

TABLES = ("run_latest", "run_param", "run_tag", "run_input")


def plans(database: Database, actor: Principal, **asked: Any) -> list[str]:
    """Return the steps of every statement of a search, as the database explains them."""
    said: list[tuple[str, Any]] = []
    on_sqlite = database.url.get_backend_name() == "sqlite"

    def hear(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith("SELECT"):
            said.append((statement, parameters))

    sa.event.listen(database.backend.reading, "before_cursor_execute", hear)
    with database.read() as tx:
        if not on_sqlite:  # the tables are so small that nothing else would do
            tx.connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        search_runs(tx, actor, **asked)
        sa.event.remove(database.backend.reading, "before_cursor_execute", hear)
        explain = "EXPLAIN QUERY PLAN " if on_sqlite else "EXPLAIN "
        steps = [row for statement, given in said for row in tx.driver.execute(explain + statement, given).fetchall()]
    return [str(row[-1]) for row in steps]


SEARCHES: list[tuple[str, list[str]]] = [
    ("", []),
    ("", ["metrics.a DESC"]),
    ("", ["params.p"]),
    ("", ["number.p DESC"]),
    ("", ["tags.t", "metrics.a"]),
    ("metrics.a > 0.1 AND params.p = 'adam'", ["metrics.b"]),
    ("tags.t LIKE 'a%' OR NOT metrics.a <= 0", []),
    ("params.p < 5 AND params.`my q` IS NULL", ["start_time"]),
    ("dataset.name = 'flights'", []),
]


@pytest.mark.parametrize("few", [0, 1000])
def test_indexes_serve(workspace: Workspace, actor: Principal, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    workspace.database.write(make_world)
    monkeypatch.setattr(walking, "FEW", few)
    for text, order in SEARCHES:
        steps = plans(workspace.database, actor, filter=text, order=order)
        assert steps
        for step in steps:
            whole = step.startswith("SCAN ") and "INDEX" not in step
            assert not (whole and step.split()[1].startswith(TABLES)), step
            assert not any(f"Seq Scan on {table}" in step for table in TABLES), step


def test_a_page_is_read_along_an_index_and_not_sorted(
    workspace: Workspace, actor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shorten(tx: Transaction) -> None:
        for table in (run_param, run_tag):  # one long value is enough for an order of texts to be sorted as a whole
            tx.execute(table.update().where(sa.func.length(table.c.value) > 250).values(value="x"))

    workspace.database.write(make_world)
    workspace.database.write(shorten)
    monkeypatch.setattr(walking, "FEW", 0)
    for order in ([], ["metrics.a DESC"], ["params.p"], ["number.p"], ["tags.t DESC"]):
        steps = plans(workspace.database, actor, order=order, limit=3)
        assert [step for step in steps if "B-TREE FOR ORDER BY" in step or step.startswith("Sort ")] == [], order
    assert any("ORDER BY" in step or "Sort " in step for step in plans(workspace.database, actor, order=["end_time"]))
