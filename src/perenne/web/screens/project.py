"""Projects: what each one is for and must reach, and how that stands: at the gate, in production, in the plan."""

from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, monitoring, registry, serving, tracking
from perenne.auth import answers
from perenne.auth.access import needs as asks
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, sees
from perenne.core.addresses import address_of
from perenne.core.paging import ROWS, page_of
from perenne.monitoring import AlertLine, BoundState, WindowVerdict
from perenne.projects import Guardrail, Objective, Person, ProjectRecord, get_project, list_projects, project_names
from perenne.projects.views import Gap, PlanLine, gaps, policy_words, standing
from perenne.registry import Dossier, Evidence
from perenne.serving import Deployment
from perenne.storage.database import Transaction
from perenne.web.screens.fleet import TONES, state_word
from perenne.web.screens.needs import Need, needs

SHOWN_WINDOWS = 60
SHOWN = 5
BETTER_KNOWN = ("realised", "measured", "estimated")
"""How a figure may be known, the best first."""


class ProjectRow(msgspec.Struct, frozen=True, kw_only=True):
    """A project in the list. `due` is the day of the next milestone; `tone` and `word` say how its deployment stands."""

    name: str
    problem: str
    owner: str
    objectives: int
    guardrails: int
    champion: str
    tone: str
    word: str
    due: str
    updated: int


class ProjectsView(msgspec.Struct, frozen=True):
    """A window of the projects, by name."""

    rows: tuple[ProjectRow, ...]
    total: int


def projects_view(tx: Transaction, actor: Principal, *, wanted: str = "", offset: int = 0, limit: int = ROWS) -> ProjectsView:
    """List the projects that may be seen, by name: those that are called so in part, if asked."""
    names = [name for name in project_names(tx) if sees(actor, name) and wanted.lower() in name.lower()]
    shown = names[offset : offset + limit]
    deployments = serving.service.named(tx, shown)
    states = {name: found.state for name, found in monitoring.summary.summaries(tx, shown).items()}
    alerts = monitoring.summary.open_lines(tx, shown)
    rows = (
        _line(record, deployments.get(record.name), states.get(record.name, "none"), alerts)
        for record in list_projects(tx, shown)
    )
    return ProjectsView(tuple(rows), len(names))


def _line(record: ProjectRecord, found: Deployment | None, state: str, alerts: Sequence[AlertLine]) -> ProjectRow:
    tone, word = _standing(found, state, [line for line in alerts if line.deployment == record.name])
    days = sorted(milestone.due for milestone in record.plan if milestone.ends is not None)
    return ProjectRow(
        name=record.name,
        problem=record.problem,
        owner=record.owner,
        objectives=len(record.objectives),
        guardrails=len(record.guardrails),
        champion=found.champion.version if found else "",
        tone=tone,
        word=word,
        due=days[-1] if days else "",
        updated=record.updated,
    )


def _standing(found: Deployment | None, state: str, alerts: Sequence[AlertLine]) -> tuple[str, str]:
    if found is None:
        return "none", "not in service"
    state = "stopped" if found.stop is not None and state != "alarm" else state
    return TONES.get(state, "none"), state_word(state, alerts)


class AtGate(msgspec.Struct, frozen=True):
    """What the evidence of a version says about a bound."""

    version: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    detail: str


class InProduction(msgspec.Struct, frozen=True):
    """How a bound stands in the newest window that tells it from labels or measurements, or by an estimate if none does."""

    start: int
    standing: str
    source: str
    value: float | None
    low: float | None
    high: float | None
    group: str
    rows: int


class BoundView(msgspec.Struct, frozen=True, kw_only=True):
    """An objective or a guardrail: what is asked, and what there is. Of `history` each window gives what is best known of it."""

    kind: str
    id: str
    metric: str
    by: str | None
    limit: float
    at_least: bool
    gate: AtGate | None
    now: InProduction | None
    starts: tuple[int, ...]
    history: tuple[float | None, ...]
    sources: tuple[str, ...]


class Thing(msgspec.Struct, frozen=True):
    """A version, an episode or a run, in a line."""

    id: str
    tone: str
    word: str
    text: str
    at: int
    path: str


class ProjectView(msgspec.Struct, frozen=True, kw_only=True):
    """The page of a project. `policy` is in sentences, empty without one; `judged` is the version the gate's figures are of."""

    name: str
    problem: str
    owner: str
    scope: str
    people: tuple[Person, ...]
    folder: str
    source: str
    created: int
    updated: int
    window: int
    champion: str
    judged: str
    tone: str
    word: str
    path: str
    objectives: tuple[BoundView, ...]
    guardrails: tuple[BoundView, ...]
    plan: tuple[PlanLine, ...]
    policy: tuple[str, ...]
    needs: tuple[Need, ...]
    versions: tuple[Thing, ...]
    episodes: tuple[Thing, ...]
    runs: tuple[Thing, ...]
    gaps: tuple[Gap, ...]


