"""What one input becomes: a number, four parts of a time, or the numbers of a category's level. Fitted state, written as JSON."""

import math
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column

LATEST = 1e12
"""Times further than so many seconds from 1970 count as missing."""

_DAY = 86_400.0
_TIME_PARTS = ("month", "weekday", "hour", "days")
_NAN = math.nan


class NumberEncoding(msgspec.Struct, frozen=True, tag="number"):
    """A number: passed on."""

    name: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the matrix columns it becomes."""
        return (self.name,)

    def encode_few(self, values: list[Any]) -> list[list[float]]:
        """Encode a few values; one list per output."""
        return [values]

    def encode_many(self, column: Column) -> list[NDArray[np.float64]]:
        """Encode an array; one array per output."""
        return [column]

    @property
    def absent(self) -> tuple[float, ...]:
        """What a missing value becomes."""
        return (_NAN,)


class TimeEncoding(msgspec.Struct, frozen=True, tag="time"):
    """A time: month 1–12, weekday from 0 = Monday, hour with fraction, days since the start of the reference, all in UTC."""

    name: str
    start: float

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the matrix columns it becomes."""
        return tuple(f"{self.name}.{part}" for part in _TIME_PARTS)

    def encode_few(self, values: list[Any]) -> list[list[float]]:
        """Encode a few values; one list per output."""
        return [list(part) for part in zip(*(self._parts(value) for value in values), strict=True)]

    def encode_many(self, column: Column) -> list[NDArray[np.float64]]:
        """Encode an array; one array per output."""
        known = np.abs(column) <= LATEST
        seconds = np.where(known, column, 0.0)
        days = np.floor(seconds / _DAY)
        parts = [_month(days.astype(np.int64)), (days + 3) % 7, (seconds - days * _DAY) / 3600, (seconds - self.start) / _DAY]
        return [np.where(known, part, _NAN) for part in parts]

    @property
    def absent(self) -> tuple[float, ...]:
        """What a missing value becomes."""
        return (_NAN,) * 4

    def _parts(self, seconds: float) -> tuple[float, ...]:
        if not abs(seconds) <= LATEST:
            return self.absent
        days = math.floor(seconds / _DAY)
        return _month(days), (days + 3) % 7, (seconds - days * _DAY) / 3600, (seconds - self.start) / _DAY


class CategoryEncoding(msgspec.Struct, frozen=True, tag="category", dict=True):
    """A category: one row of numbers per level, one for missing values and one for levels never seen."""

    name: str
    outputs: tuple[str, ...]
    levels: dict[str, tuple[float, ...]]
    absent: tuple[float, ...]
    unseen: tuple[float, ...]

    def __post_init__(self) -> None:
        """Lay the levels out for both ways of encoding: by value for a few, by row of a table for many."""
        known: dict[Any, tuple[float, ...]] = {**self.levels, None: self.absent}
        self.__dict__["few"] = [{level: row[k] for level, row in known.items()} for k in range(len(self.outputs))]
        self.__dict__["rows"] = {level: row for row, level in enumerate(known)}
        self.__dict__["table"] = np.array([*known.values(), self.unseen])

    def encode_few(self, values: list[Any]) -> list[list[float]]:
        """Encode a few values; one list per output."""
        few: list[dict[Any, float]] = self.__dict__["few"]
        return [
            [get(value, unseen) for value in values] for get, unseen in zip([one.get for one in few], self.unseen, strict=True)
        ]

    def encode_many(self, column: Column) -> list[NDArray[np.float64]]:
        """Encode an array; one array per output."""
        find, unseen = self.__dict__["rows"].get, len(self.levels) + 1
        rows = np.fromiter((find(value, unseen) for value in column.tolist()), np.int64, len(column))
        encoded: NDArray[np.float64] = self.__dict__["table"][rows]
        return list(encoded.T)


Encoding: TypeAlias = NumberEncoding | TimeEncoding | CategoryEncoding


class EncoderState(msgspec.Struct, frozen=True):
    """`encoder.json`: one encoding per input, in the order of the signature."""

    columns: tuple[Encoding, ...]


def _month(days: Any) -> Any:
    """Return the month of days since 1970, for an int or an int64 array.

    The calendar's arithmetic: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.

    >>> _month(0), _month(58), _month(59), _month(-1)
    (1, 2, 3, 12)
    """
    day_of_era = (days + 719_468) % 146_097
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    return (((5 * day_of_year + 2) // 153) + 2) % 12 + 1
