"""What is labelled, how, and by whom: label sets, labels, and what counts of several opinions. Pure."""

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from perenne.core.errors import Invalid

Value: TypeAlias = str | float | bool | tuple[Any, ...] | None
"""A class, a number, a text, several classes, or spans; None takes an opinion back."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_CLASS = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
MOST_CLASSES = 100
MOST_SHOWN = 40
LONGEST_TEXT = 20_000
LONGEST_NOTE = 2_000


class TaskKind(StrEnum):
    """What a label says."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    NUMBER = "number"
    TEXT = "text"
    SPANS = "spans"
    VERBATIM = "verbatim"


WITH_CLASSES = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.MULTILABEL, TaskKind.SPANS})


class Source(StrEnum):
    """Who or what said it."""

    PERSON = "person"
    RULE = "rule"
    MODEL = "model"
    IMPORT = "import"


class Role(StrEnum):
    """What a label is for: an opinion, the decision of a reviewer, or the answer that is known beforehand."""

    OPINION = "opinion"
    DECISION = "decision"
    GOLD = "gold"


class ItemState(StrEnum):
    """Where an item stands: it wants opinions, has enough that agree, has enough that differ, or is decided."""

    OPEN = "open"
    DONE = "done"
    DISPUTED = "disputed"
    DECIDED = "decided"


class Order(StrEnum):
    """Which items come first."""

    RANDOM = "random"
    UNCERTAIN = "uncertain"
    DISAGREEMENT = "disagreement"
    SUSPECT = "suspect"


class LabelClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class that may be chosen.

    Attributes
    ----------
    name : str
        What the label is.
    key : str
        The key on the keyboard; the digits and letters in order if not given.
    colour : str
        As ``#2e7d5b``; empty for none. It never stands alone: the name is always beside it.
    help : str
        When to choose it.
    """

    name: str
    key: str = ""
    colour: str = ""
    help: str = ""


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a label set asks for.

    Attributes
    ----------
    kind : TaskKind
        What a label says.
    classes : tuple of LabelClass
        What may be chosen; two for a binary task, the second one the positive; none for numbers and texts.
    instructions : str
        What labellers are told, in Markdown.
    keys : tuple of str
        The columns that identify a row by content; every column of the first snapshot if not given.
    shown : tuple of str
        The columns that labellers see; all if not given. Others are never sent to them.
    text, image : str
        The column that is shown large, and the one that holds the address of a picture.
    low, high : float, optional
        The limits of a number.
    opinions : int
        How many people label each item.
    order : Order
        Which items come first.
    lease : int
        Seconds for which an item is kept for whoever looks at it.
    """

    kind: TaskKind
    classes: tuple[LabelClass, ...] = ()
    instructions: str = ""
    keys: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    text: str = ""
    image: str = ""
    low: float | None = None
    high: float | None = None
    opinions: int = 1
    order: Order = Order.RANDOM
    lease: int = 300

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(item.name for item in self.classes)


class LabelSet(msgspec.Struct, frozen=True):
    """A label set: what is asked of which rows.

    Attributes
    ----------
    dataset, snapshot : str
        The data set, and the version of it whose rows are labelled; both empty before rows are chosen.
    changed, changed_by : int, str
        When and by whom the definition or the rows were changed last.
    """

    name: str
    project: str
    definition: Definition
    dataset: str
    snapshot: str
    created: int
    created_by: str
    changed: int
    changed_by: str


def _fail(field: str, problem: str, hint: str) -> Invalid:
    return Invalid(f"{field}: {problem}", code="label.definition", hint=hint)


