"""The payloads of the monitors' screens; that of the alerts' is in `alerting`."""

from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.core.errors import NotFound, PerenneError
from perenne.core.paging import Page, page_of
from perenne.monitoring import charted, recent_store, service, store, summary
from perenne.monitoring.alerting import answering
from perenne.monitoring.baselines.view import DriftView, Laid, drift_view, lay
from perenne.monitoring.charted import Timeline, WindowDetail
from perenne.monitoring.elsewhere import store as elsewhere
from perenne.monitoring.guards.series import GuardsView, guards_view
from perenne.monitoring.model import MINIMUM_COVERAGE, AlertLine, Stream, WindowState, WindowVerdict
from perenne.monitoring.performance.following import Following, follow
from perenne.monitoring.references import load_reference
from perenne.stats.cells import Reference
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

STRIP = 30
WORST_FIRST = ("alarm", "warn", "gap", "no_data", "too_few", "ok")


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
    elsewhere: bool = False


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
    elsewhere: bool = False
    drift: DriftView = DriftView()
    guards: GuardsView = GuardsView()


def monitors_view(tx: Transaction, actor: Principal, page: Page) -> MonitorsView:
    """Show a window of what is watched, the worst first."""
    projects = {name: project for name, project in store.watched_projects(tx).items() if sees(actor, project)}
    states = {name: state for name, state in summary.states(tx).items() if name in projects}
    order = sorted(projects, key=lambda name: (_rank(states.get(name, "no_data")), name))
    shown = order[page.offset : page.offset + page.limit]
    found, windows = summary.summaries(tx, shown), recent_store.windows(tx, shown, STRIP)
    strips = {name: tuple((window.start, window.state) for window in windows.get(name, ())) for name in shown}
    others = elsewhere.names_among(tx, shown)
    rows = tuple(_monitor_row(found[name], projects[name], strips[name], others=name in others) for name in shown)
    counts = {state: sum(1 for name in order if states.get(name) == state) for state in dict.fromkeys(states.values())}
    return MonitorsView(rows, len(order), page.offset, page.limit, counts)


def _rank(state: str) -> int:
    return WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST)


def _monitor_row(found: summary.Summary, project: str, strip: tuple[tuple[int, WindowState], ...], *, others: bool) -> MonitorRow:
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
        elsewhere=others,
    )


def monitor_view(
    tx: Transaction, deployment: str, references: Mapping[str, Reference], *, version: str = "", window: int | None = None,
    feature: str = "", against: str = "", segment: str = "",
) -> MonitorView:  # fmt: skip
    """Show one deployment under watch.

    Parameters
    ----------
    references : mapping
        By digest, those that are at hand; a window whose reference is not among them is shown without its distributions.
    version, window, feature
        Whose windows, which of them in full, and which feature beside those that moved most.
    against, segment
        What its distributions are laid over, if not what it was judged by; and within which group.

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
    laid = lay(tx, watch, reference, chosen, against=against, segment=segment) if chosen and reference else None
    return MonitorView(
        deployment=deployment,
        project=watch.project,
        state=state,
        version=version,
        champion=champions[-1] if champions else "",
        streams=streams,
        alerts=tuple(summary.open_lines(tx, [deployment])),
        timeline=charted.timeline(tx, verdicts),
        chosen=None if chosen is None else charted.detail(tx, chosen, reference, feature, laid),
        confirm=watch.confirm,
        clear=watch.clear,
        minimum_coverage=MINIMUM_COVERAGE,
        elsewhere=bool(elsewhere.names_among(tx, [deployment])),
        performance=follow(tx, deployment, verdicts, chosen),
        drift=_drift(tx, verdicts, chosen, reference, laid, segment, feature),
        guards=guards_view(tx, deployment),
    )


def _drift(
    tx: Transaction,
    verdicts: Sequence[WindowVerdict],
    chosen: WindowVerdict | None,
    reference: Reference | None,
    laid: Laid | None,
    segment: str,
    feature: str,
) -> DriftView:
    if chosen is None:
        return DriftView()
    return drift_view(tx, verdicts, chosen, reference, laid, segment=segment, feature=feature)


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


@needs(Action.READ, filters=True, returns=MonitorsView)
async def get_monitors(request: Request) -> Response:
    """Show what is watched."""
    page = page_of(request.query_params)
    return await answers.view(request, lambda tx, actor: monitors_view(tx, actor, page))


routes = [
    Route("/api/view/monitor", get_monitors, methods=["GET"]),
    *answering.view_routes,
]
