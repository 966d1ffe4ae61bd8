"""Who is watched, and how everything that is watched stands."""

import msgspec

from perenne import serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.hashing import is_digest
from perenne.monitoring import alert_store, row_store, store
from perenne.monitoring import alerts as alarms
from perenne.monitoring.model import CHAMPION, Alert, Stream, Watch, WindowMetric, WindowVerdict
from perenne.monitoring.streaks import state_word
from perenne.projects import Guardrail, Monitoring, Objective
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link

SHOWN_WINDOWS = 30

raise_alert = alarms.raise_alert
end_alert = alarms.end_alert


def watch(
    tx: Transaction,
    actor: Principal,
    deployment: str,
    version: str,
    reference: str,
    *,
    project: str,
    window_length: int | None = None,
    objectives: tuple[Objective, ...] = (),
    guardrails: tuple[Guardrail, ...] = (),
    confirm: int = 2,
    clear: int = 2,
    plan: Monitoring | None = None,
) -> Watch:
    """Begin to watch a version of a deployment, or change what it is held to.

    Parameters
    ----------
    reference : str
        Digest of the reference's bytes; they must lie in the object store.
    window_length : int, optional
        Microseconds of a window; the deployment's own if not given.
    confirm, clear : int
        Alarm windows in a row before an alert fires, and windows without alarm before it is resolved.
    plan : Monitoring, optional
        What the project says of how it is watched.

    Raises
    ------
    NotFound, Invalid, Conflict
        If the deployment is needed and does not exist, the reference is no digest, or the version was watched by another one.
    """
    require(actor, Action.DEPLOY)
    if window_length is None:
        window_length = serving.service.get_deployment(tx, deployment).window_length
    _check_watch(version, reference, min(confirm, clear, window_length))
    known = store.find_watch(tx, deployment, version)
    if known is not None and known.reference != reference:
        raise _another_reference(deployment, version)
    watched = Watch(
        deployment=deployment,
        version=version,
        project=project,
        reference=reference,
        window_length=window_length,
        objectives=objectives,
        guardrails=guardrails,
        confirm=confirm,
        clear=clear,
        plan=plan or Monitoring(),
        since=known.since if known else SystemClock().now(),
    )
    if watched != known:
        store.save_watch(tx, watched)
        add_link(tx, (Kind.DEPLOYMENT, deployment), "watches", (Kind.VERSION, version))
        audit.record(tx, actor, "monitor.watch", "deployment", deployment, before=known, after=watched)
    return watched


def _check_watch(version: str, reference: str, least: int) -> None:
    if not is_digest(reference):
        raise Invalid(
            f"{version} has no monitoring reference", code="monitor.reference", hint="package it again with `perenne run`"
        )
    if least < 1:
        said = "confirm, clear and window_length are at least 1"
        raise Invalid(said, code="monitor.watch", hint="leave them out for the usual ones")


class StreamHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one version in one variant stands: its newest windows and the metrics their labels gave, newest window first."""

    variant: str
    version: str
    watched: bool
    state: str
    windows: tuple[WindowVerdict, ...]
    metrics: tuple[WindowMetric, ...]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment stands: in a word (`alarm`, `warn`, `ok`, or why nothing can be said), what is open, every stream."""

    deployment: str
    state: str
    alerts: tuple[Alert, ...]
    streams: tuple[StreamHealth, ...]


def _another_reference(deployment: str, version: str) -> Conflict:
    said = f"{version} is watched in {deployment} by another reference"
    return Conflict(said, code="monitor.reference_changed", hint="register a new version for it")


def deployment_health(tx: Transaction, deployment: str, *, windows: int = SHOWN_WINDOWS) -> Health:
    """Tell how a deployment stands.

    Raises
    ------
    NotFound
        If it is not watched.
    """
    watches = {watched.version: watched for watched in store.list_watches(tx, deployment)}
    if not watches:
        raise NotFound(
            f"deployment {deployment[:100]!r} is not watched",
            code="monitor.not_found",
            hint="`perenne monitor list` shows those that are",
        )
    streams = [_stream_health(tx, stream, watches.get(stream.version), windows) for stream in store.streams(tx, deployment)]
    alerts = tuple(alert_store.list_alerts(tx, deployment, only_open=True))
    return Health(deployment=deployment, state=_state(streams, alerts), alerts=alerts, streams=tuple(streams))


def _stream_health(tx: Transaction, stream: Stream, watched: Watch | None, windows: int) -> StreamHealth:
    verdicts = tuple(store.recent_verdicts(tx, stream, windows))
    known = row_store.metrics_since(tx, stream, verdicts[-1].window_start) if verdicts else {}
    metrics = tuple(metric for verdict in verdicts for metric in known.get(verdict.key, ()))
    return StreamHealth(
        variant=stream.variant,
        version=stream.version,
        watched=watched is not None,
        state=verdicts[0].state.value if verdicts else "no_data",
        windows=verdicts,
        metrics=metrics,
    )


def _state(streams: list[StreamHealth], alerts: tuple[Alert, ...]) -> str:
    champions = [stream.windows[0] for stream in streams if stream.variant == CHAMPION and stream.windows]
    newest = max(champions, key=lambda verdict: (verdict.window_start, verdict.version), default=None)
    firing = any(alert.fired is not None for alert in alerts)
    return state_word(firing, bool(alerts), None if newest is None else newest.state)


def watches(tx: Transaction, deployment: str | None = None) -> list[Watch]:
    """List what is watched, newest first, in one deployment or in all."""
    return store.list_watches(tx, deployment)


def open_alerts(tx: Transaction, deployment: str | None = None, *, limit: int = 100) -> list[Alert]:
    """List the alerts that are pending or firing, newest first."""
    return alert_store.list_alerts(tx, deployment, only_open=True, limit=limit)


def alerts(tx: Transaction, deployment: str | None = None, *, limit: int = 100) -> list[Alert]:
    """List alerts of any state, newest first."""
    return alert_store.list_alerts(tx, deployment, limit=limit)


def drift_at(tx: Transaction, deployment: str, version: str, instant: int, *, variant: str = CHAMPION) -> WindowVerdict | None:
    """Return the verdict on the window that holds an instant, or None if none was judged."""
    for verdict in store.recent_verdicts(tx, Stream(deployment, variant, version), 1, until=instant):
        if instant < verdict.key.end:
            return verdict
    return None
