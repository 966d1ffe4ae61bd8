"""Points of a metric as compressed columns: steps and times as differences, values as raw doubles, by the weight of their bytes.

A chunk's body is a letter for its form and then, deflated, three columns of eight bytes a point: the difference of each step and
each time to the one before, and the value. Within a column the highest bytes of all points come first, then the second highest,
and so on: differences are mostly zero in their high bytes, and values have few signs and exponents. Seven to nine bytes a point
remain of 24. A value that is no number is a NaN.
"""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

MOST = 16_384
"""Points in one chunk."""

_FORM = b"d"
_LEVEL = 6
_WIDTH = 24


class Points(NamedTuple):
    """Columns of points, in step order unless said otherwise: int64, int64 (milliseconds) and float64."""

    step: "np.ndarray[Any, np.dtype[np.int64]]"
    time: "np.ndarray[Any, np.dtype[np.int64]]"
    value: "np.ndarray[Any, np.dtype[np.float64]]"

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self.step)

    def of(self, places: Any) -> "Points":
        """Return the points at some places: a slice, numbers, or a mask."""
        return Points(self.step[places], self.time[places], self.value[places])


def points_of(steps: Sequence[int], times: Sequence[int], values: Sequence[float]) -> Points:
    """Make columns of lists."""
    return Points(np.array(steps, np.int64), np.array(times, np.int64), np.array(values, np.float64))


def encode(points: Points) -> bytes:
    """Write a chunk's body.

    >>> body = encode(points_of([0, 1, 2], [1000, 1060, 1118], [0.9, 0.5, float("nan")]))
    >>> [column.tolist() for column in decode(body, 3)]
    [[0, 1, 2], [1000, 1060, 1118], [0.9, 0.5, nan]]
    """
    columns = (_differences(points.step), _differences(points.time), points.value.astype("<f8").view("<u8"))
    return _FORM + zlib.compress(b"".join(_by_weight(column) for column in columns), _LEVEL)


def decode(body: bytes, count: int) -> Points:
    """Read a chunk's body.

    Parameters
    ----------
    count : int
        How many points it holds.

    Raises
    ------
    ValueError
        If the body is damaged or holds another number of points.
    """
    if bytes(body[:1]) != _FORM:
        raise ValueError(f"a chunk of an unknown form: {bytes(body[:1])!r}")
    inflating = zlib.decompressobj()
    try:
        raw = inflating.decompress(memoryview(body)[1:], count * _WIDTH + 1)
    except zlib.error as error:
        raise ValueError(f"a damaged chunk: {error}") from None
    if len(raw) != count * _WIDTH or not inflating.eof:
        raise ValueError(f"a chunk does not hold {count} points")
    step, time, value = (np.frombuffer(raw, np.uint8, count * 8, count * 8 * place) for place in range(3))
    return Points(_summed(step), _summed(time), _from_bytes(value).view(np.float64))


def joined(parts: Sequence[Points]) -> Points:
    """Put parts together, in the order of step, time and value, each point once. A NaN has the place of 0.

    >>> late, early = points_of([1, 1], [5, 5], [0.1, 0.1]), points_of([0], [9], [0.2])
    >>> [column.tolist() for column in joined([late, early])]
    [[0, 1], [9, 5], [0.2, 0.1]]
    """
    if not parts:
        return points_of([], [], [])
    whole = parts[0] if len(parts) == 1 else Points(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    nan = np.isnan(whole.value)
    value = np.where(nan, 0.0, whole.value)
    keys = (whole.step, whole.time, value, nan)
    if not _rising(whole.step):
        order = np.lexsort(keys[::-1])
        whole, keys = whole.of(order), tuple(column[order] for column in keys)  # type: ignore[assignment]
    same = np.logical_and.reduce([column[1:] == column[:-1] for column in keys])
    return whole.of(np.concatenate([[True], ~same])) if same.any() else whole


def by_time(points: Points) -> Points:
    """Put points in the order of time, step and value, in which histories are told."""
    if len(points) < 2 or bool((points.time[1:] > points.time[:-1]).all()):
        return points
    value = np.where(np.isnan(points.value), 0.0, points.value)
    return points.of(np.lexsort((value, points.step, points.time)))


def _rising(column: "np.ndarray[Any, np.dtype[np.int64]]") -> bool:
    return bool((column[1:] > column[:-1]).all())


def _differences(column: "np.ndarray[Any, np.dtype[np.int64]]") -> "np.ndarray[Any, Any]":
    numbers = column.astype("<i8").view("<u8")  # without a sign, so that what is too large comes round again
    return np.diff(numbers, prepend=np.zeros(1, "<u8"))


def _by_weight(column: "np.ndarray[Any, Any]") -> bytes:
    return np.ascontiguousarray(column.view(np.uint8).reshape(-1, 8).T[::-1]).tobytes()


def _from_bytes(planes: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, Any]":
    return np.ascontiguousarray(planes.reshape(8, -1)[::-1].T).view("<u8").reshape(-1)


def _summed(planes: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.cumsum(_from_bytes(planes), dtype=np.uint64).view(np.int64)
