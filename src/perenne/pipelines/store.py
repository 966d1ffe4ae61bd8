"""The tables of steps and runs, and the statement by which a step is claimed."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.clock import SECOND
from perenne.pipelines.artifacts import Output, from_row, to_row
from perenne.pipelines.model import Argument, RunState
from perenne.storage.database import Transaction, metadata
from perenne.storage.prepared import Prepared

LEASE = 30 * SECOND
CHUNK = 500

step = sa.Table(
    "step",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("content_key", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease", sa.BigInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("cpu", sa.BigInteger),
    sa.Column("out", sa.LargeBinary),
    sa.Column("error", sa.Text),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("arguments", sa.LargeBinary, nullable=False),
)

edge = sa.Table(
    "edge",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("argument", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("src", sa.Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)

flow_run = sa.Table(
    "flow_run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("flow", sa.Text, nullable=False),
    sa.Column("args", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("lease", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Index(None, "state", "flow"),
    sa.Index(None, "started", "id"),
)

run_step = sa.Table(
    "run_step",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("hit", sa.Boolean, nullable=False),
    sqlite_with_rowid=False,
)

step_code = sa.Table(
    "step_code",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("parts", sa.LargeBinary, nullable=False),
)


class StepRow(msgspec.Struct, frozen=True):
    """What a run needs to know of a step's row."""

    key: str
    state: str
    owner: str
    lease: int
    attempt: int
    started: int
    ended: int | None
    cpu: int | None
    out: bytes | None
    error: str | None

    @property
    def output(self) -> Output | None:
        """The kept result, if the step is done."""
        return from_row(self.out) if self.state == "done" and self.out is not None else None

    @property
    def seconds(self) -> float:
        """How long the execution took."""
        return ((self.ended or self.started) - self.started) / SECOND


class Claim(msgspec.Struct, frozen=True):
    """The wish to run a step.

    Attributes
    ----------
    reuse : bool
        Whether a step with the same content key may be taken instead.
    dead : str
        An owner known to be dead, whose lease does not count; or an empty text.
    """

    key: str
    content_key: str
    name: str
    code: str
    environment: str
    arguments: dict[str, Argument]
    retries: int
    reuse: bool
    dead: str = ""


class Settled(msgspec.Struct, frozen=True):
    """How an execution ended: with a result or with an error."""

    key: str
    attempt: int
    cpu: int
    output: Output | None = None
    error: str | None = None


class Edge(msgspec.Struct, frozen=True):
    """That a step takes the result of another one, `src`, for an argument."""

    key: str
    argument: str
    position: int
    src: str


class Visit(msgspec.Struct, frozen=True):
    """A step that belongs to a run."""

    ordinal: int
    key: str
    label: str
    hit: bool


_encode_arguments = msgspec.msgpack.Encoder().encode
_ROW = ", ".join(StepRow.__struct_fields__)

