"""Schema versions. `upgrade` brings a database forward when it is opened, in one transaction; nothing ever goes back.

A version is a script `versions/NNNN_what.py` for Alembic, written by `python -m perenne.storage.migrations.generate`; its
number is its revision. Alembic is imported only if there is something to do.
"""

import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.engine import Connection, Engine

from perenne.core.errors import Unavailable

VERSIONS = Path(__file__).parent / "versions"
_SCRIPT = re.compile(r"(\d{4})_\w+\.py")


def revisions(versions: Path = VERSIONS) -> list[str]:
    """Return the numbers of the known versions, oldest first."""
    names = [path.name for path in versions.iterdir()] if versions.is_dir() else []
    return sorted(match[1] for match in map(_SCRIPT.fullmatch, names) if match)


def upgrade(engine: Engine, *, versions: Path = VERSIONS, to: str | None = None) -> None:
    """Bring the schema to the newest version, or to a given one.

    Several processes may do so at once: one does the work, the others wait for it.

    Raises
    ------
    Unavailable
        If the database was written by a newer release.
    """
    known = revisions(versions)
    target = to or known[-1]
    with engine.connect().execution_options(begins_itself=True) as connection:
        if current(connection) != target:
            _in_one_transaction(connection, lambda: _run_scripts(connection, versions, known, target))


def current(connection: Connection) -> str | None:
    """Return the schema version of the database, None if it is empty."""
    if connection.exec_driver_sql("select 1 from sqlite_master where name = 'alembic_version'").scalar() is None:
        return None
    version: str | None = connection.exec_driver_sql("select version_num from alembic_version").scalar()
    return version


def _in_one_transaction(connection: Connection, work: Callable[[], None]) -> None:
    """Run under the write lock. Foreign keys are checked at the end: a table may be rebuilt without its rows' children going."""
    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        work()
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise Unavailable(f"the new schema would break a reference of table {broken[0]}", code="database.migration")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    else:
        connection.exec_driver_sql("COMMIT")
    finally:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _run_scripts(connection: Connection, versions: Path, known: list[str], target: str) -> None:
    version = current(connection)
    if version is not None and version not in known:
        raise Unavailable(
            f"the database has schema {version}, this program knows up to {known[-1]}",
            code="database.newer",
            hint="it was opened by a newer release of perenne: use that one",
        )
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(versions.parent), version_locations=[str(versions)])
    environment = EnvironmentContext(Config(), scripts, fn=lambda at, _: scripts._upgrade_revs(target, at))
    with environment:
        environment.configure(connection=connection)
        environment.run_migrations()
