"""What automation tells the others."""

from typing import ClassVar

from perenne.core.events import Event


class EpisodeMoved(Event, frozen=True):
    """An episode made a transition."""

    name: ClassVar[str] = "episode.moved"
    episode: str
    project: str
    before: str
    after: str
    note: str