def check_name(name: str) -> None:
    """Refuse a name that would not fit into an address. Raises Invalid."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"name: {name[:100]!r} cannot be used",
            code="label.name",
            hint="lower-case letters, digits, hyphens, dots and underlines, at most 63",
        )


def completed(definition: Definition) -> Definition:
    """Check a definition and give each class a key.

    Raises
    ------
    Invalid
        If something cannot be meant, with the field.

    >>> [item.key for item in completed(Definition(kind=TaskKind.BINARY, classes=(LabelClass("no"), LabelClass("yes")))).classes]
    ['1', '2']
    """
    _check_classes(definition)
    _check_numbers(definition)
    for field, names in (("keys", definition.keys), ("shown", definition.shown)):
        if len(set(names)) != len(names):
            raise _fail(field, "a column is named twice", "name each once")
    if len(definition.shown) > MOST_SHOWN:
        raise _fail("shown", f"{len(definition.shown)} columns, at most {MOST_SHOWN} fit", "show what decides")
    if len(definition.instructions) > LONGEST_TEXT or "\0" in definition.instructions:
        raise _fail("instructions", f"at most {LONGEST_TEXT:,} characters, none of them zero", "link to what is longer")
    return msgspec.structs.replace(definition, classes=_with_keys(definition.classes))


def _check_classes(definition: Definition) -> None:
    kind, names = definition.kind, definition.names
    if kind not in WITH_CLASSES:
        if names:
            raise _fail("classes", f"a {kind.value} has none", "leave them out, or choose another kind")
        return
    if kind is TaskKind.BINARY and len(names) != 2:
        raise _fail("classes", f"a binary task has two, not {len(names)}", "name the negative one first")
    if not names or (kind is TaskKind.MULTICLASS and len(names) < 2) or len(names) > MOST_CLASSES:
        raise _fail("classes", f"there are {len(names)}", f"from two to {MOST_CLASSES}, each with a name of its own")
    if len(set(names)) != len(names):
        raise _fail("classes", "two have the same name", "give each a name of its own")
    keys = [item.key for item in definition.classes if item.key]
    for item in definition.classes:
        if not _CLASS.fullmatch(item.name) or item.name != item.name.strip():
            raise _fail("classes", f"{item.name[:100]!r} is no name", "from 1 to 100 characters, without blanks around it")
        if item.key and (len(item.key) != 1 or not item.key.isalnum() or not item.key.isascii() or item.key != item.key.lower()):
            raise _fail("classes", f"{item.key[:20]!r} is no key", "one digit or lower-case letter")
        if item.key in TAKEN_KEYS:
            raise _fail("classes", f"the key {item.key!r} does something else", f"any but {' '.join(sorted(TAKEN_KEYS))}")
        if item.colour and not _COLOUR.fullmatch(item.colour):
            raise _fail("classes", f"{item.colour[:20]!r} is no colour", "write #2e7d5b")
    if len(set(keys)) != len(keys):
        raise _fail("classes", "two have the same key", "give each a key of its own, or none")


def _check_numbers(definition: Definition) -> None:
    bounds = [bound for bound in (definition.low, definition.high) if bound is not None]
    if bounds and definition.kind is not TaskKind.NUMBER:
        raise _fail("low", f"a {definition.kind.value} has no limits", "leave low and high out")
    if not all(map(math.isfinite, bounds)) or (len(bounds) == 2 and bounds[0] >= bounds[1]):
        raise _fail("low", "the limits are not in order", "low below high, both finite")
    if not 1 <= definition.opinions <= 20:
        raise _fail("opinions", f"{definition.opinions} people", "from 1 to 20")
    if not 10 <= definition.lease <= 86_400:
        raise _fail("lease", f"{definition.lease} seconds", "from 10 to 86,400")


TAKEN_KEYS = frozenset("snui")
"""Keys of the labelling page: skip, note, undo, instructions."""
_KEYS = [key for key in "1234567890qwertyopadfghjklzxcvbm" if key not in TAKEN_KEYS]


def _with_keys(classes: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
    taken = {item.key for item in classes}
    free = iter([key for key in _KEYS if key not in taken])
    return tuple(item if item.key else msgspec.structs.replace(item, key=next(free, "")) for item in classes)
