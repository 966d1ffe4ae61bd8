"""The points of metrics: whole, by pages, of many runs, evenly chosen, or thinned for a chart. Sealed and unsealed ones together.

What is read is the sealed chunks of a run's metric and the rows that came after them, in one order, each point once.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import sqlalchemy as sa

from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import Invalid, Unavailable
from perenne.storage.database import Transaction
from perenne.storage.names import among, chosen
from perenne.storage.prepared import Prepared
from perenne.tracking.errors import UnknownRun
from perenne.tracking.keys import known_keys
from perenne.tracking.model import Metric
from perenne.tracking.tables import run, run_chunk, run_point

if TYPE_CHECKING:
    from perenne.tracking.chunks import Points
    from perenne.tracking.curves import Curve

_ROWS = Prepared(
    sa.select(*(run_point.c[name] for name in ("run", "step", "time", "value", "nan"))).where(
        among(run_point.c.run, "runs"), run_point.c.key == sa.bindparam("of_key")
    )
)
_CHUNKS = Prepared(
    sa.select(run_chunk.c.run, run_chunk.c.count, run_chunk.c.body)
    .where(
        among(run_chunk.c.run, "runs"),
        run_chunk.c.key == sa.bindparam("of_key"),
        run_chunk.c.step_min <= sa.bindparam("end"),
        run_chunk.c.step_max >= sa.bindparam("start"),
    )
    .order_by(run_chunk.c.run, run_chunk.c.step_min)
)
_FIRST_STEP, _LAST_STEP = -(1 << 63), (1 << 63) - 1


class Page(NamedTuple):
    """Some points of a history, and where the next page begins; None at the end."""

    points: list[Metric]
    following: int | None


def history(tx: Transaction, actor: Principal, identity: str, metric: str) -> list[Metric]:
    """Return every point of a run's metric, by time, step and value. Raises UnknownRun."""
    return _told(metric, _by_time(tx, actor, identity, metric))


def page(tx: Transaction, actor: Principal, identity: str, metric: str, *, limit: int, offset: int = 0) -> Page:
    """Return some points of a run's metric, by time, step and value: `limit` from the place `offset` on. Raises UnknownRun."""
    points = _by_time(tx, actor, identity, metric)
    end = offset + limit
    return Page(_told(metric, points.of(slice(offset, end))), end if end < len(points) else None)


def bulk(tx: Transaction, actor: Principal, ids: Iterable[str], metric: str, *, limit: int) -> list[tuple[str, Metric]]:
    """Return points of a metric of many runs, by run id, time, step and value, at most `limit` in all.

    Runs that do not exist or may not be seen have none.
    """
    from perenne.tracking import chunks

    found: list[tuple[str, Metric]] = []
    numbers = _numbers(tx, actor, ids)
    points = read(tx, numbers.values(), metric)
    for identity in sorted(numbers):
        ordered = chunks.by_time(points[numbers[identity]]).of(slice(limit - len(found)))
        found += [(identity, point) for point in _told(metric, ordered)]
        if len(found) == limit:
            break
    return found


def interval(
    tx: Transaction,
    actor: Principal,
    ids: Sequence[str],
    metric: str,
    *,
    limit: int,
    start: int | None = None,
    end: int | None = None,
) -> list[tuple[str, Metric]]:
    """Return up to `limit` points of each run, evenly chosen over all that lie between two steps, and the last one.

    The points, by step, time and value, are dealt into `limit` groups as even as can be, of which the first are larger by one;
    the first of each is chosen, and the last of all in place of the last chosen if there is no room beside it.

    Raises
    ------
    UnknownRun
        If one of the runs does not exist or may not be seen.
    Invalid
        If only one of the two steps is given, or they are the wrong way round.
    """
    if (start is None) != (end is None):
        raise Invalid("only one of start_step and end_step is given", code="history.range", hint="give both or neither")
    first, last = (_FIRST_STEP, _LAST_STEP) if start is None or end is None else (start, end)
    if first > last:
        raise Invalid(f"start_step {first} lies behind end_step {last}", code="history.range", hint="turn them round")
    numbers = _numbers(tx, actor, ids)
    for identity in ids:
        if identity not in numbers:
            raise UnknownRun(identity)
    points = read(tx, numbers.values(), metric, first, last)
    return [
        (identity, point) for identity in dict.fromkeys(ids) for point in _told(metric, _spread(points[numbers[identity]], limit))
    ]


