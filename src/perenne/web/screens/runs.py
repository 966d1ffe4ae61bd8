"""Runs: the list with what some of them differ in, and one run with all that was found."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import data, tracking, training
from perenne.auth import answers, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core.paging import page_of
from perenne.pipelines.views import FlowSteps, flow_steps
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_to
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance
from perenne.tracking.views import RunFilter, RunRow, RunWindow, compared_runs, row_of, run_window
from perenne.training import Told, Trial


class RunTrials(msgspec.Struct, frozen=True):
    """What a run tried, and which it took."""

    run: str
    trials: tuple[Trial, ...]
    best: int


class RunsView(RunWindow, frozen=True, kw_only=True):
    """The list: a window of runs, those that are compared, and what these tried."""

    compared: tuple[RunRow, ...] = ()
    trials: tuple[RunTrials, ...] = ()


class UsedData(msgspec.Struct, frozen=True):
    """A snapshot a run used."""

    id: str
    dataset: str
    rows: int
    start: int | None
    end: int | None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes
    ----------
    run : RunRow
    provenance : Provenance
    data : tuple of UsedData
    versions : tuple of str
        What it made.
    told : Told
        Trials, metrics with intervals, slices, curves.
    flow : FlowSteps or None
        The pipeline that did the work, live while it does.
    """

    run: RunRow
    provenance: Provenance
    data: tuple[UsedData, ...]
    versions: tuple[str, ...]
    told: Told
    flow: FlowSteps | None


def trials_of(workspace: Workspace, actor: Principal, runs: list[str]) -> tuple[RunTrials, ...]:
    """Read what some runs tried, as far as it is known."""
    with workspace.database.read() as tx:
        known = [row.id for row in compared_runs(tx, actor, runs)]
    told = {run: training.report_of(workspace, run).report for run in known}
    return tuple(RunTrials(run, report.trials, report.best) for run, report in told.items() if report is not None)


def run_view(tx: Transaction, identity: str, told: Told) -> RunView:
    """Read one run. Raises NotFound."""
    run = tracking.service.get_run(tx, identity)
    return RunView(
        run=row_of(run),
        provenance=run.provenance,
        data=tuple(_used(tx, digest) for digest in run.data),
        versions=tuple(link.source for link in links_to(tx, Kind.RUN, run.id) if link.relation == "made_by"),
        told=told,
        flow=flow_steps(tx, run.flow) if run.flow else None,
    )


def _used(tx: Transaction, digest: str) -> UsedData:
    found = data.get_snapshot(tx, digest)
    return UsedData(found.id, found.dataset, found.rows, found.start, found.end)


def project_of_run(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run."""
    return tracking.service.get_run(tx, path["run"]).project


@needs(Action.READ, filters=True, returns=RunsView)
async def get_runs(request: Request) -> Response:
    """Give a window of runs: `?project=&state=&q=` filter it, `compare=A,B` puts some side by side."""
    wanted = RunFilter(*(queries.text(request, name) for name in ("project", "state", "q")))
    page = page_of(request.query_params)
    chosen = [name for name in request.query_params.get("compare", "").split(",") if name]
    workspace, actor = request.app.state.workspace, request.state.actor
    trials = await asyncio.to_thread(trials_of, workspace, actor, chosen) if chosen else ()

    def work(tx: Transaction, actor: Principal) -> RunsView:
        window = run_window(tx, actor, wanted, page.offset, page.limit)
        return RunsView(**msgspec.structs.asdict(window), compared=compared_runs(tx, actor, chosen), trials=trials)

    return await answers.view(request, work)


@needs(Action.READ, project=project_of_run, returns=RunView)
async def get_run(request: Request) -> Response:
    """Give one run."""
    run = request.path_params["run"]
    told = await asyncio.to_thread(training.report_of, request.app.state.workspace, run)
    return await answers.view(request, lambda tx, _: run_view(tx, run, told))


routes = [
    Route("/api/view/runs", get_runs, methods=["GET"]),
    Route("/api/view/runs/{run}", get_run, methods=["GET"]),
]
