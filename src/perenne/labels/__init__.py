"""What people, rules and models say of rows: label sets, queues, agreement, weak labels, likely errors, versions.

`model` states what a label set asks for and what counts of several opinions; `store` has the tables. `sets` makes label sets.
`commands` is `perenne label`, `http` is REST, `views` the screens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.labels import model, sets

_ROOMS = ("erasing", "model", "sets")

__all__ = ["erasing", "model", "sets"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
