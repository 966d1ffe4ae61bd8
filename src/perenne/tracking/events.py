"""What tracking tells the others."""

from typing import ClassVar

from perenne.core.events import Event


class Removed(Event, frozen=True):
    """Something was removed for good: what others keep of it can go too.

    Attributes
    ----------
    kind : str
        ``run``, ``experiment`` or ``logged model``.
    identity : str
        Its id.
    """

    name: ClassVar[str] = "tracking.removed"
    kind: str
    identity: str
