"""Runs: the list and what some of them differ in, their curves, and one run with all that was found."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import data, tracking, training
from perenne.auth import answers, comments
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.pipelines.views import FlowSteps, flow_steps
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_to
from perenne.tracking import Provenance, UsedDataset
from perenne.tracking.views import PARENT, ComparedRun, UsedModel, children_of, compared_runs, models_of
from perenne.training import Told

CHILDREN = 50


class RunLink(msgspec.Struct, frozen=True):
    """Another run, in a line."""

    id: str
    name: str
    state: str
    started: int


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
    run : ComparedRun
    steps : dict
        At which step each metric had its last value.
    provenance : Provenance
    data : tuple of UsedData
        The snapshots it used; `inputs` are data sets that a client named.
    models : tuple of UsedModel
        Models that a client logged to it, or said it used.
    versions : tuple of str
        What it made.
    told : Told
        Trials, metrics with intervals, slices, curves.
    flow : FlowSteps or None
        The pipeline that did the work, live while it does.
    parent, children, children_total : RunLink or None, tuple of RunLink, int
        The run it is part of, and the newest of those that are part of it.
    comments : int
        How many were said about it.
    reproduce : str
        The command that does it again; empty if what it depended on is not recorded.
    """

    run: ComparedRun
    steps: dict[str, int]
    provenance: Provenance
    data: tuple[UsedData, ...]
    inputs: tuple[UsedDataset, ...]
    models: tuple[UsedModel, ...]
    versions: tuple[str, ...]
    told: Told
    flow: FlowSteps | None
    parent: RunLink | None
    children: tuple[RunLink, ...]
    children_total: int
    comments: int
    reproduce: str


def run_view(tx: Transaction, actor: Principal, identity: str, told: Told) -> RunView:
    """Read one run. Raises NotFound."""
    run = tracking.service.get_run(tx, identity)
    logged = tracking.service.runs_of(tx, [run.number])[0]
    (row,) = compared_runs(tx, actor, [run.id])
    parent = run.tags.get(PARENT, "")
    children, total = children_of(tx, run, CHILDREN)
    return RunView(
        run=row,
        steps={metric.key: metric.step for metric in logged.metrics},
        provenance=run.provenance,
        data=tuple(_used(tx, digest) for digest in run.data),
        inputs=logged.datasets,
        models=models_of(tx, logged),
        versions=tuple(link.source for link in links_to(tx, Kind.RUN, run.id) if link.relation == "made_by"),
        told=told,
        flow=flow_steps(tx, run.flow) if run.flow else None,
        parent=next((_link(item) for item in compared_runs(tx, actor, [parent] if parent else [])), None),
        children=tuple(_link(item) for item in children),
        children_total=total,
        comments=comments.counts(tx, "run", [run.id]).get(run.id, 0),
        reproduce=f"perenne runs reproduce {run.id}" if run.provenance.source or run.provenance.commit else "",
    )


def _link(run: ComparedRun) -> RunLink:
    return RunLink(run.id, run.name, run.state, run.started)


def _used(tx: Transaction, digest: str) -> UsedData:
    found = data.snapshots.get_snapshot(tx, digest)
    return UsedData(found.id, found.dataset, found.rows, found.start, found.end)


def project_of_run(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a run."""
    return tracking.service.get_run(tx, path["run"]).project


@needs(Action.READ, project=project_of_run, returns=RunView)
async def get_run(request: Request) -> Response:
    """Give one run."""
    run = request.path_params["run"]
    told = await asyncio.to_thread(training.report_of, request.app.state.workspace, run)
    return await answers.view(request, lambda tx, actor: run_view(tx, actor, run, told))


routes = [Route("/api/view/runs/{run}", get_run, methods=["GET"])]
