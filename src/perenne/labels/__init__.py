"""What people, rules and models say of rows: label sets, queues, agreement, weak labels, likely errors, versions.

`model` states what a label set asks for, `values` what may be said and what counts of several opinions; `store`, `label_store`
and `rule_store` have the tables. `sets` makes label sets, `choosing` says which rows are labelled (`rows` names them by content);
`queues` gives out items, `labelling` keeps what is said, `agreeing` tells how far people agree. `rules` combines weak labels
(`predicates` runs SQL that people wrote), `suspects` finds likely errors (`estimating` fits the model), `versions` freezes what
counts and makes training sets, `exchanging` reads and writes what other tools do, `erasing`
removes what must not stay. `commands` is `perenne label`, `http` REST, `views` the screens.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.labels import choosing, erasing, labelling, model, queues, sets, versions
    from perenne.labels.values import ALL_SOURCES

_ROOMS = ("choosing", "erasing", "labelling", "model", "queues", "sets", "versions")

__all__ = ["ALL_SOURCES", "choosing", "erasing", "labelling", "model", "queues", "sets", "versions"]


def __getattr__(name: str) -> Any:
    if name == "ALL_SOURCES":
        return import_module(f"{__name__}.values").ALL_SOURCES
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
