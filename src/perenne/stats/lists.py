"""Lists of recommended items: features of each row's list, and how much of the catalogue all lists together show."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column
from perenne.stats.concentration import entropy, gini
from perenne.stats.levels import CategoryCells, level_hash, level_text

ITEM, FIRST, LENGTH, POSITION = ".item", ".first", ".length", ".position"
"""What the features of a list are called, after its name."""

BUCKETS = 1_024
"""Items are counted by hash in so many buckets, so that what many windows showed adds up."""

HEAD = 10
"""Most frequent items of the reference whose position is watched."""

Items = list[list[str]]


class ListFigures(msgspec.Struct, frozen=True):
    """What all lists together show.

    Attributes
    ----------
    items : int
        Items listed, each as often as it was.
    distinct : float
        How many different ones, by the buckets that stayed empty (linear counting); at most some thousands can be told.
    coverage : float or None
        Those of the reference's buckets that came again: which share of the known catalogue is still shown.
    entropy, gini : float or None
        1 and 0 if all known items are shown equally often; see `perenne.stats.concentration`.
    """

    items: int
    distinct: float
    coverage: float | None
    entropy: float | None
    gini: float | None


def items_of(column: Column) -> Items:
    """Return the items of each row as texts; a single value is a list of one.

    >>> items_of(np.array([["a", "b"], ["b", None]], object)), items_of(np.array([3, 4]))
    ([['a', 'b'], ['b']], [['3'], ['4']])
    """
    return [[text for value in _row(row) if (text := level_text(value)) is not None] for row in column.tolist()]


def _row(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def list_columns(name: str, lists: Items, head: Sequence[str]) -> dict[str, Column]:
    """Return the features of each list.

    One item of each list stands for all, chosen by the list's content: so rows count once, and every position has its turn.
    The position is the mean of those at which the most frequent items of the reference stand, from 1; missing without any.
    """
    wanted = set(head)
    places = [[place for place, item in enumerate(items, 1) if item in wanted] for items in lists]
    columns: dict[str, Column] = {
        name + ITEM: _texts(items[level_hash("\n".join(items)) % len(items)] if items else None for items in lists),
        name + FIRST: _texts(items[0] if items else None for items in lists),
        name + LENGTH: np.array([len(items) for items in lists], np.float64),
        name + POSITION: np.array([sum(found) / len(found) if found else np.nan for found in places], np.float64),
    }
    return columns


def head_of(lists: Items) -> tuple[str, ...]:
    """Return the most frequent items of a reference."""
    return CategoryCells.fit("", _texts(item for items in lists for item in items)).levels[:HEAD]


def bucket_counts(lists: Items) -> NDArray[np.int64]:
    """Count items by bucket."""
    known: dict[str, int] = {}
    found = np.zeros(BUCKETS, np.int64)
    for items in lists:
        for item in items:
            place = known.get(item)
            if place is None:
                place = known[item] = level_hash(item) % BUCKETS
            found[place] += 1
    return found


def list_figures(reference: NDArray[np.int64], window: NDArray[np.int64]) -> ListFigures:
    """Tell what the lists of a window show of the catalogue that the reference had."""
    catalogue = reference > 0
    shown = window[catalogue]
    return ListFigures(
        items=int(window.sum()),
        distinct=distinct(window),
        coverage=float((shown > 0).mean()) if catalogue.any() else None,
        entropy=entropy(shown),
        gini=gini(shown),
    )


def distinct(counts: NDArray[np.int64]) -> float:
    """Estimate how many different items were counted, by the share of empty buckets.

    >>> round(distinct(bucket_counts([[str(item) for item in range(300)]])))
    308
    """
    empty = max(1 / (2 * BUCKETS), float((counts == 0).mean()))
    return float(-BUCKETS * np.log(empty)) + 0.0


def _texts(values: Iterable[str | None]) -> Column:
    given = list(values)
    column = np.empty(len(given), object)
    column[:] = given
    return column
