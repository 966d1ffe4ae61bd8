"""Sealing: the points of a metric go from rows into compressed chunks, an eighth of the size, when its run has ended or is long.

A job reads rows, compresses them, and in one transaction puts the chunks in and takes exactly these rows out; if somebody else
sealed or removed any of them meanwhile, nothing is changed. Points that come later stay rows until there are enough again.
"""

import weakref
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from perenne.core.clock import SECOND
from perenne.storage import jobs
from perenne.storage.bulk import BulkInsert
from perenne.storage.database import Database, Transaction
from perenne.storage.jobs import Job
from perenne.storage.prepared import Prepared
from perenne.storage.workspace import Workspace
from perenne.tracking.tables import run_chunk, run_point

if TYPE_CHECKING:
    from perenne.tracking.chunks import Points

SEAL = "runs.seal"
LONG = 10_000
"""Points of one metric of a run that goes on, from which on they are sealed."""
FEWEST = 32
"""Points that are worth a chunk; fewer take less room as rows."""
AT_ONCE = 16_384
"""Rows that one transaction seals at most."""

_DELAY = 5 * SECOND
"""For what clients still have to send when a run has ended."""
_LATER = 10

_SOME = sa.select(run_point.c.id).where(run_point.c.run == sa.bindparam("of")).order_by(run_point.c.key).limit(1).offset(FEWEST)
_OLDEST = Prepared(
    sa.text("SELECT id, step, time, value, nan FROM run_point WHERE run = :run AND key = :key ORDER BY id LIMIT :most")
)
_CHUNKS = BulkInsert(run_chunk, ("run", "key", "seq", "count", "step_min", "step_max", "time_min", "time_max", "body"))


_tallies: "weakref.WeakKeyDictionary[Engine, dict[int, float]]" = weakref.WeakKeyDictionary()
"""By database, how many points of each metric this process logged to each run, on average, since it had the run sealed."""
_MOST_TALLIES = 10_000


class Sealed(msgspec.Struct, frozen=True):
    """The payload of the job: the run's number."""

    run: int


class _Rows(NamedTuple):
    """Rows of one metric: the least and greatest id, how many there are, and the chunks that take their place."""

    first: int
    last: int
    number: int
    chunks: "list[tuple[int, int, int, int, int, bytes]]"


class _Moved(Exception):
    """The rows are not all there any more, or others came between them."""


def is_long(tx: Transaction, number: int, points: float) -> bool:
    """Count points, for each metric, that are logged to a run; tell whether it is time to seal it while it goes on."""
    tallies = _tallies.setdefault(tx.connection.engine, {})
    tally = tallies.get(number, 0.0) + points
    if tally < LONG:
        if len(tallies) > _MOST_TALLIES:
            tallies.clear()
        tallies[number] = tally
        return False
    tallies.pop(number, None)
    return True


def seal_later(tx: Transaction, number: int, *, at_once: bool = False) -> None:
    """Have the points of a run sealed, if there are enough of them to be worth it."""
    if tx.scalar(_SOME, {"of": number}) is not None:
        jobs.enqueue(tx, SEAL, Sealed(number), delay=0 if at_once else _DELAY, priority=_LATER)


def seal(workspace: Workspace, job: Job) -> None:
    """Do the job."""
    seal_run(workspace.database, msgspec.json.decode(job.payload, type=Sealed).run)
    workspace.database.write(lambda tx: jobs.finish(tx, job), durable=False)


def seal_run(database: Database, number: int) -> int:
    """Seal the metrics of a run that have enough points; return how many points were sealed. Doing so twice changes nothing."""
    with database.read() as tx:
        enough = sa.func.count() >= FEWEST
        query = sa.select(run_point.c.key).where(run_point.c.run == number).group_by(run_point.c.key).having(enough)
        keys = [row.key for row in tx.execute(query)]
    return sum(_seal(database, number, key) for key in keys)


def _seal(database: Database, number: int, key: int) -> int:
    sealed = 0
    while (rows := _read(database, number, key)) is not None:
        try:
            database.write(lambda tx, rows=rows: _exchange(tx, number, key, rows), durable=False)  # type: ignore[misc]
        except _Moved:  # whoever moved them seals what is left
            break
        sealed += rows.number
    return sealed


def _read(database: Database, number: int, key: int) -> _Rows | None:
    from perenne.tracking import chunks

    with database.read() as tx:
        rows = _OLDEST.run(tx, {"run": number, "key": key, "most": AT_ONCE}).fetchall()
    if len(rows) < FEWEST:
        return None
    ids, steps, times, values, nans = zip(*rows, strict=True)
    columns = chunks.points_of(steps, times, values)
    columns.value[[place for place, nan in enumerate(nans) if nan]] = float("nan")
    points = chunks.joined([columns])
    parts = [points.of(slice(place, place + chunks.MOST)) for place in range(0, len(points), chunks.MOST)]
    return _Rows(ids[0], ids[-1], len(ids), [_chunk(part) for part in parts])


def _exchange(tx: Transaction, number: int, key: int, rows: _Rows) -> None:
    """Put chunks in the place of rows. Raises _Moved, for nothing to be changed."""
    mine = (run_point.c.run == number, run_point.c.key == key, run_point.c.id.between(rows.first, rows.last))
    if tx.execute(run_point.delete().where(*mine)).rowcount != rows.number:
        raise _Moved
    _put(tx, number, key, rows.chunks)


def put_chunks(tx: Transaction, number: int, key: int, points: "Points") -> None:
    """Put points of a metric in as chunks at once; they are in the order of steps, and none of them is there yet."""
    from perenne.tracking import chunks

    parts = [points.of(slice(place, place + chunks.MOST)) for place in range(0, len(points), chunks.MOST)]
    _put(tx, number, key, [_chunk(part) for part in parts])


def _put(tx: Transaction, number: int, key: int, parts: "list[tuple[int, int, int, int, int, bytes]]") -> None:
    last = tx.scalar(sa.select(sa.func.max(run_chunk.c.seq)).where(run_chunk.c.run == number, run_chunk.c.key == key))
    following = 0 if last is None else last + 1
    _CHUNKS.run(tx, [(number, key, following + place, *chunk) for place, chunk in enumerate(parts)])


def _chunk(points: "Points") -> tuple[int, int, int, int, int, bytes]:
    from perenne.tracking import chunks

    step, time = points.step, points.time
    return len(points), int(step.min()), int(step.max()), int(time.min()), int(time.max()), chunks.encode(points)
