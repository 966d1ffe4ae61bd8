"""The port of a gate: what looks at one thing about a version."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

from perenne.delivery.gates.model import Finding

if TYPE_CHECKING:
    from perenne.delivery.gates.subject import Subject

Setting: TypeAlias = str | int | float | bool

GROUP = "perenne.gates"
"""The entry point group under which packages offer gates of their own; they run after ours."""


class Untold(Exception):
    """Raised by a gate that cannot tell; its words become the row's."""


class GateCheck(Protocol):
    """Looks at one thing about a version.

    Attributes
    ----------
    name : str
        A word or two, joined by hyphens: how people and policies call it.
    title : str
        What it asks, in a line.
    rests_on : tuple of str
        What its finding rests on beside the files and its own limits: `bounds` (objectives and guardrails), `champion`, `project`
        (the files in its folder), or `moment`: then it is never taken over from before.
    settings : mapping
        What a project may set, with what counts if it does not.
    """

    name: str
    title: str
    rests_on: tuple[str, ...]
    settings: Mapping[str, Setting]

    def unasked(self, subject: "Subject") -> str:
        """Say why a version may go on without it unless its project says otherwise; an empty text if it may not."""
        ...

    def look(self, subject: "Subject") -> Finding:
        """Look, and say what was found. Whatever it raises makes the gate unknown."""
        ...
