"""Whether something was committed, whoever did it: what a page that shows the database live has to know, for next to nothing."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from perenne.core.errors import PerenneError
from perenne.storage.database import Database


class Changes:
    """Looks at a database through one connection. Not safe to use from several threads at once.

    Parameters
    ----------
    database : Database
        What to look at.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._mark: str | None = None
        self._count = 0

    def count(self) -> int:
        """Return a number that is greater than the last time if something was committed since; it may be so without cause.

        A database that cannot be reached has not changed; once it answers again, it has.
        """
        try:
            mark = self._look()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, PerenneError):
            self.close()
            return self._count
        if mark != self._mark:
            self._mark = mark
            self._count += 1
        return self._count

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._mark = self._connection, None, None
        if connection is not None:
            connection.close()

    def _look(self) -> str:
        if self._connection is None:
            self._connection = self._database.backend.reading.connect()
        try:
            return self._database.backend.mark(self._connection)
        finally:
            self._connection.rollback()  # the next look sees what was committed since