_CLAIM = Prepared(
    sa.text("""
    INSERT INTO step (key, content_key, name, run, state, owner, lease, attempt, tries, started, code, environment, arguments)
    VALUES (:key, :content_key, :name, :run, 'running', :me, :lease, 1, 1, :now, :code, :environment, :arguments)
    ON CONFLICT (key) DO UPDATE SET state = 'running', content_key = excluded.content_key, owner = excluded.owner,
        lease = excluded.lease, run = excluded.run, attempt = step.attempt + 1, started = excluded.started, ended = NULL,
        out = NULL, code = excluded.code, environment = excluded.environment, arguments = excluded.arguments,
        tries = CASE WHEN step.run = excluded.run THEN step.tries + 1 ELSE 1 END
    WHERE (step.state = 'failed' AND (step.run <> :run OR step.tries <= :retries))
       OR (step.state = 'running' AND (step.lease < :now OR step.owner = :dead))
    RETURNING attempt""")
)
_SETTLE = Prepared(
    sa.text("""
    UPDATE step SET state = :state, ended = :now, cpu = :cpu, out = :out, error = :error, lease = 0
    WHERE key = :key AND owner = :me AND attempt = :attempt AND state = 'running'""")
)
_KEEP = Prepared(
    sa.text("""
    INSERT INTO step (key, content_key, name, run, state, owner, lease, attempt, tries, started, ended, cpu, out, code,
        environment, arguments)
    VALUES (:key, :content_key, :name, :run, 'done', :me, 0, 1, 1, :started, :ended, :cpu, :out, :code, :environment, :arguments)
    ON CONFLICT (key) DO UPDATE SET state = 'done', content_key = excluded.content_key, run = excluded.run,
        owner = excluded.owner, lease = 0, attempt = step.attempt + 1, started = excluded.started, ended = excluded.ended,
        cpu = excluded.cpu, out = excluded.out, error = NULL, code = excluded.code, environment = excluded.environment,
        arguments = excluded.arguments
    WHERE step.state = 'failed' OR (step.state = 'running' AND (step.lease < :now OR step.owner = :dead))""")
)
_SAME_CONTENT = Prepared(sa.text(f"SELECT {_ROW} FROM step WHERE content_key = :content_key AND state = 'done' LIMIT 1"))
_EDGE = Prepared(
    sa.text("INSERT INTO edge (key, argument, position, src) VALUES (:key, :argument, :position, :src) ON CONFLICT DO NOTHING")
)
_VISIT = Prepared(
    sa.text("""
    INSERT INTO run_step (run, ordinal, key, label, hit) VALUES (:run, :ordinal, :key, :label, :hit)
    ON CONFLICT (run, ordinal) DO UPDATE SET key = excluded.key, hit = excluded.hit""")
)
_CODE = Prepared(sa.text("INSERT INTO step_code (hash, parts) VALUES (:hash, :parts) ON CONFLICT DO NOTHING"))
_SPOIL = Prepared(
    sa.text("""
    UPDATE step SET state = 'failed', run = '', out = NULL, error = 'its result was missing or damaged'
    WHERE key = :key AND state = 'done'""")
)
_RELEASE = Prepared(
    sa.text("""
    UPDATE step SET state = 'failed', run = '', lease = 0, ended = :now, error = 'interrupted'
    WHERE owner = :me AND state = 'running' AND key = :key""")
)
_RELEASE_ALL = Prepared(
    sa.text("""
    UPDATE step SET state = 'failed', run = '', lease = 0, ended = :now, error = 'interrupted'
    WHERE owner = :me AND state = 'running'""")
)
_RENEW_STEP = Prepared(sa.text("UPDATE step SET lease = :lease WHERE key = :key AND owner = :me AND state = 'running'"))
_RENEW_RUN = Prepared(sa.text("UPDATE flow_run SET lease = :lease WHERE id = :run AND state = 'running'"))
_RUN = Prepared(
    sa.text("""
    INSERT INTO flow_run (id, flow, args, state, owner, lease, started, ended)
    VALUES (:run, :flow, :args, :state, :me, :lease, :started, :ended)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, lease = excluded.lease, ended = excluded.ended""")
)
_RUNNING = Prepared(sa.text("SELECT id, owner, lease FROM flow_run WHERE state = 'running' AND flow = :flow"))
_LOST_RUN = Prepared(sa.text("UPDATE flow_run SET state = 'lost', ended = :now WHERE id = :run AND state = 'running'"))


def lookup(tx: Transaction, keys: Sequence[str]) -> dict[str, StepRow]:
    """Read the rows of many steps, 500 in one query."""
    found = {}
    for first in range(0, len(keys), CHUNK):
        chunk = keys[first : first + CHUNK]
        size = next(size for size in (1, 8, 64, CHUNK) if size >= len(chunk))
        parameters = {f"k{place}": chunk[min(place, len(chunk) - 1)] for place in range(size)}
        for row in _lookup_statement(size).run(tx, parameters):
            found[row[0]] = StepRow(*row)
    return found


@functools.cache
def _lookup_statement(size: int) -> Prepared:
    return Prepared(sa.text(f"SELECT {_ROW} FROM step WHERE key IN ({', '.join(f':k{place}' for place in range(size))})"))


