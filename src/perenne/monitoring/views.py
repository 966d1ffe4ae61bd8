"""The payloads of the monitors' and the alerts' screens."""

from collections.abc import Iterable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, allowed, sees
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.core.paging import Page, page_of
from perenne.monitoring import alert_store, alerts, charted, recent_store, service, store, summary
from perenne.monitoring.charted import Timeline, WindowDetail
from perenne.monitoring.model import MINIMUM_COVERAGE, Alert, AlertLine, AlertState, Cause, Severity, Stream, WindowState
from perenne.monitoring.performance.following import Following, follow
from perenne.monitoring.references import load_reference
from perenne.monitoring.silencing import Silence
from perenne.stats.cells import Reference
from perenne.storage.links import Kind, sources_of
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

STRIP = 30
WORST_FIRST = ("alarm", "warn", "gap", "no_data", "too_few", "ok")
STATES = ("open", "ended", *(state.value for state in AlertState))


class MonitorRow(msgspec.Struct, frozen=True, kw_only=True):
    """A watched deployment in a line: how it stands, its newest window, and the states of the windows before, oldest first."""

    deployment: str
    project: str
    state: str
    alerts: int
    version: str
    window: int | None
    length: int
    rows: int
    cause: str
    strip: tuple[tuple[int, WindowState], ...]


class MonitorsView(msgspec.Struct, frozen=True):
    """A window of what is watched, the worst first; `states` counts all of it."""

    rows: tuple[MonitorRow, ...]
    total: int
    offset: int
    limit: int
    states: dict[str, int]


class MonitorView(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment under watch: its windows over time, one of them in full, and its open alerts."""

    deployment: str
    project: str
    state: str
    version: str
    champion: str
    streams: tuple[Stream, ...]
    alerts: tuple[AlertLine, ...]
    timeline: Timeline
    chosen: WindowDetail | None
    confirm: int
    clear: int
    minimum_coverage: float
    performance: Following


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with what people need to answer it; `episode` is the retraining it led to, `silence` who asked for quiet."""

    id: str
    deployment: str
    project: str
    version: str
    rule: str
    state: AlertState
    severity: Severity
    tone: str
    summary: str
    causes: tuple[Cause, ...]
    since: int
    latest: int
    opened: int
    fired: int | None
    ended: int | None
    acknowledged_by: str
    open: bool
    silence: Silence | None
    episode: str


class AlertsView(msgspec.Struct, frozen=True):
    """A window of the alerts, the open ones first; the one that was asked for before all others."""

    rows: tuple[AlertRow, ...]
    total: int
    offset: int
    limit: int
    firing: int
    pending: int
    may_answer: bool


def monitors_view(tx: Transaction, actor: Principal, page: Page) -> MonitorsView:
    """Show a window of what is watched, the worst first."""
    projects = {name: project for name, project in store.watched_projects(tx).items() if sees(actor, project)}
    states = {name: state for name, state in summary.states(tx).items() if name in projects}
    order = sorted(projects, key=lambda name: (_rank(states.get(name, "no_data")), name))
    shown = order[page.offset : page.offset + page.limit]
    found, windows = summary.summaries(tx, shown), recent_store.windows(tx, shown, STRIP)
    rows = tuple(
        _monitor_row(found[name], projects[name], tuple((window.start, window.state) for window in windows.get(name, ())))
        for name in shown
    )
    counts = {state: sum(1 for name in order if states.get(name) == state) for state in dict.fromkeys(states.values())}
    return MonitorsView(rows, len(order), page.offset, page.limit, counts)


def _rank(state: str) -> int:
    return WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST)


def _monitor_row(found: summary.Summary, project: str, strip: tuple[tuple[int, WindowState], ...]) -> MonitorRow:
    newest = found.newest
    causes = [cause for cause in newest.causes if cause.state != "ok"] if newest else []
    return MonitorRow(
        deployment=found.deployment,
        project=project,
        state=found.state,
        alerts=found.alerts,
        version=newest.version if newest else "",
        window=newest.window_start if newest else None,
        length=newest.window_length if newest else 0,
        rows=newest.rows if newest else 0,
        cause=f"{causes[0].feature}: {causes[0].sentence}" if causes else "",
        strip=strip,
    )


def monitor_view(
    tx: Transaction, deployment: str, references: Mapping[str, Reference], *, version: str = "", window: int | None = None,
    feature: str = "",
) -> MonitorView:  # fmt: skip
    """Show one deployment under watch.

    Parameters
    ----------
    references : mapping
        By digest, those that are at hand; a window whose reference is not among them is shown without its distributions.
    version, window, feature
        Whose windows, which of them in full, and which feature beside those that moved most.

    Raises
    ------
    NotFound
        If it is not watched, the version has never answered here, or the window or the feature is not there.
    """
    watches = service.watches(tx, deployment)
    if not watches:
        raise _unwatched(deployment)
    streams = tuple(store.streams(tx, deployment))
    if version and not any(stream.version == version for stream in streams):
        raise NotFound(
            f"{version[:100]!r} has never answered here",
            code="monitor.version_not_found",
            hint="`perenne monitor show NAME` tells which versions have",
        )
    verdicts = charted.shown_verdicts(tx, deployment, version)
    chosen = charted.pick(verdicts, window)
    watch = charted.watch_of(watches, chosen) or watches[0]
    state = summary.summaries(tx, [deployment])[deployment].state
    champions = [item.version for item in verdicts if item.variant == "champion"]
    reference = references.get(charted.profiles_of(tx, chosen)[0]) if chosen else None
    return MonitorView(
        deployment=deployment,
        project=watch.project,
        state=state,
        version=version,
        champion=champions[-1] if champions else "",
        streams=streams,
        alerts=tuple(summary.open_lines(tx, [deployment])),
        timeline=charted.timeline(tx, verdicts),
        chosen=None if chosen is None else charted.detail(tx, chosen, reference, feature),
        confirm=watch.confirm,
        clear=watch.clear,
        minimum_coverage=MINIMUM_COVERAGE,
        performance=follow(tx, deployment, verdicts, chosen),
    )


