"""One model: the lives of its versions, how they do in production, and everything about the version that is looked at."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, projects, registry, serving, tracking, training
from perenne.auth import answers, comments, queries
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed
from perenne.core.errors import NotFound
from perenne.projects import ProjectRecord
from perenne.registry import Card, Decision, Dossier
from perenne.registry.views import Check, checks_of, versions_of
from perenne.serving import Deployment
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, links_to
from perenne.tracking import Run
from perenne.training import Told
from perenne.web.screens.lifespans import Lane, lanes
from perenne.web.screens.production import Production, production

EPISODES = 200


class VersionRow(msgspec.Struct, frozen=True):
    """A version in the list of its model; `roles` are those it has in deployments now, `comments` how many were said about it."""

    id: str
    number: int
    state: str
    gate: str
    reasons: tuple[str, ...]
    created: int
    created_by: str
    roles: tuple[str, ...]
    aliases: tuple[str, ...]
    stage: str
    form: str
    source: str
    description: str
    comments: int


class Place(msgspec.Struct, frozen=True):
    """A deployment of the model; `previous` is the version that a roll-back would bring back, empty if none stands by."""

    deployment: str
    champion: str
    challengers: tuple[str, ...]
    previous: str
    stopped: bool


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from; empty where that is not known.

    Attributes
    ----------
    episode, cause : str
        The retraining that made it, and what triggered that.
    """

    run: str
    started: int | None
    flow: str
    snapshot: str
    commit: str
    dirty: bool
    environment: str
    python: str
    hardware: str
    episode: str
    cause: str


class May(msgspec.Struct, frozen=True):
    """What whoever looks may do here: decide, and deploy."""

    decide: bool
    deploy: bool


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of a model; `selected` is the version that checks, decisions, origin, card and report are of."""

    model: str
    project: str
    versions: tuple[VersionRow, ...]
    selected: str
    lanes: tuple[Lane, ...]
    places: tuple[Place, ...]
    production: Production
    checks: tuple[Check, ...]
    decisions: tuple[Decision, ...]
    approve_by: str
    origin: Origin
    card: Card
    told: Told
    may: May


def model_view(tx: Transaction, actor: Principal, model: str, number: int | None, told: Told) -> ModelView:
    """Read the page of a model, with one of its versions or the one that matters most. Raises NotFound."""
    dossiers = versions_of(tx, model)
    chosen = choose(dossiers, model, number)
    version = chosen.version
    deployments = [item for item in serving.service.deployments(tx, version.project) if _serves(item, model)]
    return ModelView(
        model=model,
        project=version.project,
        versions=_rows(tx, dossiers, deployments),
        selected=version.id,
        lanes=lanes(tx, dossiers, deployments, automation.list_episodes(tx, version.project, limit=EPISODES)),
        places=tuple(_place(item) for item in deployments),
        production=production(tx, _project(tx, version.project), deployments),
        checks=checks_of(tx, version),
        decisions=chosen.decisions,
        approve_by=version.policy.approve_by,
        origin=_origin(tx, chosen),
        card=registry.card.write_card(tx, version.id, told),
        told=told,
        may=May(allowed(actor, Action.APPROVE_BUSINESS), allowed(actor, Action.DEPLOY)),
    )


def choose(dossiers: Sequence[Dossier], model: str, number: int | None) -> Dossier:
    """Return the version with a number; without one that which waits for a person, else the newest. Raises NotFound."""
    if number is None:
        waiting = (found for found in dossiers if found.gate.state is registry.GateState.WAITING)
        return next(waiting, dossiers[0])
    for found in dossiers:
        if found.version.number == number:
            return found
    raise NotFound(f"{model[:100]} has no version {number}", code="model.not_found", hint=f"`perenne model list {model[:100]}`")


def _serves(deployment: Deployment, model: str) -> bool:
    return any(variant.version.rpartition("@")[0] == model for variant in deployment.variants)


def _rows(tx: Transaction, dossiers: Sequence[Dossier], deployments: Sequence[Deployment]) -> tuple[VersionRow, ...]:
    said = comments.counts(tx, "version", [found.version.id for found in dossiers])
    return tuple(_row(found, deployments, said.get(found.version.id, 0)) for found in dossiers)


def _row(found: Dossier, deployments: Sequence[Deployment], said: int) -> VersionRow:
    version = found.version
    roles = [v.role.value for item in deployments for v in item.variants if v.version == version.id]
    gate = found.gate
    return VersionRow(
        version.id, version.number, version.state.value, gate.state.value, gate.reasons, version.created, version.created_by,
        tuple(dict.fromkeys(roles)), found.aliases, version.stage, version.form.value, version.source,
        version.description or "", said,
    )  # fmt: skip


def _place(item: Deployment) -> Place:
    previous = item.previous.version if item.previous else ""
    return Place(item.name, item.champion.version, tuple(v.version for v in item.challengers), previous, item.stop is not None)


def _project(tx: Transaction, name: str) -> ProjectRecord | None:
    try:
        return projects.get_project(tx, name)
    except NotFound:
        return None


def _origin(tx: Transaction, found: Dossier) -> Origin:
    version = found.version
    run = _run(tx, version.run)
    said = run.provenance if run else tracking.Provenance()
    made = (link.source for link in links_to(tx, Kind.VERSION, version.id) if link.source_kind == Kind.EPISODE)
    episode = next(made, "")
    return Origin(
        run=version.run if run else "",
        started=run.started if run else None,
        flow=run.flow if run else "",
        snapshot=version.snapshot,
        commit=said.commit,
        dirty=said.dirty,
        environment=said.environment,
        python=said.python,
        hardware=said.hardware,
        episode=episode,
        cause=automation.history(tx, episode)[0].note if episode else "",
    )


def _run(tx: Transaction, identity: str) -> Run | None:
    try:
        return tracking.service.get_run(tx, identity)
    except NotFound:
        return None


def project_of_model(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a model."""
    found = registry.versions(tx, path["model"], limit=1)
    if not found:
        raise NotFound("there is no such model", code="model.not_found", hint="`perenne model list` shows those that are")
    return found[0].project


@needs(Action.READ, project=project_of_model, returns=ModelView)
async def get_model(request: Request) -> Response:
    """Give one model: `?version=3` says which version is looked at."""
    model, text = request.path_params["model"], queries.text(request, "version")
    number = queries.read_number(text, "version") if text else None
    workspace = request.app.state.workspace

    def report() -> Told:
        with workspace.database.read() as tx:
            run = choose(versions_of(tx, model), model, number).version.run
            known = _run(tx, run) is not None
        return training.report_of(workspace, run) if known else Told(None, "Not recorded: it was made by no run.")

    told = await asyncio.to_thread(report)
    return await answers.view(request, lambda tx, actor: model_view(tx, actor, model, number, told))


routes = [Route("/api/view/model/{model}", get_model, methods=["GET"])]
