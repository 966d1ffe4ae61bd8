"""A workspace: the settings, the database, the objects and the clock that belong together; what every use case is run with.

A command that needs none of them pays for none: their modules are imported when they are opened.
"""

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from perenne.core.clock import Clock, SystemClock

if TYPE_CHECKING:
    from perenne.core.config import Settings
    from perenne.storage.blobs import Blobs
    from perenne.storage.database import Database
    from perenne.storage.objects import ObjectStore


class Workspace:
    """Opens what is used, when it is used.

    Parameters
    ----------
    settings : Settings, optional
        Where things are; read from the environment and the present folder if not given.
    clock : Clock, optional
        The time by which the loop decides; the system's if not given.
    """

    def __init__(self, settings: "Settings | None" = None, clock: Clock | None = None) -> None:
        self._settings = settings
        self.clock: Clock = clock or SystemClock()
        self._opening = threading.Lock()
        self._database: Database | None = None

    @cached_property
    def settings(self) -> "Settings":
        """Where things are."""
        from perenne.core.config import load_settings

        return self._settings or load_settings()

    @property
    def database(self) -> "Database":
        """The metadata database, opened and migrated; several threads that ask at once get the same one."""
        from perenne.storage.database import Database

        with self._opening:
            if self._database is None:
                self._database = Database.open(self.settings.database)
            return self._database

    @cached_property
    def objects(self) -> "ObjectStore":
        """The object store."""
        from perenne.storage.objects import open_objects

        return open_objects(self.settings.objects)

    @cached_property
    def blobs(self) -> "Blobs":
        """The artifacts' bytes, beside the objects."""
        from perenne.storage.blobs import open_blobs

        return open_blobs(self.settings.objects)

    def close(self) -> None:
        """Close what was opened."""
        with self._opening:
            database, self._database = self._database, None
        if database is not None:
            database.close()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
