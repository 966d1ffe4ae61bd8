"""Events: what one part of the loop tells the others.

The payload Struct lives with its sender, the table of receivers in `perenne.app`.
"""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every event; a subclass gives its dotted name, as in ``class DriftFound(Event): name = "drift.found"``."""

    name: ClassVar[str]
