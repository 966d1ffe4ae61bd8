"""Champion and challenger on production traffic: one metric in every window, of each version that answered."""

from collections.abc import Iterable

import msgspec

from perenne import monitoring
from perenne.core.errors import NotFound
from perenne.projects import ProjectRecord
from perenne.serving import Deployment
from perenne.stats.metrics import METRICS
from perenne.storage.database import Transaction

WINDOWS = 120
ESTIMATED, REALISED = "estimated", "realised"


class WindowPoint(msgspec.Struct, frozen=True):
    """The metric in one window. `source` says how it is known: realised from labels, or estimated from the scores."""

    start: int
    value: float
    low: float | None
    high: float | None
    source: str
    rows: int


class Answering(msgspec.Struct, frozen=True):
    """One version in one role of one deployment, window by window, oldest first."""

    deployment: str
    variant: str
    version: str
    points: tuple[WindowPoint, ...]


class Production(msgspec.Struct, frozen=True):
    """The metric of the first objective in production; `limit` is what it is held to, `reason` why there is nothing to show."""

    metric: str
    limit: float | None
    at_least: bool
    window: int
    streams: tuple[Answering, ...]
    reason: str = ""


def production(tx: Transaction, project: ProjectRecord | None, deployments: Iterable[Deployment]) -> Production:
    """Read how a project's versions do in production."""
    found = (
        next((bound for bound in project.objectives if bound.metric in METRICS and bound.by is None), None) if project else None
    )
    if found is None:
        return Production("", None, True, 0, (), "The project states no objective that production can be held to.")
    streams: list[Answering] = []
    window = 0
    for deployment in deployments:
        window = deployment.window_length
        try:
            health = monitoring.service.deployment_health(tx, deployment.name, windows=WINDOWS)
        except NotFound:  # deployed by hand: nobody watches it
            continue
        streams += [_stream(deployment.name, found.metric, stream) for stream in health.streams]
    known = tuple(stream for stream in streams if stream.points)
    reason = (
        "" if known else f"No window has told {found.metric} yet: labels, or enough answers to estimate it from, are missing."
    )
    return Production(found.metric, found.limit, found.at_least is not None, window, known, reason)


def _stream(deployment: str, metric: str, stream: "monitoring.service.StreamHealth") -> Answering:
    points: dict[int, WindowPoint] = {}
    for verdict in stream.windows:
        guess = verdict.estimated.get(metric)
        if guess is not None and guess.value is not None:
            start = verdict.window_start
            points[start] = WindowPoint(start, guess.value, guess.low, guess.high, ESTIMATED, guess.rows or verdict.rows)
    for item in stream.metrics:
        if item.metric == metric and not item.by and item.value is not None and item.trusted:
            start = item.window_start
            points[start] = WindowPoint(start, item.value, item.low, item.high, REALISED, item.n_labelled)
    return Answering(deployment, stream.variant, stream.version, tuple(points[start] for start in sorted(points)))
