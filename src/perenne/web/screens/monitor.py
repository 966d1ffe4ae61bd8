"""One deployment under watch, with the retrainings that its drift and its misses led to."""

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import automation, monitoring
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.queries import text
from perenne.auth.roles import Action
from perenne.automation import Episode
from perenne.core.errors import Invalid
from perenne.monitoring.views import MonitorView, monitor_view, references_shown
from perenne.stats.cells import Reference
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

SHOWN_EPISODES = 20
LONGEST_INSTANT = 18


class EpisodeMark(msgspec.Struct, frozen=True):
    """A retraining on the time axis."""

    id: str
    state: str
    opened: int
    entered: int
    open: bool
    cause: str


class WatchedView(msgspec.Struct, frozen=True):
    """The monitor's page."""

    monitor: MonitorView
    episodes: tuple[EpisodeMark, ...]


def watched_view(
    tx: Transaction, deployment: str, references: Mapping[str, Reference], *, version: str = "", window: int | None = None,
    feature: str = "", against: str = "", segment: str = "",
) -> WatchedView:  # fmt: skip
    """Show one deployment under watch; see `monitoring.views.monitor_view`."""
    monitor = monitor_view(
        tx, deployment, references, version=version, window=window, feature=feature, against=against, segment=segment
    )
    episodes = automation.list_episodes(tx, monitor.project, limit=SHOWN_EPISODES)
    return WatchedView(monitor, tuple(map(_mark, episodes)))


def _mark(item: Episode) -> EpisodeMark:
    return EpisodeMark(item.id, item.state.value, item.opened, item.entered, item.open, item.cause)


@needs(Action.READ, project=monitoring.service.project_watched, returns=WatchedView)
async def get_monitor(request: Request) -> Response:
    """Show one deployment under watch: of one `version`, one `window` (by its start) in full, and a `feature`.

    `against` is what its distributions are laid over (training, production, phase, previous), `segment` the group they are of.
    """
    workspace: Workspace = request.app.state.workspace
    name = request.path_params["deployment"]
    version, feature, start, against, segment = (
        text(request, part) for part in ("version", "feature", "window", "against", "segment")
    )
    window = _instant(start) if start else None
    references = await asyncio.to_thread(references_shown, workspace, name, version, window)
    return await answers.view(
        request,
        lambda tx, _: watched_view(
            tx, name, references, version=version, window=window, feature=feature, against=against, segment=segment
        ),
    )


def _instant(found: str) -> int:
    if not (found.isascii() and found.isdecimal() and len(found) <= LONGEST_INSTANT):
        raise Invalid(f"window is {found[:40]!r}, which is no instant", code="request.query", hint="microseconds since 1970")
    return int(found)


routes = [Route("/api/view/monitor/{deployment}", get_monitor, methods=["GET"])]
