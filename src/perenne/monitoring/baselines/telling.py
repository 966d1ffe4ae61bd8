"""What `perenne monitor drift` tells of one window."""

import msgspec

from perenne.core.clock import format_time
from perenne.core.errors import NotFound, PerenneError
from perenne.monitoring import recent_store, store
from perenne.monitoring.baselines.ranking import Ranked, importances, ranked
from perenne.monitoring.model import Cause, WindowVerdict
from perenne.monitoring.references import load_reference
from perenne.monitoring.watched import watches_of
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

LOOKED_BACK = 200


class WindowDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How a window differs from what it is compared with, its features ranked.

    `needed_rows` tells from how many rows on the smallest change that matters can be told from chance.
    """

    deployment: str
    version: str
    window: str
    state: str
    rows: int
    needed_rows: int
    baseline: str
    compared_with: str
    skew: bool
    schema: tuple[str, ...]
    causes: tuple[Cause, ...]
    features: tuple[Ranked, ...]


class DriftLine(msgspec.Struct, frozen=True):
    """A feature, in a line; `drift` is in units of what the rule lets pass."""

    feature: str
    state: str
    drift: str
    importance: str
    look: str
    what: str


class DriftLines(msgspec.Struct, frozen=True):
    """A window's drift, in lines."""

    window: str
    state: str
    rows: str
    compared_with: str
    schema: tuple[str, ...]
    features: tuple[DriftLine, ...]


_QUADRANTS = {"act": "moved, and matters", "harmless": "moved, hardly matters", "steady": "matters, steady", "quiet": "steady"}


def window_drift(workspace: Workspace, deployment: str, *, version: str = "", instant: int | None = None) -> WindowDrift:
    """Rank the features of a window.

    Raises
    ------
    NotFound
        If no window of it was judged, or none holds the instant.
    """
    with workspace.database.read() as tx:
        verdict = _verdict(tx, deployment, version, instant)
        watch = store.find_watch(tx, deployment, verdict.version)
    try:
        importance = {} if watch is None else importances(load_reference(workspace.objects, watch.reference))
    except PerenneError:  # the reference cannot be read here: ranked by drift alone
        importance = {}
    return WindowDrift(
        deployment=deployment,
        version=verdict.version,
        window=format_time(verdict.window_start),
        state=verdict.state.value,
        rows=verdict.rows,
        needed_rows=verdict.needed_rows,
        baseline=verdict.baseline,
        compared_with=verdict.baseline_words,
        skew=verdict.skew,
        schema=verdict.schema,
        causes=verdict.causes,
        features=tuple(ranked(verdict, importance)),
    )


def _verdict(tx: Transaction, deployment: str, version: str, instant: int | None) -> WindowVerdict:
    if version:
        streams = [stream for stream in store.streams(tx, deployment) if stream.version == version]
        found = [verdict for stream in streams for verdict in store.recent_verdicts(tx, stream, LOOKED_BACK)]
    else:
        found = recent_store.verdicts(tx, deployment, LOOKED_BACK)
    for verdict in found:
        if instant is None or verdict.window_start <= instant < verdict.key.end:
            return verdict
    raise NotFound(
        f"no window of {deployment[:100]!r} was judged" + (" that holds this instant" if instant is not None else ""),
        code="monitor.window_not_found",
        hint="`perenne monitor show NAME` lists the newest windows",
    )


def watched_version(tx: Transaction, deployment: str) -> str:
    """Return the newest version of a deployment that is watched. Raises NotFound if none is."""
    return watches_of(tx, deployment)[0].version


def in_lines(told: WindowDrift, *, every: bool) -> DriftLines:
    """Put a window's drift into lines; features that did not move only if asked for."""
    words = {cause.feature: cause.sentence for cause in reversed(told.causes)}
    needed = f", {told.needed_rows:,} would show the smallest change that matters" if told.rows < told.needed_rows else ""
    parts = [
        DriftLine(cause.where, cause.state, "", "", "in this group", cause.sentence) for cause in told.causes if cause.segment
    ]
    lines = [
        DriftLine(
            one.feature,
            one.state,
            f"{one.drift:.2g} x",
            f"{one.importance:.2f}",
            _QUADRANTS[one.quadrant],
            words.get(one.feature, ""),
        )
        for one in told.features
        if every or one.state != "ok" or one.drift >= 1
    ]
    compared = told.compared_with or told.baseline
    return DriftLines(told.window, told.state, f"{told.rows:,} rows{needed}", compared, told.schema, (*lines, *parts))
