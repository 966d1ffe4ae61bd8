"""Schema versions: written from the declared tables, run in one transaction, forwards only, and without losing a row."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from perenne.core.errors import Unavailable
from perenne.storage.backup import tables_of
from perenne.storage.database import Database
from perenne.storage.migrations import VERSIONS, current, revisions, upgrade
from perenne.storage.migrations.declared import import_tables
from perenne.storage.migrations.generate import differences, generate
from perenne.storage.schema import metadata, statements_of

import_tables()

SECOND = '''"""Schema 0002: a column more, a table rebuilt."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("job", sa.Column("note", sa.Text(), server_default=""))
    with op.batch_alter_table("project", recreate="always") as table:
        table.alter_column("owner", nullable=True)
'''

FAILING = '''"""Schema 0002: breaks half way."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE TABLE half (x INTEGER)")
    op.execute("INSERT INTO nowhere VALUES (1)")
'''


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose first version is written from the tables as they are declared now."""
    versions = tmp_path_factory.mktemp("migrations") / "versions"
    path = generate("first", versions)
    assert path is not None and path.name == "0001_first.py"
    assert generate("again", versions) is None, "nothing has changed since"
    return versions


def with_second(first: Path, folder: Path, script: str) -> Path:
    versions = folder / "versions"
    versions.mkdir()
    (versions / "0001_first.py").write_text((first / "0001_first.py").read_text())
    (versions / "0002_second.py").write_text(script)
    return versions


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """A database whose schema is left as it is."""
    database = Database(f"sqlite:///{folder}/migrated.db")
    try:
        yield database
    finally:
        database.close()


def bring(folder: Path, versions: Path, to: str | None = None) -> None:
    """Upgrade the database, and close it."""
    with opened(folder) as database:
        upgrade(database.backend, versions=versions, to=to)


def version_of(database: Database) -> str | None:
    with database.read() as tx:
        return current(tx.connection)


def assert_matches_the_declared_tables(database: Database) -> None:
    with database.read() as tx:
        found = differences(tx.connection).upgrade_ops
        assert found is not None and found.as_diffs() == []
        there = {row[0] for row in tx.connection.exec_driver_sql("select sql from sqlite_master where type = 'trigger'")}
    assert {statement for table in metadata.tables.values() for statement in statements_of(table, "sqlite")} == there


def test_a_generated_version_makes_the_declared_tables(first: Path, tmp_path: Path) -> None:
    bring(tmp_path, first)
    with opened(tmp_path) as database:
        assert version_of(database) == "0001"
        assert_matches_the_declared_tables(database)


def test_the_committed_versions_make_the_declared_tables(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path}/migrated.db") as database:
        assert version_of(database) == revisions()[-1]
        assert_matches_the_declared_tables(database)


@pytest.mark.parametrize("start", revisions())
def test_every_earlier_schema_is_brought_forward_with_its_rows(tmp_path: Path, start: str) -> None:
    bring(tmp_path, VERSIONS, to=start)
    with opened(tmp_path) as database:
        assert version_of(database) == start
        before = fill(database)
    bring(tmp_path, VERSIONS)
    with opened(tmp_path) as database:
        assert version_of(database) == revisions()[-1]
        assert_kept(database, before)


def test_a_table_is_rebuilt_without_losing_rows(first: Path, tmp_path: Path) -> None:
    versions = with_second(first, tmp_path, SECOND)
    bring(tmp_path, versions, to="0001")
    with opened(tmp_path) as database:
        before = fill(database)
    bring(tmp_path, versions)
    with opened(tmp_path) as database:
        assert_kept(database, before)
        assert {column["name"] for column in columns_of(database, "job")} > {"note"}
        with database.read() as tx:
            assert tx.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def columns_of(database: Database, name: str) -> list[Any]:
    with database.read() as tx:
        return list(sa.inspect(tx.connection).get_columns(name))


def fill(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Put three rows into every table of the schema as it stands in the database, and return them."""
    with database.read() as tx:
        tables = tables_of(tx)

    def insert(tx: Any) -> None:
        if tx.connection.dialect.name == "sqlite":
            tx.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table in tables:
            tx.execute(table.insert(), [row_of(table, number) for number in range(1, 4)])

    database.write(insert)
    with database.read() as tx:
        return {table.name: [dict(row._mapping) for row in tx.execute(sa.select(table))] for table in tables}


def row_of(table: sa.Table, number: int) -> dict[str, Any]:
    """Make a row in which every column holds its number: references between tables fit, and keys differ."""
    return {column.name: value_of(column.type, number) for column in table.columns}


def value_of(kind: Any, number: int) -> Any:
    match kind:
        case sa.Boolean():
            return False
        case sa.Integer():
            return number
        case sa.Float() | sa.Numeric():
            return float(number)
        case sa.LargeBinary():
            return bytes([number])
        case _:
            return str(number)


def assert_kept(database: Database, before: dict[str, list[dict[str, Any]]]) -> None:
    with database.read() as tx:
        for name, rows in before.items():
            there = [dict(row._mapping) for row in tx.execute(sa.text(f'select * from "{name}"'))]
            assert len(there) == len(rows) >= 3, name
            for row, now in zip(rows, there, strict=True):
                assert {key: now[key] for key in row if key in now} == {key: row[key] for key in row if key in now}, name


def test_a_version_that_fails_leaves_the_schema_before(first: Path, tmp_path: Path) -> None:
    versions = with_second(first, tmp_path, FAILING)
    with opened(tmp_path) as database:
        upgrade(database.backend, versions=versions, to="0001")
        with pytest.raises(sa.exc.OperationalError):
            upgrade(database.backend, versions=versions)
        assert version_of(database) == "0001"
        with database.read() as tx:
            assert not sa.inspect(tx.connection).has_table("half")
        upgrade(database.backend, versions=first)


def test_a_schema_of_a_newer_release_is_refused_and_left_alone(first: Path, tmp_path: Path) -> None:
    newer = with_second(first, tmp_path, SECOND)
    with opened(tmp_path) as database:
        upgrade(database.backend, versions=newer)
        with pytest.raises(Unavailable, match="0002, this program knows up to 0001") as error:
            upgrade(database.backend, versions=first)
        assert error.value.code == "database.newer"
        assert version_of(database) == "0002"


def test_several_that_open_a_new_database_at_once_all_succeed(first: Path, tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def open_at_once(_: int) -> str | None:
        together.wait(60)
        with opened(tmp_path) as database:
            upgrade(database.backend, versions=first)
            return version_of(database)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_at_once, range(6))) == ["0001"] * 6


def test_opening_a_current_database_imports_no_migration_tool(first: Path, tmp_path: Path) -> None:
    bring(tmp_path, first)
    program = (
        "import sys; from pathlib import Path\n"
        "from perenne.storage.database import Database; from perenne.storage import migrations\n"
        f"database = Database('sqlite:///{tmp_path}/migrated.db')\n"
        f"migrations.upgrade(database.backend, versions=Path({str(first)!r}))\n"
        "database.close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_every_schema_follows_the_one_before() -> None:
    """Two that follow the same one, or a number that is skipped, would leave databases without what lies between."""
    follows = {
        match["revision"]: match["before"]
        for path in sorted(VERSIONS.glob("[0-9]*.py"))
        if (match := re.search(r'revision = "(?P<revision>\d+)"\ndown_revision = "?(?P<before>\w+)', path.read_text()))
        and path.name.startswith(match["revision"])
    }
    assert list(follows) == revisions()
    assert list(follows.values())[1:] == revisions()[:-1]
