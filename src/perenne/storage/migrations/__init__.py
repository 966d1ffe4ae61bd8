"""Schema versions. `upgrade` brings a database forward when it is opened, in one transaction; nothing ever goes back.

A version is a script `versions/NNNN_what.py` for Alembic, written by `python -m perenne.storage.migrations.generate`; its
number is its revision. Alembic is imported only if there is something to do.
"""

import re
from pathlib import Path

from sqlalchemy.engine import Connection

from perenne.core.errors import Unavailable
from perenne.storage.backend import Backend

VERSIONS = Path(__file__).parent / "versions"
_SCRIPT = re.compile(r"(\d{4})_\w+\.py")


def revisions(versions: Path = VERSIONS) -> list[str]:
    """Return the numbers of the known versions, oldest first."""
    names = [path.name for path in versions.iterdir()] if versions.is_dir() else []
    return sorted(match[1] for match in map(_SCRIPT.fullmatch, names) if match)


def upgrade(backend: Backend, *, versions: Path = VERSIONS, to: str | None = None) -> None:
    """Bring the schema to the newest version, or to a given one.

    Several processes may do so at once: one does the work, the others wait for it.

    Raises
    ------
    Unavailable
        If the database was written by a newer release.
    """
    known = revisions(versions)
    target = to or known[-1]
    with backend.writing.connect() as connection:
        if current(connection) != target:
            backend.migrating(connection, lambda: _run_scripts(connection, versions, known, target))


def current(connection: Connection) -> str | None:
    """Return the schema version of the database, None if it is empty."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("select version_num from alembic_version").scalar()
    return version


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