def curves(
    tx: Transaction,
    actor: Principal,
    ids: Iterable[str],
    metric: str,
    *,
    buckets: int = 500,
    by: str = "step",
    start: int | None = None,
    end: int | None = None,
) -> "dict[str, Curve]":
    """Return a metric of some runs as a chart draws it: least, greatest and last value in each of `buckets` equal ranges.

    Parameters
    ----------
    by : str
        ``step`` or ``time``, the latter in milliseconds since 1970.
    start, end : int, optional
        Only what lies between, in steps or times; the buckets then divide this range.

    Returns
    -------
    dict
        By run id; runs that do not exist, may not be seen, or have no such metric are left out.
    """
    from perenne.tracking import curves as drawing

    numbers = _numbers(tx, actor, ids)
    limits = (start, end) if by == "step" else (None, None)
    first, last = (given if given is not None else most for given, most in zip(limits, (_FIRST_STEP, _LAST_STEP), strict=True))
    points = read(tx, numbers.values(), metric, first, last)
    found = {identity: points[number] for identity, number in numbers.items() if len(points[number])}
    return {identity: drawing.curve(own, buckets, by=by, start=start, end=end) for identity, own in found.items()}


def read(
    tx: Transaction, runs: Iterable[int], metric: str, first: int = _FIRST_STEP, last: int = _LAST_STEP
) -> "dict[int, Points]":
    """Return the points of a metric of some runs between two steps, as columns by step, time and value, each once."""
    from perenne.tracking import chunks

    numbers = list(runs)
    parts: dict[int, list[Points]] = {number: [] for number in numbers}
    key = known_keys(tx, [metric]).get(metric)
    if key is not None and numbers:
        asked = {"runs": msgspec.json.encode(numbers).decode(), "of_key": key}
        # rows before chunks: what is sealed between the two, where that can be seen, is read twice and not never
        for owner, rows in _grouped(_ROWS.run(tx, asked).fetchall()).items():
            parts[owner].append(rows)
        for owner, count, body in _CHUNKS.run(tx, asked | {"start": first, "end": last}):
            parts[owner].append(_opened(metric, body, count))
    return {number: _within(chunks.joined(own), first, last) for number, own in parts.items()}


def _opened(metric: str, body: bytes, count: int) -> "Points":
    from perenne.tracking import chunks

    try:
        return chunks.decode(body, count)
    except ValueError as error:
        raise Unavailable(
            f"a sealed part of metric {metric!r} cannot be read: {error}",
            code="history.damaged",
            hint="the database is damaged: restore a backup",
        ) from error


def _grouped(rows: Sequence[Sequence[Any]]) -> "dict[int, Points]":
    """Make columns of rows of run, step, time, value and whether it is no number, for each run."""
    import numpy as np

    from perenne.tracking import chunks

    if not rows:
        return {}
    owners, steps, times, values, nans = zip(*rows, strict=True)
    points, owner = chunks.points_of(steps, times, values), np.array(owners)
    points.value[np.array(nans, bool)] = np.nan
    return {int(one): points.of(owner == one) for one in np.unique(owner)}


def _within(points: "Points", first: int, last: int) -> "Points":
    if first == _FIRST_STEP and last == _LAST_STEP:
        return points
    return points.of((points.step >= first) & (points.step <= last))


def _by_time(tx: Transaction, actor: Principal, identity: str, metric: str) -> "Points":
    from perenne.tracking import chunks

    number = _numbers(tx, actor, [identity]).get(identity)
    if number is None:
        raise UnknownRun(identity)
    return chunks.by_time(read(tx, [number], metric)[number])


def _numbers(tx: Transaction, actor: Principal, ids: Iterable[str]) -> dict[str, int]:
    rows = tx.execute(sa.select(run.c.id, run.c.number, run.c.project).where(run.c.id.in_(chosen(ids))))
    return {row.id: row.number for row in rows if sees(actor, row.project)}


def _told(metric: str, points: "Points") -> list[Metric]:
    make = functools.partial(Metric, metric)
    return list(map(make, points.value.tolist(), points.time.tolist(), points.step.tolist()))


def _spread(points: "Points", limit: int) -> "Points":
    """Choose the first of each of `limit` groups, and the last of all."""
    count = len(points)
    if count <= limit:
        return points
    size, larger = divmod(count, limit)
    places = [group * size + min(group, larger) for group in range(limit)]
    if places[-1] != count - 1:
        places[-1] = count - 1
    return points.of(places)