def project_view(tx: Transaction, actor: Principal, name: str) -> ProjectView:
    """Put the page of a project together. Raises NotFound."""
    record = get_project(tx, name)
    deployment = serving.service.named(tx, [name]).get(name)
    watched = monitoring.summary.summaries(tx, [name]).get(name)
    alerts = monitoring.summary.open_lines(tx, [name])
    tone, word = _standing(deployment, watched.state if watched else "none", alerts)
    judged = _judged(tx, name)
    verdicts = monitoring.summary.champion_verdicts(tx, name, SHOWN_WINDOWS)
    return ProjectView(
        name=name,
        problem=record.problem,
        owner=record.owner,
        scope=record.scope,
        people=record.people,
        folder=record.folder,
        source=record.source,
        created=record.created,
        updated=record.updated,
        window=record.window,
        champion=deployment.champion.version if deployment else "",
        judged=judged.version.id if judged else "",
        tone=tone,
        word=word,
        path=address_of("monitor" if watched else "deployment", name) if deployment else "",
        objectives=tuple(_bound("objective", bound, judged, verdicts) for bound in record.objectives),
        guardrails=tuple(_bound("guardrail", bound, judged, verdicts) for bound in record.guardrails),
        plan=standing(tx, record),
        policy=policy_words(record.policy) if record.policy else (),
        needs=needs(tx, actor, registry.summary.waiting(tx, name), alerts, {name: name}, everything=False)[0],
        versions=_versions(tx, name),
        episodes=_episodes(tx, name),
        runs=_runs(tx, name),
        gaps=tuple(gaps(record)),
    )


def _judged(tx: Transaction, name: str) -> Dossier | None:
    """Return the champion, or the newest version if there is none, with its evidence."""
    champion = registry.placing.aliased(tx, name, "champion")
    if champion is not None:
        return registry.dossier(tx, champion.id)
    return registry.summary.newest(tx, [name]).get(name)


def _bound(kind: str, bound: Objective | Guardrail, judged: Dossier | None, verdicts: Sequence[WindowVerdict]) -> BoundView:
    known = [
        (verdict.window_start, best) for verdict in reversed(verdicts) if (best := _best(kind, bound.id, verdict)) is not None
    ]
    return BoundView(
        kind=kind,
        id=bound.id,
        metric=bound.metric,
        by=bound.by,
        limit=bound.limit,
        at_least=bound.at_least is not None,
        gate=_at_gate(f"{kind}: {bound}", judged),
        now=_now(known),
        starts=tuple(start for start, _ in known),
        history=tuple(state.figure.value for _, state in known),
        sources=tuple(state.figure.source for _, state in known),
    )


def _best(kind: str, bound: str, verdict: WindowVerdict) -> BoundState | None:
    """Return what is best known of a bound in a window: from labels if they came."""
    mine = [state for state in verdict.bounds if (state.kind, state.bound) == (kind, bound) and state.figure.value is not None]
    return min(mine, key=lambda state: BETTER_KNOWN.index(state.figure.source), default=None)


def _now(known: Sequence[tuple[int, BoundState]]) -> InProduction | None:
    """Return how a bound stands: by the newest window with labels or measurements, and by an estimate only if there is none."""
    told = [item for item in known if item[1].figure.source != "estimated"] or known
    return _in_production(*told[-1]) if told else None


def _in_production(start: int, state: BoundState) -> InProduction:
    figure = state.figure
    return InProduction(
        start, state.standing.value, figure.source, figure.value, figure.low, figure.high, figure.group, figure.rows
    )


def _at_gate(check: str, judged: Dossier | None) -> AtGate | None:
    if judged is None:
        return None
    item: Evidence | None = {item.check: item for item in judged.evidence}.get(check)
    if item is None:
        return None
    return AtGate(judged.version.id, item.verdict.value, item.value, item.low, item.high, item.detail)


def _versions(tx: Transaction, name: str) -> tuple[Thing, ...]:
    found = registry.summary.known(tx, [version.id for version in registry.versions(tx, name, limit=SHOWN)])
    tones = {"open": "ok", "waiting": "warn", "closed": "crit"}
    words = {"open": "gate open", "waiting": "waits for approval", "closed": "gate closed"}

    def line(item: Dossier) -> Thing:
        version, state = item.version, item.gate.state.value
        text = ", ".join(item.aliases) or "; ".join(item.gate.reasons)
        return Thing(version.id, tones[state], words[state], text, version.created, address_of("version", version.id))

    newest = sorted(found.values(), key=lambda item: item.version.number, reverse=True)
    return tuple(line(item) for item in newest)


def _episodes(tx: Transaction, name: str) -> tuple[Thing, ...]:
    tones = {"settled": "ok", "failed": "crit", "rejected": "warn", "rolled_back": "warn", "expired": "warn"}
    return tuple(
        Thing(
            item.id,
            "info" if item.open else tones.get(item.state.value, "none"),
            item.state.value.replace("_", " "),
            item.cause,
            item.opened,
            address_of("episode", item.id),
        )
        for item in automation.list_episodes(tx, name, limit=SHOWN)
    )


def _runs(tx: Transaction, name: str) -> tuple[Thing, ...]:
    tones = {"finished": "ok", "failed": "crit", "running": "info"}
    return tuple(
        Thing(run.id, tones[run.state.value], run.state.value, run.outcome, run.started, address_of("run", run.id))
        for run in tracking.service.runs(tx, name, limit=SHOWN)
    )


def project_named(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project that the path names."""
    return get_project(tx, path["project"]).name


@asks(Action.READ, filters=True, returns=ProjectsView)
async def get_projects(request: Request) -> Response:
    """List the projects: `q` is a part of the name, `offset` and `limit` say which."""
    wanted, page = text(request, "q"), page_of(request.query_params)

    def view(tx: Transaction, actor: Principal) -> ProjectsView:
        return projects_view(tx, actor, wanted=wanted, offset=page.offset, limit=page.limit)

    return await answers.view(request, view)


@asks(Action.READ, project=project_named, returns=ProjectView)
async def get_one_project(request: Request) -> Response:
    """Give the page of a project."""
    return await answers.view(request, lambda tx, actor: project_view(tx, actor, request.path_params["project"]))


routes = [
    Route("/api/view/project", get_projects, methods=["GET"]),
    Route("/api/view/project/{project}", get_one_project, methods=["GET"]),
]
