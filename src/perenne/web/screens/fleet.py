"""The home page: the stages of the loop, every deployment with the worst first, what needs a person, and what was done last."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, monitoring, projects, registry, serving
from perenne.auth import answers, audit
from perenne.auth.access import needs as asks
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, sees
from perenne.auth.views import AuditRow, audit_rows
from perenne.core.addresses import address_of
from perenne.core.clock import SystemClock
from perenne.core.paging import ROWS, page_of
from perenne.monitoring import AlertLine
from perenne.projects import Objective, ProjectRecord
from perenne.registry import Version
from perenne.serving import Deployment
from perenne.storage.database import Transaction
from perenne.web.screens.needs import Need, needs
from perenne.web.screens.stages import Serving, StageFigure, stage_figures

SHOWN_AUDIT = 10
TONES = {"alarm": "crit", "stopped": "crit", "warn": "warn", "ok": "ok"}
WORDS = {
    "alarm": "alarm",
    "stopped": "stopped",
    "warn": "watch",
    "gap": "gap in the log",
    "too_few": "too few rows",
    "no_data": "no data yet",
    "none": "not watched",
    "ok": "healthy",
}
ALARMS = (("guardrail:", "breached"), ("objective:", "missed"), ("drift", "drifting"))
"""What an alarm is called, by the rule that fires: the first that fits."""


class Champion(msgspec.Struct, frozen=True):
    """Who answers: the version, and when it was registered."""

    version: str
    created: int | None
    path: str


class Quality(msgspec.Struct, frozen=True):
    """The first objective's metric now.

    `source` says how it is known: realised from labels, estimated from scores, or measured. `margin` is how far it is on the good
    side of the limit, negative if on the bad one; `start` is that of the window it is of.
    """

    metric: str
    value: float
    limit: float
    margin: float
    source: str
    start: int | None


class Recently(msgspec.Struct, frozen=True):
    """The newest windows of the champions, oldest first, and how the newest one went.

    Attributes
    ----------
    start, length : int
        Of the newest window, in microseconds.
    back : tuple of int
        How many such lengths before it each window began.
    rows, states : tuple
        Rows answered in each, and how each was judged.
    per_second, p95_ms, error_rate : float or None
        Requests, the latency that 95 % of them stayed under, and the share that failed, of the newest window.
    """

    start: int
    length: int
    back: tuple[int, ...]
    rows: tuple[int, ...]
    states: tuple[str, ...]
    per_second: float | None
    p95_ms: float | None
    error_rate: float | None


class DeploymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. What is not known is None."""

    name: str
    project: str
    owner: str
    path: str
    state: str
    tone: str
    word: str
    why: str
    champion: Champion
    challengers: tuple[str, ...]
    recently: Recently | None
    quality: Quality | None


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """The home page. `rows` are a window of `total` deployments, worst first; `audit` is None for who may not read the trail."""

    stages: tuple[StageFigure, ...]
    states: dict[str, int]
    rows: tuple[DeploymentRow, ...]
    total: int
    projects: int
    needs: tuple[Need, ...]
    more_needs: int
    audit: tuple[AuditRow, ...] | None


def fleet_view(
    tx: Transaction, actor: Principal, *, offset: int = 0, limit: int = ROWS, now: int | None = None
) -> FleetView:  # fmt: skip
    """Put the home page together, of what the actor may see; `now` is the loop's time, by which silences last."""
    names = [name for name in projects.project_names(tx) if sees(actor, name)]
    policies = sum(sees(actor, name) for name in projects.project_names(tx, with_policy=True))
    deployments = [found for found in serving.service.deployments(tx) if sees(actor, found.project)]
    owned = {found.name: found.project for found in deployments}
    opened = [line for line in monitoring.summary.open_lines(tx) if _is_theirs(actor, line, owned)]
    silent = monitoring.summary.silent(tx, opened, SystemClock().now() if now is None else now)
    alerts = [line for line in opened if line.id not in silent]
    waiting = [found for found in registry.summary.waiting(tx) if sees(actor, found.version.project)]
    states = _states(tx, deployments)
    order = sorted(deployments, key=lambda found: (automation.WORST_FIRST.index(states[found.name]), found.name))
    counts = Counter(states.values())
    firing = sum(line.fired is not None and not line.parent for line in opened)
    told = Serving(counts, sum(bool(found.challengers) for found in deployments), firing)
    wanted, more = needs(tx, actor, waiting, alerts, owned)
    return FleetView(
        stages=stage_figures(tx, SystemClock().now(), names, policies, actor.projects, told, len(waiting)),
        states=dict(sorted(counts.items(), key=lambda item: automation.WORST_FIRST.index(item[0]))),
        rows=_rows(tx, order[offset : offset + limit], states, opened),
        total=len(deployments),
        projects=len(names),
        needs=wanted,
        more_needs=more,
        audit=_audit(tx, actor),
    )


def _is_theirs(actor: Principal, line: AlertLine, owned: Mapping[str, str]) -> bool:
    return not actor.projects or line.deployment in owned or (not line.deployment and sees(actor, line.project))


