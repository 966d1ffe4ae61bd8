"""Whether something was committed, on both databases."""

import sqlalchemy as sa

from perenne.storage.changes import Changes
from perenne.storage.database import Database
from perenne.storage.links import Kind, add_link


def link(database: Database, name: str) -> None:
    database.write(lambda tx: add_link(tx, (Kind.RUN, name), "used", (Kind.SNAPSHOT, "s")))


def test_a_commit_is_noticed_once(database: Database) -> None:
    changes = Changes(database)
    before = changes.count()
    link(database, "one")
    after = changes.count()
    assert after > before
    assert changes.count() == after
    changes.close()


def test_another_process_is_noticed_as_well(database: Database) -> None:
    changes = Changes(database)
    before = changes.count()
    with Database.open(database.url.render_as_string(hide_password=False)) as other:
        link(other, "one")
    assert changes.count() > before
    changes.close()


def test_it_goes_on_after_its_connection_broke(database: Database) -> None:
    changes = Changes(database)
    before = changes.count()
    assert changes._connection is not None
    changes._connection.connection.driver_connection.close()  # type: ignore[union-attr]
    changes.count()
    link(database, "one")
    assert changes.count() > before
    with database.read() as tx:
        assert tx.scalar(sa.text("select count(*) from link")) == 1
    changes.close()
