"""What delivery tells the others."""

from typing import ClassVar

from perenne.core.events import Event


class GatesPassed(Event, frozen=True):
    """The gates of a version were run, and nothing among them holds it back."""

    name: ClassVar[str] = "delivery.gates_passed"

    version: str
    model: str
