"""What one input becomes: a number, four parts of a time, or the numbers of a category's level. Fitted state, written as JSON."""

import math
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.stats.columns import Column

LARGEST = float(np.finfo(np.float32).max)
"""Numbers further from 0 count as missing."""
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

    def append(self, value: float, row: list[float]) -> None:
        """Encode one value at the end of a row."""
        row.append(value if -LARGEST <= value <= LARGEST else _NAN)

    def encode(self, column: Column) -> list[NDArray[np.float64]]:
        """Encode an array; one array per output."""
        return [np.where(np.abs(column) <= LARGEST, column, _NAN)]

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

    def append(self, value: float, row: list[float]) -> None:
        """Encode one value at the end of a row."""
        if not -LATEST <= value <= LATEST:
            row.extend(self.absent)
            return
        days = math.floor(value / _DAY)
        row += (_month(days), (days + 3) % 7, (value - days * _DAY) / 3600, (value - self.start) / _DAY)

    def encode(self, column: Column) -> list[NDArray[np.float64]]:
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


class CategoryEncoding(msgspec.Struct, frozen=True, tag="category", dict=True):
    """A category: one row of numbers per level, one for missing values and one for levels never seen."""

    name: str
    outputs: tuple[str, ...]
    levels: dict[str, tuple[float, ...]]
    absent: tuple[float, ...]
    unseen: tuple[float, ...]

    def __post_init__(self) -> None:
        """Lay the levels out for both ways of encoding: by value, and by row of a table."""
        known: dict[Any, tuple[float, ...]] = {**self.levels, None: self.absent}
        if any(len(row) != len(self.outputs) for row in (*known.values(), self.unseen)):
            raise ValueError(f"a level of {self.name!r} does not have {len(self.outputs)} numbers")
        self.__dict__["known"] = known
        self.__dict__["rows"] = {level: row for row, level in enumerate(known)}
        self.__dict__["table"] = np.array([*known.values(), self.unseen])

    def append(self, value: Any, row: list[float]) -> None:
        """Encode one value at the end of a row."""
        row.extend(self.__dict__["known"].get(value, self.unseen))

    def encode(self, column: Column) -> list[NDArray[np.float64]]:
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