def _unwatched(deployment: str) -> NotFound:
    return NotFound(
        f"deployment {deployment[:100]!r} is not watched",
        code="monitor.not_found",
        hint="`perenne monitor list` shows those that are",
    )


def references_shown(workspace: Workspace, deployment: str, version: str, window: int | None) -> dict[str, Reference]:
    """Fetch the reference that `monitor_view` needs for a window, before its transaction begins; none if it cannot be read."""
    with workspace.database.read() as tx:
        chosen = charted.pick(charted.shown_verdicts(tx, deployment, version), window)
        digest = charted.profiles_of(tx, chosen)[0] if chosen else ""
    try:
        return {digest: load_reference(workspace.objects, digest)} if digest else {}
    except PerenneError:
        return {}


def project_watched(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a watched deployment."""
    found = store.watched_projects(tx, [path["deployment"]]).get(path["deployment"])
    if found is None:
        raise _unwatched(path["deployment"])
    return found


def alerts_view(
    tx: Transaction,
    actor: Principal,
    page: Page,
    *,
    now: int,
    state: str = "",
    severity: str = "",
    deployment: str = "",
    alert: str = "",
) -> AlertsView:
    """Show a window of the alerts.

    Parameters
    ----------
    alert : str
        One to be shown before all others; empty for none.

    Raises
    ------
    Invalid, NotFound
        If there is no such state or severity, or the named alert does not exist or is not theirs to see.
    """
    if state not in ("", *STATES) or severity not in ("", *Severity):
        known = ", ".join([*STATES, *Severity])
        raise Invalid(f"{(state or severity)[:40]!r} is none", code="alert.filter", hint=f"one of {known}")
    only = _deployments(tx, actor, deployment)
    found, total = alert_store.page(tx, page, state=state, severity=severity, deployments=only)
    if alert:
        first = alerts.get_alert(tx, alert)
        if only is not None and first.deployment not in only:
            raise NotFound("there is nothing of that name", code="alert.not_found", hint="`perenne alert list --all` shows them")
        found = [first, *(item for item in found if item.id != alert)]
    counts = alert_store.count_open(tx, only)
    rows = alert_rows(tx, found, now)
    return AlertsView(
        rows, total, page.offset, page.limit, counts.get("firing", 0), counts.get("pending", 0), allowed(actor, Action.COMMENT)
    )


def _deployments(tx: Transaction, actor: Principal, deployment: str) -> list[str] | None:
    """Name the deployments whose alerts may be shown; None for all."""
    if not actor.projects:
        return [deployment] if deployment else None
    named = [deployment] if deployment else alerts.deployments_of(tx, actor.projects)
    return [name for name, project in alerts.projects_of(tx, named).items() if project in actor.projects]


def alert_rows(tx: Transaction, found: Iterable[Alert], now: int) -> tuple[AlertRow, ...]:
    """Add to alerts whose they are, who asked for silence, and what they led to: each asked once for all."""
    shown = list(found)
    names = {item.deployment for item in shown}
    projects, silences = alerts.projects_of(tx, names), alert_store.silences_of(tx, names, now)
    links = sources_of(tx, Kind.EPISODE, Kind.ALERT, [item.id for item in shown])
    episodes = {link.target: link.source for link in links}
    quiet = {(item.deployment, item.rule): item for item in silences}
    return tuple(
        _alert_row(
            item,
            projects.get(item.deployment, ""),
            quiet.get((item.deployment, item.rule)) or quiet.get((item.deployment, "")),
            episodes.get(item.id, ""),
        )
        for item in shown
    )


def _alert_row(item: Alert, project: str, silence: Silence | None, episode: str) -> AlertRow:
    return AlertRow(
        id=item.id,
        deployment=item.deployment,
        project=project,
        version=item.version,
        rule=item.rule,
        state=item.state,
        severity=item.severity,
        tone=_tone(item),
        summary=item.summary,
        causes=item.causes,
        since=item.since,
        latest=item.latest,
        opened=item.opened,
        fired=item.fired,
        ended=item.ended,
        acknowledged_by=item.acknowledged_by,
        open=item.open,
        silence=silence if item.open else None,
        episode=episode,
    )


def _tone(item: Alert) -> str:
    if not item.open:
        return "none"
    return "crit" if item.severity is Severity.CRITICAL else "warn"


@needs(Action.READ, filters=True, returns=MonitorsView)
async def get_monitors(request: Request) -> Response:
    """Show what is watched."""
    page = page_of(request.query_params)
    return await answers.view(request, lambda tx, actor: monitors_view(tx, actor, page))


@needs(Action.READ, filters=True, returns=AlertsView)
async def get_alerts(request: Request) -> Response:
    """Show alerts, of one `state`, `severity` or `deployment` if named; `alert` is one to show first."""
    page, now = page_of(request.query_params), request.app.state.workspace.clock.now()
    state, severity, deployment, alert = (text(request, name) for name in ("state", "severity", "deployment", "alert"))
    return await answers.view(
        request,
        lambda tx, actor: alerts_view(
            tx, actor, page, now=now, state=state, severity=severity, deployment=deployment, alert=alert
        ),
    )


routes = [
    Route("/api/view/monitor", get_monitors, methods=["GET"]),
    Route("/api/view/alert", get_alerts, methods=["GET"]),
]