def _states(tx: Transaction, deployments: Sequence[Deployment]) -> dict[str, str]:
    watched = monitoring.summary.states(tx)

    def state(found: Deployment) -> str:
        word = watched.get(found.name, "none")
        return "stopped" if found.stop is not None and word != "alarm" else word

    return {found.name: state(found) for found in deployments}


def _audit(tx: Transaction, actor: Principal) -> tuple[AuditRow, ...] | None:
    if actor.projects or not allowed(actor, Action.READ_AUDIT):
        return None
    return audit_rows(audit.trail(tx, limit=SHOWN_AUDIT))


def _rows(
    tx: Transaction, deployments: Sequence[Deployment], states: Mapping[str, str], alerts: Sequence[AlertLine]
) -> tuple[DeploymentRow, ...]:
    names = [found.name for found in deployments]
    records = {record.name: record for record in projects.list_projects(tx, {found.project for found in deployments})}
    versions = registry.summary.some(tx, [found.champion.version for found in deployments])
    first = {name: objective for name, record in records.items() if (objective := first_objective(record.objectives)) is not None}
    recent = monitoring.summary.recent(tx, names, {objective.metric for objective in first.values()})
    newest = monitoring.summary.summaries(tx, names)
    open_alerts: dict[str, list[AlertLine]] = {}
    for line in alerts:
        open_alerts.setdefault(line.deployment, []).append(line)
    return tuple(
        _row(
            found,
            records.get(found.project),
            versions.get(found.champion.version),
            states[found.name],
            open_alerts.get(found.name, []),
            recent.get(found.name),
            quality(first.get(found.project), recent.get(found.name), newest.get(found.name)),
        )
        for found in deployments
    )


def _row(
    found: Deployment,
    project: ProjectRecord | None,
    champion: Version | None,
    state: str,
    alerts: Sequence[AlertLine],
    recent: monitoring.summary.Recent | None,
    known: Quality | None,
) -> DeploymentRow:
    worst = max((line for line in alerts if line.fired is not None), key=lambda line: line.severity.level, default=None)
    why = worst.summary if worst is not None else found.stop.reason if found.stop is not None else ""
    version = found.champion.version
    return DeploymentRow(
        name=found.name,
        project=found.project,
        owner=project.owner if project else "",
        path=address_of("monitor" if recent else "deployment", found.name),
        state=state,
        tone=TONES.get(state, "none"),
        word=state_word(state, alerts),
        why=why,
        champion=Champion(version, champion.created if champion else None, address_of("version", version)),
        challengers=tuple(variant.version for variant in found.challengers),
        recently=None if recent is None else _recently(recent),
        quality=known,
    )


def state_word(state: str, alerts: Sequence[AlertLine]) -> str:
    """Put into a word how a deployment stands; an alarm is called by what fires."""
    if state == "alarm":
        firing = [line.rule for line in alerts if line.fired is not None]
        return next((word for rule, word in ALARMS if any(name.startswith(rule) for name in firing)), WORDS[state])
    return WORDS[state]


def _recently(recent: monitoring.summary.Recent) -> Recently:
    newest = recent.windows[-1]
    asked = newest.rows + newest.errors
    return Recently(
        start=newest.start,
        length=newest.length,
        back=tuple((newest.start - window.start) // newest.length for window in recent.windows),
        rows=tuple(window.rows for window in recent.windows),
        states=tuple(window.state.value for window in recent.windows),
        per_second=newest.requests / (newest.length / 1e6) if newest.requests else None,
        p95_ms=recent.p95_ms,
        error_rate=newest.errors / asked if asked else None,
    )


def first_objective(objectives: Sequence[Objective]) -> Objective | None:
    """Return the objective a deployment is shown by: the first on the answers as a whole, else the first of all."""
    whole = (objective for objective in objectives if not objective.operational and objective.by is None)
    return next(whole, objectives[0] if objectives else None)


def quality(
    objective: Objective | None, recent: monitoring.summary.Recent | None, summary: monitoring.summary.Summary | None
) -> Quality | None:
    """Tell how an objective's metric stands now: from labels where they came, else as the newest window knows it."""
    if objective is None:
        return None
    realised = recent.realised.get(objective.metric) if recent is not None and objective.by is None else None
    if realised is not None and realised.value is not None:
        return _quality(objective, realised.value, "realised", realised.start)
    newest = summary.newest if summary is not None else None
    known = [] if newest is None else [state for state in newest.bounds if state.bound == objective.id]
    for state in sorted(known, key=lambda state: state.figure.source == "estimated"):
        if newest is not None and state.figure.value is not None:
            return _quality(objective, state.figure.value, state.figure.source, newest.window_start)
    return None


def _quality(objective: Objective, value: float, source: str, start: int) -> Quality:
    margin = value - objective.limit if objective.at_least is not None else objective.limit - value
    return Quality(objective.id, value, objective.limit, margin, source, start)


@asks(Action.READ, filters=True, returns=FleetView)
async def get_fleet(request: Request) -> Response:
    """Give the home page; `offset` and `limit` say which deployments, the worst first."""
    page, now = page_of(request.query_params), request.app.state.workspace.clock.now()

    def view(tx: Transaction, actor: Principal) -> Any:
        return fleet_view(tx, actor, offset=page.offset, limit=page.limit, now=now)

    return await answers.view(request, view)


routes = [Route("/api/view/", get_fleet, methods=["GET"])]
