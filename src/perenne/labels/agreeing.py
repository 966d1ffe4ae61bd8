"""How far people agree, how good each of them seems to be, and how often each class was said."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from perenne.auth.principals import Principal
from perenne.labels import label_store, sets
from perenne.labels.model import Definition, Role, Source, TaskKind
from perenne.labels.values import Label, resolve
from perenne.storage.transaction import Transaction

DRAWS = 200
MOST_COMPARED = 20
"""At most so many labellers are held against each other, those who said most."""


class Limits(msgspec.Struct, frozen=True):
    """A coefficient and the limits between which it lies with 95 % confidence; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Pair(msgspec.Struct, frozen=True):
    """Two labellers: the items that both labelled, the share on which they said the same, and Cohen's kappa."""

    first: str
    second: str
    items: int
    same: float
    kappa: float | None


class LabellerLine(msgspec.Struct, frozen=True):
    """A labeller: how much they said, how often others said the same, and how often they were right where that is known."""

    labeller: str
    labels: int
    shared: int
    same: float | None
    known: int
    right: float | None


class ValueCount(msgspec.Struct, frozen=True):
    """A class, and for how many items it counts."""

    value: str
    items: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far people agree.

    Attributes
    ----------
    opinions, items : int
        Labels of people that count now, and the items with two or more of them.
    alpha : Limits
        Krippendorff's, of numbers by their squared distance, of everything else by equality.
    fleiss : float or None
        Fleiss' kappa; None for numbers.
    pairs : tuple of Pair
        Those who labelled the same items.
    """

    opinions: int
    items: int
    alpha: Limits
    fleiss: float | None
    pairs: tuple[Pair, ...]
    labellers: tuple[LabellerLine, ...]
    classes: tuple[ValueCount, ...]


class _Opinions(NamedTuple):
    """The opinions of people as a table: labellers by items, of codes or numbers, NaN where nobody said anything."""

    labellers: list[str]
    items: list[str]
    table: Any


def agreement(tx: Transaction, actor: Principal, name: str, *, draws: int = DRAWS, seed: int = 0) -> Agreement:
    """Work out how far people agree on what they labelled."""
    found = sets.get(tx, actor, name)
    said = label_store.current(tx, name)
    opinions = _opinions(found.definition, said)
    return Agreement(
        opinions=sum(len(people(labels)) for labels in said.values()),
        items=int(((~_missing(opinions.table)).sum(0) >= 2).sum()) if len(opinions.items) else 0,
        alpha=_alpha(found.definition, opinions, draws, seed),
        fleiss=_fleiss(found.definition, opinions),
        pairs=_pairs(opinions),
        labellers=_labellers(said),
        classes=_counted(found.definition, said),
    )


def people(labels: Sequence[Label]) -> list[Label]:
    """Return the opinions of people among the labels of an item."""
    return [each for each in labels if each.role == Role.OPINION and each.source in (Source.PERSON, Source.IMPORT)]


def _opinions(definition: Definition, said: dict[str, list[Label]]) -> _Opinions:
    import numpy as np

    flat = [(item, each) for item, labels in said.items() for each in people(labels)]
    often = Counter(each.labeller for _, each in flat)
    labellers, items = [name for name, _ in often.most_common()], list(dict.fromkeys(item for item, _ in flat))
    rows, columns = ({name: place for place, name in enumerate(names)} for names in (labellers, items))
    table = np.full((len(labellers), len(items)), np.nan)
    codes: dict[Any, int] = {}
    numbers = definition.kind is TaskKind.NUMBER
    for item, each in flat:
        table[rows[each.labeller], columns[item]] = each.decoded if numbers else codes.setdefault(each.value, len(codes))
    return _Opinions(labellers, items, table)


def _missing(table: Any) -> Any:
    import numpy as np

    return np.isnan(table)


def _alpha(definition: Definition, opinions: _Opinions, draws: int, seed: int) -> Limits:
    from perenne.stats.agreement import krippendorff_alpha

    found = krippendorff_alpha(opinions.table, interval=definition.kind is TaskKind.NUMBER, draws=draws, seed=seed)
    return Limits(_defined(found.value), _defined(found.low), _defined(found.high))


def _defined(value: float) -> float | None:
    return value if value == value else None


def _fleiss(definition: Definition, opinions: _Opinions) -> float | None:
    if definition.kind is TaskKind.NUMBER or not len(opinions.items):
        return None
    import numpy as np

    from perenne.stats.agreement import fleiss_kappa

    codes = np.unique(opinions.table[~np.isnan(opinions.table)])
    return _defined(fleiss_kappa(np.stack([(opinions.table == code).sum(0) for code in codes], axis=1)))


def _pairs(opinions: _Opinions) -> tuple[Pair, ...]:
    import numpy as np

    from perenne.stats.agreement import cohen_kappa

    names, table = opinions.labellers[:MOST_COMPARED], opinions.table[:MOST_COMPARED]
    codes = np.full(table.shape, -1, np.int64)
    known = ~np.isnan(table)
    codes[known] = np.unique(table[known], return_inverse=True)[1]
    found = []
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            both = known[i] & known[j]
            if both.any():
                same = float((codes[i, both] == codes[j, both]).mean())
                found.append(Pair(first, names[j], int(both.sum()), same, _defined(cohen_kappa(codes[i], codes[j]))))
    return tuple(found)


def _labellers(said: dict[str, list[Label]]) -> tuple[LabellerLine, ...]:
    labels, shared, same, known, right = (Counter[str]() for _ in range(5))
    for each in said.values():
        opinions = people(each)
        truth = next((label.value for role in (Role.GOLD, Role.DECISION) for label in each if label.role == role), None)
        values = Counter(label.value for label in opinions)
        for label in opinions:
            labels[label.labeller] += 1
            shared[label.labeller] += len(opinions) - 1
            same[label.labeller] += values[label.value] - 1
            known[label.labeller] += truth is not None
            right[label.labeller] += truth is not None and truth == label.value
    return tuple(
        LabellerLine(who, number, shared[who], _share(same[who], shared[who]), known[who], _share(right[who], known[who]))
        for who, number in labels.most_common()
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counted(definition: Definition, said: dict[str, list[Label]]) -> tuple[ValueCount, ...]:
    if definition.kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.MULTILABEL):
        return ()
    counted: Counter[str] = Counter()
    for labels in said.values():
        found = resolve(definition, labels)
        if found is not None:
            counted.update(found.value if definition.kind is TaskKind.MULTILABEL else [found.value])
    return tuple(ValueCount(name, counted[name]) for name in definition.names)
