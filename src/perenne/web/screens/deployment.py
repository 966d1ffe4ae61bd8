"""The deployments' screens: what answers, how it does, and what a person may change about it."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import delivery, monitoring, registry, serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, allowed, sees
from perenne.core.errors import NotFound
from perenne.core.paging import Page, page_of
from perenne.projects import get_project
from perenne.serving import Calling, Deployment, Variant
from perenne.serving.views import Change, StopLine, changes, how_to_call, learnt_shares, project_of_deployment, stop_line
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.web.screens.queues import QueueView, queue_view
from perenne.web.screens.rollout import RolloutView, rollout_view

SHOWN_WINDOWS = 60
OPERATIONAL = ("latency_p50_ms", "latency_p99_ms", "error_rate", "availability", "throughput_rps")


class DeploymentLine(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment in a line; the figures are of its champion's newest window, None while there is none."""

    name: str
    project: str
    state: str
    health: str
    champion: str
    challengers: tuple[str, ...]
    previous: str
    generation: int
    window: int | None
    length: int
    rows: int | None
    latency_p99_ms: float | None
    error_rate: float | None


class DeploymentsView(msgspec.Struct, frozen=True):
    """A window of the deployments, those that are stopped first, then by name."""

    rows: tuple[DeploymentLine, ...]
    total: int
    offset: int
    limit: int
    stopped: int


class VariantLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version in a deployment.

    Attributes
    ----------
    share : float or None
        Of the answers people get: 1 for who answers, 0 for who answers unseen or stands by.
    rows, errors, agreement
        Of a challenger: what it answered unseen so far, and the share it answered like the champion.
    created : int
        When the version was registered.
    """

    name: str
    role: str
    version: str
    tree: str
    share: float
    rows: int | None
    errors: int | None
    agreement: float | None
    created: int | None
    gate: str


class Limit(msgspec.Struct, frozen=True):
    """What an objective asks of the service."""

    limit: float
    at_least: bool
    kind: str


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """How the champions did, window by window, oldest first; None where unknown."""

    start: tuple[int, ...]
    length: tuple[int, ...]
    version: tuple[str, ...]
    rows: tuple[int, ...]
    figures: dict[str, tuple[float | None, ...]]
    low: dict[str, tuple[float | None, ...]]
    high: dict[str, tuple[float | None, ...]]
    limits: dict[str, Limit]


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment; `places` has what was applied last in each cluster and namespace."""

    name: str
    project: str
    generation: int
    window_length: int
    answer: str | int | float | bool | None
    stop: StopLine | None
    health: str
    alerts: int
    variants: tuple[VariantLine, ...]
    history: tuple[Change, ...]
    traffic: Traffic
    calling: Calling | None
    places: tuple[delivery.clusters.Revision, ...]
    may_change: bool
    rollout: RolloutView
    queue: QueueView = QueueView()


def deployments_view(tx: Transaction, actor: Principal, page: Page, *, project: str = "") -> DeploymentsView:
    """Show a window of the deployments of the projects the actor sees, of one if named."""
    found = [item for item in serving.service.deployments(tx, project or None) if sees(actor, item.project)]
    order = sorted(found, key=lambda item: (item.stop is None, item.name))
    shown = order[page.offset : page.offset + page.limit]
    health = monitoring.summary.summaries(tx, [item.name for item in shown])
    rows = tuple(_line(item, health.get(item.name)) for item in shown)
    return DeploymentsView(rows, len(order), page.offset, page.limit, sum(item.stop is not None for item in order))


def _line(item: Deployment, health: "monitoring.summary.Summary | None") -> DeploymentLine:
    newest = health.newest if health else None
    measured = newest.measured if newest else {}
    return DeploymentLine(
        name=item.name,
        project=item.project,
        state="stopped" if item.stop else "serving",
        health=health.state if health else "none",
        champion=item.champion.version,
        challengers=tuple(variant.version for variant in item.challengers),
        previous=item.previous.version if item.previous else "",
        generation=item.generation,
        window=newest.window_start if newest else None,
        length=newest.window_length if newest else item.window_length,
        rows=newest.rows if newest else None,
        latency_p99_ms=measured["latency_p99_ms"].value if "latency_p99_ms" in measured else None,
        error_rate=measured["error_rate"].value if "error_rate" in measured else None,
    )