class Claimer:
    """Writes for one run: claims, results, and what belongs to the run."""

    def __init__(self, run: str, owner: str, lease: int = LEASE) -> None:
        self.run = run
        self.owner = owner
        self.lease = lease

    def claim(self, tx: Transaction, claim: Claim, now: int) -> int | StepRow | None:
        """Return the attempt number if the step is ours now, a row that has its result already, or None if it is another's."""
        if claim.reuse and (row := _SAME_CONTENT.run(tx, {"content_key": claim.content_key}).fetchone()):
            return StepRow(*row)
        row = _CLAIM.run(tx, {**self._row(claim), "now": now, "lease": now + self.lease, "retries": claim.retries}).fetchone()
        return None if row is None else int(row[0])

    def settle(self, tx: Transaction, settled: Settled, now: int) -> bool:
        """Write how an execution ended; tell whether it still was ours, or else its result is void."""
        row = {
            "key": settled.key,
            "me": self.owner,
            "attempt": settled.attempt,
            "now": now,
            "cpu": settled.cpu,
            "state": "failed" if settled.output is None else "done",
            "out": None if settled.output is None else to_row(settled.output),
            "error": settled.error,
        }
        return bool(_SETTLE.run(tx, row).rowcount == 1)

    def keep(self, tx: Transaction, claim: Claim, output: Output, now: int, source: StepRow | None = None) -> None:
        """Write the result of a step that need not run: it was found under its content key, or is put together from others."""
        times = {"started": now, "ended": now, "cpu": 0}
        if source is not None:
            times = {"started": source.started, "ended": source.ended or now, "cpu": source.cpu or 0}
        _KEEP.run(tx, {**self._row(claim), **times, "out": to_row(output), "now": now})

    def visits(self, tx: Transaction, visits: Iterable[Visit]) -> None:
        """Write which steps belong to the run."""
        _VISIT.run_many(tx, [{"run": self.run, **msgspec.structs.asdict(visit)} for visit in visits])

    def edges(self, tx: Transaction, edges: Iterable[Edge]) -> None:
        """Write which steps take the results of which."""
        _EDGE.run_many(tx, map(msgspec.structs.asdict, edges))

    def begin(self, tx: Transaction, flow: str, arguments: str, started: int, codes: dict[str, dict[str, str]]) -> None:
        """Write that the run goes on, and what code it runs."""
        self._run(tx, flow, arguments, RunState.RUNNING, started, None)
        _CODE.run_many(tx, [{"hash": name, "parts": msgspec.msgpack.encode(parts)} for name, parts in codes.items()])

    def end(self, tx: Transaction, flow: str, arguments: str, state: RunState, started: int, now: int) -> None:
        """Write how the run ended."""
        self._run(tx, flow, arguments, state, started, now)

    def release(self, tx: Transaction, keys: Iterable[str], now: int) -> None:
        """Give claimed steps back, so that anybody may take them at once."""
        _RELEASE.run_many(tx, [{"me": self.owner, "key": key, "now": now} for key in keys])

    def release_all(self, tx: Transaction, now: int) -> None:
        """Give back whatever this run has claimed."""
        _RELEASE_ALL.run(tx, {"me": self.owner, "now": now})

    def renew(self, tx: Transaction, keys: Iterable[str], now: int) -> None:
        """Prolong the leases of the run and of its claimed steps."""
        until = now + self.lease
        _RENEW_RUN.run(tx, {"run": self.run, "lease": until})
        _RENEW_STEP.run_many(tx, [{"me": self.owner, "key": key, "lease": until} for key in keys])

    def _run(self, tx: Transaction, flow: str, arguments: str, state: RunState, started: int, ended: int | None) -> None:
        row = {"run": self.run, "flow": flow, "args": arguments, "state": state.value, "me": self.owner, "started": started}
        _RUN.run(tx, {**row, "ended": ended, "lease": started + self.lease if ended is None else 0})

    def _row(self, claim: Claim) -> dict[str, Any]:
        return {
            "key": claim.key,
            "content_key": claim.content_key,
            "name": claim.name,
            "run": self.run,
            "me": self.owner,
            "code": claim.code,
            "environment": claim.environment,
            "arguments": _encode_arguments(claim.arguments),
            "dead": claim.dead,
        }


def spoil(tx: Transaction, keys: Iterable[str]) -> None:
    """Note that results are missing or damaged; whoever needs one makes it again."""
    _SPOIL.run_many(tx, [{"key": key} for key in keys])


def running_runs(tx: Transaction, flow: str) -> list[tuple[str, str, int]]:
    """Return id, owner and lease of the runs of a pipeline that did not end."""
    return list(_RUNNING.run(tx, {"flow": flow}))


def lose_runs(tx: Transaction, runs: Iterable[str], now: int) -> None:
    """Note that the processes of some runs died."""
    _LOST_RUN.run_many(tx, [{"run": run, "now": now} for run in runs])
