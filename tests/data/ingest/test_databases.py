"""Rows of a query: all, or those above a watermark, from databases that are only read."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psycopg
import pytest
from tests.data.ingest.conftest import Ingest
from tests.postgres import PostgresServer

from perenne import data
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.storage import outbox
from perenne.storage.workspace import Workspace


class Shop(NamedTuple):
    """A database with orders, and how to change it."""

    uri: str
    run: Callable[..., Any]


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[Shop]:
    def on_sqlite(statement: str) -> None:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.execute(statement)
        connection.close()

    def on_duckdb(statement: str) -> None:
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
            connection.execute(statement)

    url = postgres.database() if request.param == "postgresql" else ""

    def on_postgresql(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    made = {
        "sqlite": Shop(f"sqlite:{tmp_path}/shop.db", on_sqlite),
        "duckdb": Shop(f"duckdb:{tmp_path}/shop.duckdb", on_duckdb),
        "postgresql": Shop(url, on_postgresql),
    }[request.param]
    made.run("create table orders (id integer, placed timestamp, amount real, note text)")
    made.run("insert into orders values (1, '2026-01-01 10:00:00', 2.5, null), (2, '2026-01-02 10:00:00', null, 'größe')")
    yield made
    if url:
        postgres.drop(url)


ORDERS = "select id, amount, note from orders"


def rows_of(workspace: Workspace, snapshot: str) -> list[dict[str, Any]]:
    return data.snapshots.read_snapshot(workspace.objects, snapshot).to_pylist()


def test_a_query_becomes_a_snapshot(workspace: Workspace, actor: Principal, read: Ingest, shop: Shop) -> None:
    found = read(shop.uri, query=f"{ORDERS} order by id;").refresh
    assert rows_of(workspace, found.snapshot) == [
        {"id": 1, "amount": 2.5, "note": None},
        {"id": 2, "amount": None, "note": "größe"},
    ]
    assert (found.query, found.tool.split()[0]) == (f"{ORDERS} order by id;", "perenne")
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    shop.run("update orders set note = 'other' where id = 1")
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.NEW


@pytest.mark.parametrize("watermark", ["id", "placed"])
def test_rows_above_the_watermark_are_added_and_late_ones_are_said(
    workspace: Workspace, actor: Principal, read: Ingest, shop: Shop, watermark: str
) -> None:
    first = read(shop.uri, query="select * from orders", mode="append", watermark=watermark).refresh
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    shop.run("insert into orders values (7, '2026-01-07 10:00:00', 1, 'new'), (0, '2025-12-31 10:00:00', 1, 'late')")
    shop.run("update orders set note = 'changed' where id = 1")
    second = refresh(workspace, actor, "rows").refresh
    assert (first.rows, second.rows, second.added) == (2, 3, 1)
    assert second.notes == ("1 rows came later than their watermark and were not taken",)
    assert [row["note"] for row in rows_of(workspace, second.snapshot)] == [None, "größe", "new"]
    with workspace.database.read() as tx:
        told = [json.loads(event.payload)["note"] for event in outbox.events(tx) if event.name == "data.late"]
    assert told[0] == second.notes[0] and not any(told[1:])


def test_a_database_is_only_read(read: Ingest, shop: Shop) -> None:
    for query in ("delete from orders", "drop table orders", "select 1; delete from orders", "nonsense"):
        with pytest.raises((Invalid, Unavailable)):
            read(shop.uri, query=query)
    assert read(shop.uri, query=ORDERS).refresh.rows == 2


def test_duckdb_reads_no_file_for_a_query(read: Ingest, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "d.duckdb")).close()
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(Invalid, match="refused the query"):
        read(f"duckdb:{tmp_path}/d.duckdb", query=f"select * from '{tmp_path}/secret.csv'")


def test_what_is_not_there_is_said_and_no_password_with_it(read: Ingest, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database"):
        read(f"sqlite:{tmp_path}/none.db", query="select 1")
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(Unavailable) as caught:
        read("postgresql://ada:hush@127.0.0.1:9/shop", query="select 1")
    assert "hush" not in f"{caught.value.message} {caught.value.hint}"


def test_a_column_of_several_types_is_named(read: Ingest, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("create table t (a)")
    connection.executemany("insert into t values (?)", [(1,), ("one",)])
    connection.commit()
    connection.close()
    with pytest.raises(Invalid, match="'a' holds values of several types"):
        read(f"sqlite:{tmp_path}/x.db", query="select a from t")
