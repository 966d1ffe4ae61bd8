"""The committed schema versions on PostgreSQL: they make the declared tables, keep rows, and are run by one of many."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.postgres import PostgresServer
from tests.storage.test_migrations import assert_kept, fill, version_of

from perenne.storage.database import Database
from perenne.storage.migrations import revisions, upgrade
from perenne.storage.migrations.declared import import_tables
from perenne.storage.migrations.generate import differences
from perenne.storage.schema import metadata, statements_of

import_tables()


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database."""
    url = postgres.database()
    yield url
    postgres.drop(url)


def test_the_committed_versions_make_the_declared_tables(url: str) -> None:
    with Database.open(url) as database, database.read() as tx:
        found = differences(tx.connection).upgrade_ops
        assert found is not None and found.as_diffs() == []
        triggers = set(tx.connection.exec_driver_sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").scalars())
    declared = [text for table in metadata.tables.values() for text in statements_of(table, "postgresql")]
    assert triggers == {text.split()[2] for text in declared if text.startswith("CREATE TRIGGER")}


@pytest.mark.parametrize("start", revisions())
def test_every_earlier_schema_is_brought_forward_with_its_rows(url: str, start: str) -> None:
    with Database(url) as database:
        upgrade(database.backend, to=start)
        assert version_of(database) == start
        before = fill(database)
    with Database.open(url) as database:
        assert version_of(database) == revisions()[-1]
        assert_kept(database, before)


def test_several_that_open_a_new_database_at_once_all_succeed(url: str) -> None:
    def open_at_once(_: int) -> str | None:
        with Database.open(url) as database:
            return version_of(database)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(open_at_once, range(6))) == [revisions()[-1]] * 6
