"""Columns that hold Structs, prepared statements, and a workspace that several threads open."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import sqlalchemy as sa

from perenne.core.config import Settings
from perenne.storage.database import Database, JsonColumn, read_struct
from perenne.storage.prepared import Prepared
from perenne.storage.workspace import Workspace


class Point(msgspec.Struct, frozen=True):
    """A place."""

    x: float
    tags: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """A row of the table below."""

    id: int
    point: Point | None
    points: list[Point]


rows = sa.Table(
    "column_row",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("point", JsonColumn(Point)),
    sa.Column("points", JsonColumn(list[Point])),
)


def test_structs_come_back_as_they_were_written(database: Database) -> None:
    written = [Row(1, Point(0.1, ("a", "ü")), [Point(1e300)]), Row(2, None, [])]
    database.write(lambda tx: rows.create(tx.connection))
    database.write(lambda tx: tx.execute(rows.insert(), [msgspec.structs.asdict(row) for row in written]))
    with database.read() as tx:
        assert [read_struct(Row, row) for row in tx.execute(sa.select(rows).order_by(rows.c.id))] == written


def test_a_prepared_statement_does_what_it_says(database: Database) -> None:
    insert = Prepared(rows.insert().values(id=sa.bindparam("id"), point=sa.bindparam("point", type_=sa.Text)))
    read = Prepared(sa.text("SELECT id, point FROM column_row WHERE id >= :first ORDER BY id"))
    database.write(lambda tx: rows.create(tx.connection))
    database.write(lambda tx: insert.run_many(tx, [{"id": 1, "point": "{}"}, {"point": None, "id": 2}]))
    database.write(lambda tx: insert.run(tx, {"id": 3, "point": "x"}))
    with database.read() as tx:
        assert read.run(tx, {"first": 2}).fetchall() == [(2, None), (3, "x")]


def test_threads_that_ask_at_once_get_one_database(settings: Settings) -> None:
    with Workspace(settings) as workspace, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: workspace.database, range(8)))) == 1
