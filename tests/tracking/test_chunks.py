"""Compressed columns of points: whatever goes in comes out, and in the same order as plain Python would put it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.tracking.chunks import Points, by_time, decode, encode, joined, points_of
from perenne.tracking.curves import curve

LONG = st.integers(-(1 << 63), (1 << 63) - 1)
SMALL = st.integers(0, 3)
POINT = st.tuples(LONG, LONG, st.floats())
CLOSE = st.tuples(SMALL, SMALL, st.sampled_from([math.nan, 0.0, 1.0, -1.0]))


def columns(rows: list[tuple[int, int, float]]) -> Points:
    return points_of([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def rows_of(points: Points) -> list[tuple[int, int, str]]:
    return [(step, time, repr(value)) for step, time, value in zip(*(column.tolist() for column in points), strict=True)]


def plainly(rows: list[tuple[int, int, float]]) -> list[tuple[int, int, str]]:
    """What `joined` should make of rows: by step, time and value, a NaN as 0 and behind it, each once."""

    def place(row: tuple[int, int, float]) -> tuple[int, int, float, bool]:
        return (row[0], row[1], 0.0 if math.isnan(row[2]) else row[2], math.isnan(row[2]))

    return [(row[0], row[1], repr(row[2])) for row in {place(row): row for row in sorted(rows, key=place)}.values()]


@given(st.lists(POINT, max_size=60))
def test_points_come_out_of_a_chunk_as_they_went_in(rows: list[tuple[int, int, float]]) -> None:
    assert rows_of(decode(encode(columns(rows)), len(rows))) == [(step, time, repr(value)) for step, time, value in rows]


@given(st.lists(CLOSE, max_size=40), st.integers(0, 40))
def test_parts_are_joined_in_order_and_each_point_once(rows: list[tuple[int, int, float]], cut: int) -> None:
    assert rows_of(joined([columns(rows[:cut]), columns(rows[cut:])])) == plainly(rows)


@given(st.lists(CLOSE, max_size=40))
def test_a_history_is_told_by_time(rows: list[tuple[int, int, float]]) -> None:
    told = rows_of(by_time(joined([columns(rows)])))
    assert told == sorted(told, key=lambda row: (row[1], row[0], 0.0 if row[2] == "nan" else float(row[2])))


def test_a_damaged_chunk_is_refused() -> None:
    body = encode(columns([(n, n, float(n)) for n in range(50)]))
    for damaged in (b"?" + body[1:], body[:-3], body[:9] + b"\0\0" + body[11:], b""):
        with pytest.raises(ValueError, match="chunk"):
            decode(damaged, 50)


def test_a_chunk_that_claims_another_number_of_points_is_refused() -> None:
    body = encode(columns([(n, n, float(n)) for n in range(50)]))
    for count in (49, 51, 0):
        with pytest.raises(ValueError, match="does not hold"):
            decode(body, count)


def test_a_training_takes_less_than_ten_bytes_a_point() -> None:
    dice = np.random.default_rng(0)
    step = np.arange(10_000)
    time = 1_700_000_000_000 + np.cumsum(dice.integers(45, 60, 10_000))
    loss = np.exp(-step / 3_000) + dice.normal(0, 0.02, 10_000)
    assert len(encode(Points(step, time, loss))) < 10 * 10_000


@given(st.lists(CLOSE, min_size=1, max_size=60), st.integers(1, 12), st.sampled_from(["step", "time"]))
def test_a_curve_keeps_the_least_greatest_and_last_of_each_bucket(
    rows: list[tuple[int, int, float]], buckets: int, by: str
) -> None:
    points = joined([columns(rows)])
    thin = curve(points, buckets, by=by)
    numbers = [value for value in points.value.tolist() if not math.isnan(value)]
    assert min((value for value in thin.least if value is not None), default=None) == min(numbers, default=None)
    assert max((value for value in thin.greatest if value is not None), default=None) == max(numbers, default=None)
    assert thin.count == len(points)
    assert thin.at == sorted(thin.at)
    assert len(thin.at) == len(thin.least) == len(thin.greatest) == len(thin.last) <= (len(points) if thin.exact else buckets)
    assert thin.exact == (len(points) <= buckets)


def test_a_part_of_a_curve_is_divided_by_itself() -> None:
    points = columns([(n, n * 10, float(n)) for n in range(1_000)])
    part = curve(points, 5, start=100, end=199)
    assert (part.count, part.start, part.end, part.exact) == (100, 100, 199, False)
    assert (part.at, part.least[0], part.greatest[-1]) == ([119, 139, 159, 179, 199], 100.0, 199.0)
    assert curve(points, 5, by="time", start=100, end=120).last == [10.0, 11.0, 12.0]
    assert curve(points, 5, start=5_000).at == []
    for wrong in ({"by": "value"}, {"buckets": 0}):
        with pytest.raises(Invalid):
            curve(points, **{"buckets": 5, **wrong})  # type: ignore[arg-type]
