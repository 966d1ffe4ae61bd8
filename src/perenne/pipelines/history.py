"""Reading what was run: runs with their counts, and the steps of one run."""

import msgspec
import sqlalchemy as sa

from perenne.core.errors import NotFound
from perenne.pipelines.artifacts import from_row
from perenne.pipelines.store import flow_run, run_step, step
from perenne.storage.database import Transaction, read_struct


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


def runs(tx: Transaction, *, limit: int = 50) -> list[RunSummary]:
    """Return runs, newest first."""
    order = (flow_run.c.started.desc(), flow_run.c.id.desc())
    mine = run_step.c.run == flow_run.c.id
    steps = sa.select(sa.func.count()).where(mine).scalar_subquery()
    hits = sa.select(sa.func.count()).where(mine, run_step.c.hit).scalar_subquery()
    columns = (flow_run.c.id, flow_run.c.flow, flow_run.c.args, flow_run.c.state, flow_run.c.started, flow_run.c.ended)
    query = sa.select(*columns, steps, hits).order_by(*order).limit(limit)
    return [read_struct(RunSummary, row) for row in tx.execute(query)]


def steps(tx: Transaction, run: str) -> list[StepSummary]:
    """Return the steps of a run in the order of the pipeline's calls.

    Raises
    ------
    NotFound
        If there is no such run.
    """
    if tx.scalar(sa.select(flow_run.c.id).where(flow_run.c.id == run)) is None:
        raise NotFound(f"no pipeline run {run!r}", code="pipelines.run_not_found", hint="`perenne pipeline list` shows the runs")
    columns = (step.c.state, step.c.attempt, step.c.started, step.c.ended, step.c.cpu, step.c.out, step.c.error)
    query = (
        sa.select(run_step.c.label, run_step.c.key, run_step.c.hit, *columns)
        .select_from(run_step.outerjoin(step, step.c.key == run_step.c.key))
        .where(run_step.c.run == run)
        .order_by(run_step.c.ordinal)
    )
    return [_summary(row) for row in tx.execute(query)]


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
