"""Cells of a categorical feature: the most frequent levels by name, other known levels in buckets, null, and levels never met.

In one cell for all the rest a single rare level could grow a hundredfold and hardly show; in buckets it does.
"""

import unicodedata
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column
from perenne.stats.numeric import CELLS, GROUPS, NULL, ORDINARY, UNSEEN, special_groups

MAX_HASHED = 10_000
"""Levels whose hashes are kept; of a feature with more, new levels cannot be told from rare ones."""

NAMED = 48
"""Levels with a cell of their own; the other known levels share the cells from here to `ORDINARY`, by hash."""

_TESTED_LEVELS = 32
_LONGEST_REMEMBERED = 256
_REMEMBERED = 65_536


def level_text(value: object) -> str | None:
    """Write a level as text: what counts as the same level in training, serving and monitoring.

    >>> [level_text(value) for value in ("a", True, 3.0, 3, None, float("nan"))]
    ['a', 'true', '3', '3', None, None]
    """
    match value:
        case str():
            return value if value.isascii() else unicodedata.normalize("NFC", value)
        case None:
            return None
        case bool() | np.bool_():
            return "true" if value else "false"
        case float() if value != value:
            return None
        case float() if value.is_integer():
            return str(int(value))
        case bytes():
            return level_text(value.decode(errors="replace"))
        case _:
            return str(value)


def level_hash(text: str) -> int:
    """Return the 64-bit hash under which a level is remembered."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class _Cells(dict[object, int]):
    """Cell of each level; works out those it has not met, and remembers a bounded number of them."""

    def __init__(self, levels: tuple[str, ...], hashes: frozenset[int] | None) -> None:
        super().__init__({level: cell for cell, level in enumerate(levels)} | {None: NULL})
        self._hashes = hashes

    def __missing__(self, value: object) -> int:
        text = level_text(value)
        if text is None:
            return NULL
        cell = self.get(text)
        if cell is None:
            key = level_hash(text)
            cell = _bucket(key) if self._hashes is None or key in self._hashes else UNSEEN
        # Only text is remembered: 1, 1.0 and True would be one key.
        if isinstance(value, str) and len(self) < _REMEMBERED and len(value) <= _LONGEST_REMEMBERED:
            self[value] = cell
        return cell


@dataclass(frozen=True, eq=False)
class CategoryCells:
    """How one level falls into a cell, as the reference fixed it.

    Attributes
    ----------
    name : str
        The feature.
    levels : tuple of str
        Up to 48 levels by falling reference count; their place is their cell.
    hashes : uint64 array
        Sorted hashes of all levels of the reference.
    complete : bool
        `hashes` holds every level; otherwise new levels cannot be told from rare ones.
    groups, tests : uint8 (64,)
        Group of each cell for sums; cell into which each cell is merged for tests.
    lookup : dict
        Cell of each value met so far.
    """

    name: str
    levels: tuple[str, ...]
    hashes: NDArray[np.uint64]
    complete: bool
    groups: NDArray[np.uint8]
    tests: NDArray[np.uint8]
    lookup: dict[object, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookup", _Cells(self.levels, frozenset(self.hashes.tolist()) if self.complete else None))

    @classmethod
    def fit(cls, name: str, column: Column) -> "CategoryCells":
        """Fix the cells by the levels of a reference."""
        codes, texts = level_codes(column)
        levels = [text for text in texts if text is not None]
        chosen_by = codes[0::2] if len(levels) > _TESTED_LEVELS else codes
        counts = dict(zip(texts, np.bincount(chosen_by, minlength=len(texts)).tolist(), strict=True))
        complete = len(levels) <= MAX_HASHED
        ranked = sorted(levels, key=lambda level: (-counts[level], level.encode(errors="surrogatepass")))
        kept = tuple(ranked[:NAMED])
        return cls(
            name=name,
            levels=kept,
            hashes=np.array(sorted(map(level_hash, ranked)) if complete else [], np.uint64),
            complete=complete,
            groups=_level_groups(),
            tests=_level_tests(kept),
        )

    def encode(self, column: Column) -> NDArray[np.uint8]:
        """Return the cell of each value."""
        try:
            return np.fromiter(map(self.lookup.__getitem__, column.tolist()), np.uint8, len(column))
        except TypeError:  # unhashable: a list or an object where a level should be
            return np.fromiter((self.lookup[level_text(value)] for value in column.tolist()), np.uint8, len(column))

    @property
    def chosen(self) -> bool:
        """Whether the levels with a test of their own were chosen among more; only every other row took part in the choice."""
        return len(self.levels) > _TESTED_LEVELS


class _Codes(dict[object, int]):
    """Number of each level, given out in the order in which levels come."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str | None, int] = {}

    def __missing__(self, value: object) -> int:
        text = level_text(value)
        code = self.texts.setdefault(text, len(self.texts))
        if value is None or isinstance(value, str):
            self[value] = code
        return code


def level_codes(column: Column) -> tuple[NDArray[np.int64], list[str | None]]:
    """Return a number for each value, and the level (None: missing) that each number stands for.

    >>> codes, levels = level_codes(np.array(["b", "a", None, "b"], object))
    >>> codes.tolist(), levels
    ([0, 1, 2, 0], ['b', 'a', None])
    """
    numbers, values = _Codes(), column.tolist()
    try:
        codes = np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
    except TypeError:  # unhashable
        codes = np.fromiter((numbers[level_text(value)] for value in values), np.int64, len(values))
    return codes, list(numbers.texts)


def _level_groups() -> NDArray[np.uint8]:
    groups = np.minimum(np.arange(CELLS), GROUPS - 4).astype(np.uint8)
    groups[ORDINARY:] = special_groups()
    return groups


def _level_tests(kept: tuple[str, ...]) -> NDArray[np.uint8]:
    """Test the most frequent levels by name; the others join the buckets."""
    tests = np.arange(CELLS, dtype=np.uint8)
    tests[_TESTED_LEVELS : len(kept)] = [_bucket(level_hash(level)) for level in kept[_TESTED_LEVELS:]]
    return tests


def _bucket(key: int) -> int:
    return NAMED + key % (ORDINARY - NAMED)
