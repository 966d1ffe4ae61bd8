"""Runs of pipelines as their screens show them: the list, and one run as a graph of steps with the path that took longest."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import tracking
from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.core.paging import ROWS, page_of
from perenne.pipelines import history
from perenne.pipelines.history import RunSummary
from perenne.pipelines.model import RunState
from perenne.storage.database import Transaction
from perenne.tracking import Run

LONGEST_ARGUMENTS = 300
LONGEST_ERROR = 4_000


class FlowRow(msgspec.Struct, frozen=True):
    """A run of a pipeline in a list; `run` and `project` are those of the tracked run whose work it did, empty without one."""

    id: str
    pipeline: str
    state: str
    started: int
    ended: int | None
    steps: int
    hits: int
    run: str
    project: str
    arguments: str


class FlowWindow(msgspec.Struct, frozen=True):
    """Some runs of pipelines, newest first, and how many fit."""

    rows: tuple[FlowRow, ...]
    total: int


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step.

    Attributes
    ----------
    label : str
        Its name in this run.
    state : str
        waiting, running, done, failed or cached.
    started, ended, cpu : int or None
        Of the execution that made the result, in this run or an earlier one, in microseconds.
    critical : bool
        Whether it lies on the path of steps that took longest.
    needs : tuple of str
        The labels of the steps whose results it takes.
    """

    label: str
    state: str
    started: int | None
    ended: int | None
    cpu: int | None
    attempt: int
    result: str
    error: str
    critical: bool
    needs: tuple[str, ...]


class FlowSteps(msgspec.Struct, frozen=True):
    """The steps of a run of a pipeline, in the order of its calls, and how long the longest path took, in microseconds."""

    id: str
    pipeline: str
    state: str
    started: int
    ended: int | None
    steps: tuple[StepRow, ...]
    critical: int


class FlowView(msgspec.Struct, frozen=True):
    """One run of a pipeline: its row, and its steps."""

    row: FlowRow
    flow: FlowSteps


def flow_window(
    tx: Transaction, actor: Principal, *, state: str = "", text: str = "", offset: int = 0, limit: int = ROWS
) -> FlowWindow:
    """Read a window of the runs of pipelines that somebody may see.

    Raises
    ------
    Invalid
        If there is no such state.
    """
    if state and state not in set(RunState):
        raise Invalid(f"state is {state[:40]!r}", code="request.query", hint=f"one of: {', '.join(RunState)}")
    mine = tracking.summary.flows(tx, actor.projects) if actor.projects else None
    where = history.fitting(mine, state, text)
    found = history.runs(tx, limit=max(1, min(limit, ROWS)), offset=offset, where=where)
    return FlowWindow(_rows(tx, found), history.count(tx, where))


def _rows(tx: Transaction, found: Sequence[RunSummary]) -> tuple[FlowRow, ...]:
    tracked = tracking.summary.of_flows(tx, [row.id for row in found])
    return tuple(_row(row, tracked.get(row.id)) for row in found)


def _row(row: RunSummary, tracked: Run | None) -> FlowRow:
    run, project = (tracked.id, tracked.project) if tracked else ("", "")
    arguments = row.arguments[:LONGEST_ARGUMENTS]
    return FlowRow(row.id, row.pipeline, row.state, row.started, row.ended, row.steps, row.hits, run, project, arguments)


def flow_steps(tx: Transaction, run: str) -> FlowSteps | None:
    """Read the steps of a run; None if it has not begun to write."""
    found = history.find(tx, run)
    if found is None:
        return None
    summaries = history.steps(tx, run)
    labels = {step.key: step.label for step in summaries}
    sources = history.sources(tx, run)
    edges = {step.label: tuple(labels[key] for key in sources.get(step.key, ())) for step in summaries}
    lengths = {step.label: 0 if step.hit else (step.ended or step.started or 0) - (step.started or 0) for step in summaries}
    path, length = critical_path(edges, lengths)
    steps = tuple(_step(step, step.label in path, edges[step.label]) for step in summaries)
    return FlowSteps(found.id, found.pipeline, found.state, found.started, found.ended, steps, length)


def _step(step: history.StepSummary, critical: bool, sources: tuple[str, ...]) -> StepRow:
    return StepRow(
        label=step.label,
        state="cached" if step.hit else step.state,
        started=step.started,
        ended=step.ended,
        cpu=step.cpu,
        attempt=step.attempt,
        result=step.result,
        error=step.error[:LONGEST_ERROR],
        critical=critical,
        needs=sources,
    )


def critical_path(sources: Mapping[str, Iterable[str]], lengths: Mapping[str, int]) -> tuple[set[str], int]:
    """Return the steps on the path that took longest, and how long it took; a step comes after those whose results it takes.

    What came from the cache took no time, and is no part of it where the path begins.

    >>> critical_path({"a": (), "b": ("a",), "c": ("a",)}, {"a": 1, "b": 5, "c": 2})[1]
    6
    """
    total: dict[str, int] = {}
    before: dict[str, str] = {}
    for label in sources:
        known = [source for source in sources[label] if source in total]
        longest = max(known, key=lambda source: total[source], default="")
        total[label] = lengths[label] + total.get(longest, 0)
        before[label] = longest
    last = max(total, key=lambda label: total[label], default="")
    length, path = total.get(last, 0), set()
    while last and total[last]:
        path.add(last)
        last = before[last]
    return path, length


def flow_view(tx: Transaction, run: str) -> FlowView:
    """Read one run of a pipeline. Raises NotFound."""
    (row,) = _rows(tx, [history.get(tx, run)])
    steps = flow_steps(tx, run)
    assert steps is not None
    return FlowView(row, steps)


def project_of_flow(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run of a pipeline; an empty text if it did the work of no tracked run."""
    history.get(tx, path["run"])
    found = tracking.summary.of_flows(tx, [path["run"]])
    return next((run.project for run in found.values()), "")


@needs(Action.READ, filters=True, returns=FlowWindow)
async def get_flows(request: Request) -> Response:
    """Give a window of the runs of pipelines: `?state=&q=` filter it."""
    state, text = queries.text(request, "state"), queries.text(request, "q")
    page = page_of(request.query_params)
    return await answers.view(
        request, lambda tx, actor: flow_window(tx, actor, state=state, text=text, offset=page.offset, limit=page.limit)
    )


@needs(Action.READ, project=project_of_flow, returns=FlowView)
async def get_flow(request: Request) -> Response:
    """Give one run of a pipeline with its steps."""
    return await answers.view(request, lambda tx, _: flow_view(tx, request.path_params["run"]))


routes = [
    Route("/api/view/pipeline", get_flows, methods=["GET"]),
    Route("/api/view/pipeline/{run}", get_flow, methods=["GET"]),
]
