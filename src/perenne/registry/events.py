"""What the registry tells the others."""

from typing import ClassVar

from perenne.core.events import Event


class VersionRegistered(Event, frozen=True):
    """A new version exists, with its evidence."""

    name: ClassVar[str] = "version.registered"
    version: str
    model: str


class VersionDecided(Event, frozen=True):
    """A person approved or rejected a version."""

    name: ClassVar[str] = "version.decided"
    version: str
    model: str
    approved: bool
    approver: str
    reason: str
