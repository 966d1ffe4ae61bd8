"""What differs between the databases: how connections are opened, how a group of changes begins, and what an error means."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from perenne.storage.transaction import Transaction

READERS = 16
"""Connections that may read at once."""

WRITERS = 8
"""Connections that may commit side by side, where that is allowed, beside the one that is alone."""

WAIT_S = 60.0
"""How long a change waits for another process that is writing."""


class Fate(Enum):
    """What became of a group whose commit was not answered."""

    KEPT = "kept"
    LOST = "lost"
    UNKNOWN = "unknown"


class Backend(ABC):
    """One kind of database.

    Parameters
    ----------
    url : sqlalchemy.URL
        Where it is.

    Attributes
    ----------
    reading : Engine
        Its connections see one snapshot and cannot write.
    writing : Engine
        Its connections begin and commit as `begin` and the writer say.
    concurrent : bool
        Whether changes that need not be alone may be committed side by side.
    cheap_savepoints : bool
        Whether a savepoint costs next to nothing. Where it costs a round trip, a group is run without any at first.
    hint : str
        What to look at when it cannot be opened.
    """

    concurrent: ClassVar[bool]
    cheap_savepoints: ClassVar[bool]
    hint: ClassVar[str]

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.reading: Engine = self._engine(read_only=True)
        self.writing: Engine = self._engine(read_only=False)

    @abstractmethod
    def _engine(self, *, read_only: bool) -> Engine: ...

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people: no password."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what must be there before the first connection."""

    @abstractmethod
    def is_made(self) -> bool:
        """Tell whether there is a database to connect to; looking makes none."""

    @abstractmethod
    def begin(self, raw: Any, *, durable: bool, alone: bool) -> Any:
        """Begin a group on a connection of `writing`; return what `fate` needs to know of it later.

        Parameters
        ----------
        raw : object
            The driver's connection.
        durable : bool
            Whether the commit must survive a power cut.
        alone : bool
            Whether no other change that wants to be alone may go on meanwhile, in any process.
        """

    @abstractmethod
    def go_loose(self, raw: Any, *, durable: bool) -> None:
        """Get a connection of `writing` ready for statements that are committed each by itself."""

    @abstractmethod
    def commit(self, raw: Any) -> None:
        """Commit the group. Returns only if it is kept."""

    @abstractmethod
    def fate(self, token: Any, error: BaseException) -> Fate:
        """Find out what became of a group whose commit failed with an error."""

    @abstractmethod
    def passing(self, error: BaseException) -> bool:
        """Tell whether the same changes may well succeed when they are run again: a deadlock, a server that restarts."""

    @abstractmethod
    def migrating(self, connection: Connection, work: Callable[[], None]) -> None:
        """Run changes of the schema in one transaction, while every other process that wants to do so waits."""

    @abstractmethod
    def check(self, tx: Transaction) -> str:
        """Look for damage, quickly. Returns what was found, ``ok`` if nothing."""

    @abstractmethod
    def describe(self, tx: Transaction) -> str:
        """Name the database and its version, and how many bytes it takes."""

    @abstractmethod
    def mark(self, connection: Connection) -> str:
        """Tell by a text whether something was committed: the same connection gets another text after that."""

    @abstractmethod
    def restarting_keys(self, tx: Transaction, tables: list[sa.Table]) -> None:
        """Let automatic keys go on after the highest one that is there: rows were put in with their keys."""

    def close(self) -> None:
        """Let go of every connection."""
        self.writing.dispose()
        self.reading.dispose()