def deployment_view(
    tx: Transaction,
    actor: Principal,
    name: str,
    call: Calling | None = None,
    objects: ObjectStore | None = None,
    learnt: dict[str, float] | None = None,
) -> DeploymentView:
    """Show one deployment.

    Parameters
    ----------
    call : Calling, optional
        How it is called, which lies in the object store.
    objects : ObjectStore, optional
        Where labelled rows lie, by which versions are compared.
    learnt : dict, optional
        A bandit's shares, by version.

    Raises
    ------
    NotFound
        If there is none of that name.
    """
    item = serving.service.get_deployment(tx, name)
    health = monitoring.summary.summaries(tx, [name]).get(name)
    return DeploymentView(
        name=item.name,
        project=item.project,
        generation=item.generation,
        window_length=item.window_length,
        answer=item.answer,
        stop=stop_line(item.stop),
        health=health.state if health else "none",
        alerts=health.alerts if health else 0,
        variants=tuple(_variant(tx, item, variant) for variant in item.variants),
        history=changes(tx, name),
        traffic=_traffic(tx, item),
        calling=call,
        places=tuple(delivery.clusters.latest(tx, name)),
        may_change=allowed(actor, Action.DEPLOY),
        rollout=rollout_view(tx, objects, item, learnt or {}),
        queue=queue_view(tx, name, allowed(actor, Action.ADJUDICATE)),
    )


def _variant(tx: Transaction, item: Deployment, variant: Variant) -> VariantLine:
    shadow = monitoring.tallies.shadow_report(tx, item.name, variant.version) if variant.role == "challenger" else None
    try:
        dossier = registry.dossier(tx, variant.version)
    except NotFound:
        dossier = None
    return VariantLine(
        name=variant.name,
        role=variant.role.value,
        version=variant.version,
        tree=variant.tree,
        share=_share(item, variant),
        rows=shadow.rows if shadow else None,
        errors=shadow.errors if shadow else None,
        agreement=shadow.agreement if shadow else None,
        created=dossier.version.created if dossier else None,
        gate=dossier.gate.state.value if dossier else "unknown",
    )


def _share(item: Deployment, variant: Variant) -> float:
    """Return the share of the answers people get from a variant."""
    if item.stop is not None:
        return 1.0 if variant.role == item.stop.mode.value else 0.0
    return serving.service.share_of_champion(item) if variant.role == "champion" else variant.weight


def _traffic(tx: Transaction, item: Deployment) -> Traffic:
    verdicts = monitoring.summary.champion_verdicts(tx, item.name, SHOWN_WINDOWS)[::-1]
    measured = [verdict.measured for verdict in verdicts]
    known = [name for name in OPERATIONAL if any(name in figures for figures in measured)]

    def column(name: str, part: str) -> tuple[float | None, ...]:
        return tuple(getattr(figures[name], part) if name in figures else None for figures in measured)

    return Traffic(
        start=tuple(verdict.window_start for verdict in verdicts),
        length=tuple(verdict.window_length for verdict in verdicts),
        version=tuple(verdict.version for verdict in verdicts),
        rows=tuple(verdict.rows for verdict in verdicts),
        figures={name: column(name, "value") for name in known},
        low={name: column(name, "low") for name in known},
        high={name: column(name, "high") for name in known},
        limits=_limits(tx, item),
    )


def _limits(tx: Transaction, item: Deployment) -> dict[str, Limit]:
    try:
        project = get_project(tx, item.project)
    except NotFound:
        return {}
    bounds = [("objective", bound) for bound in project.objectives] + [("guardrail", bound) for bound in project.guardrails]
    return {
        bound.metric: Limit(bound.limit, bound.at_least is not None, kind)
        for kind, bound in bounds
        if bound.operational and bound.by is None
    }


@needs(Action.READ, filters=True, returns=DeploymentsView)
async def get_deployments(request: Request) -> Response:
    """Show the deployments, of one `project` if named."""
    page, project = page_of(request.query_params), text(request, "project")
    return await answers.view(request, lambda tx, actor: deployments_view(tx, actor, page, project=project))


@needs(Action.READ, project=project_of_deployment, returns=DeploymentView)
async def get_deployment(request: Request) -> Response:
    """Show one deployment."""
    workspace: Workspace = request.app.state.workspace
    name = request.path_params["deployment"]

    def described() -> tuple[Calling | None, dict[str, float]]:
        with workspace.database.read() as tx:
            deployment = serving.service.get_deployment(tx, name)
        return how_to_call(workspace, deployment), learnt_shares(workspace, deployment)

    call, learnt = await asyncio.to_thread(described)
    return await answers.view(request, lambda tx, actor: deployment_view(tx, actor, name, call, workspace.objects, learnt))


routes = [
    Route("/api/view/deploy", get_deployments, methods=["GET"]),
    Route("/api/view/deploy/{deployment}", get_deployment, methods=["GET"]),
]
