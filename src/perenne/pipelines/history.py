"""Reading what was run: runs with their counts, and the steps of one run."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from perenne.core.errors import NotFound
from perenne.pipelines.artifacts import from_row
from perenne.pipelines.store import edge, flow_run, run_step, step
from perenne.storage.database import Transaction, read_struct
from perenne.storage.names import chosen


class RunSummary(msgspec.Struct, frozen=True):
    """A run: how it stands, how many steps it has and how many of them had a result already. Times in microseconds."""

    id: str
    pipeline: str
    arguments: str
    state: str
    started: int
    ended: int | None
    steps: int
    hits: int


class StepSummary(msgspec.Struct, frozen=True):
    """A step of a run, by its label there; `state` is running, done, failed or, for one that never began, waiting."""

    label: str
    key: str
    hit: bool
    state: str
    attempt: int
    started: int | None
    ended: int | None
    cpu: int | None
    result: str
    error: str


def runs(
    tx: Transaction, *, limit: int = 50, offset: int = 0, where: Sequence["sa.ColumnElement[bool]"] = ()
) -> list[RunSummary]:
    """Return runs, newest first: those that fit, see `fitting`."""
    order = (flow_run.c.started.desc(), flow_run.c.id.desc())
    mine = run_step.c.run == flow_run.c.id
    steps = sa.select(sa.func.count()).where(mine).scalar_subquery()
    hits = sa.select(sa.func.count()).where(mine, run_step.c.hit).scalar_subquery()
    columns = (flow_run.c.id, flow_run.c.flow, flow_run.c.args, flow_run.c.state, flow_run.c.started, flow_run.c.ended)
    query = sa.select(*columns, steps, hits).where(*where).order_by(*order).limit(limit).offset(offset)
    return [read_struct(RunSummary, row) for row in tx.execute(query)]


def fitting(ids: Iterable[str] | None, state: str = "", text: str = "") -> list["sa.ColumnElement[bool]"]:
    """Return the conditions of a filter: only those ids unless None, a state, a piece of the pipeline's name or the run's id."""
    where: list[sa.ColumnElement[bool]] = [] if ids is None else [flow_run.c.id.in_(chosen(ids))]
    if state:
        where.append(flow_run.c.state == state)
    if text:
        named = (flow_run.c.flow, flow_run.c.id, flow_run.c.args)
        where.append(sa.or_(*(column.icontains(text, autoescape=True) for column in named)))
    return where


def count(tx: Transaction, where: Sequence["sa.ColumnElement[bool]"]) -> int:
    """Count the runs that fit."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(flow_run).where(*where)) or 0)


def find(tx: Transaction, run: str) -> RunSummary | None:
    """Return one run, None if there is no such one."""
    return next(iter(runs(tx, limit=1, where=[flow_run.c.id == run])), None)


def get(tx: Transaction, run: str) -> RunSummary:
    """Return one run. Raises NotFound."""
    found = find(tx, run)
    if found is None:
        raise NotFound(
            f"no pipeline run {run[:100]!r}", code="pipelines.run_not_found", hint="`perenne pipeline list` shows the runs"
        )
    return found


def steps(tx: Transaction, run: str) -> list[StepSummary]:
    """Return the steps of a run in the order of the pipeline's calls.

    Raises
    ------
    NotFound
        If there is no such run.
    """
    get(tx, run)
    columns = (step.c.state, step.c.attempt, step.c.started, step.c.ended, step.c.cpu, step.c.out, step.c.error)
    query = (
        sa.select(run_step.c.label, run_step.c.key, run_step.c.hit, *columns)
        .select_from(run_step.outerjoin(step, step.c.key == run_step.c.key))
        .where(run_step.c.run == run)
        .order_by(run_step.c.ordinal)
    )
    return [_summary(row) for row in tx.execute(query)]


def sources(tx: Transaction, run: str) -> dict[str, tuple[str, ...]]:
    """Return the keys of the steps of a run, each with those steps of it whose results it takes."""
    mine = sa.select(run_step.c.key).where(run_step.c.run == run)
    query = sa.select(edge.c.key, edge.c.src).distinct().where(edge.c.key.in_(mine), edge.c.src.in_(mine))
    found: dict[str, list[str]] = {}
    for row in tx.execute(query.order_by(edge.c.key, edge.c.src)):
        found.setdefault(row.key, []).append(row.src)
    return {key: tuple(keys) for key, keys in found.items()}


def _summary(row: "sa.Row[tuple[object, ...]]") -> StepSummary:
    return StepSummary(
        label=row.label,
        key=row.key,
        hit=row.hit,
        state=row.state or "waiting",
        attempt=row.attempt or 0,
        started=row.started,
        ended=row.ended,
        cpu=row.cpu,
        result="" if row.out is None else from_row(row.out).kind,
        error=row.error or "",
    )
