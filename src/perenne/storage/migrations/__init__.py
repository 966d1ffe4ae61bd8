"""Schema versions. `upgrade` brings a database forward at start, in one transaction; nothing ever goes back."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Unavailable

HEAD = "0001"


def upgrade(engine: Engine) -> None:
    """Bring the schema to `HEAD`.

    Raises
    ------
    Unavailable
        If the database was written by a newer release.
    """
    if not list((Path(__file__).parent / "versions").glob("0001*")):
        from perenne.storage.database import metadata  # interim: until the first migration is generated

        metadata.create_all(engine)
        return
    with engine.connect() as connection:
        if current(connection) == HEAD:
            return
        connection.rollback()
        with connection.begin():
            _upgrade(connection)


def current(connection: Connection) -> str | None:
    """Return the schema version of the database, None if it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("select version_num from alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent), version_locations=[str(Path(__file__).parent / "versions")])
    version = current(connection)
    if version is not None and version not in {script.revision for script in scripts.walk_revisions()}:
        raise Unavailable(
            f"the database has schema {version}, this program knows up to {HEAD}",
            code="database.newer",
            hint="it was opened by a newer release of perenne: use that one",
        )
    from alembic.config import Config

    context = EnvironmentContext(Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs(HEAD, revision))
    with context:
        context.configure(connection=connection, target_metadata=None, transaction_per_migration=False, transactional_ddl=False)
        migration: MigrationContext = context.get_context()
        with Operations.context(migration):
            migration.run_migrations()
