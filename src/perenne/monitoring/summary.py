"""How deployments stand, asked for many at once: the number of statements does not depend on how many there are."""

from collections.abc import Collection, Iterable

import msgspec

from perenne.monitoring import alert_store, recent_store, store
from perenne.monitoring.model import Alert, AlertLine, WindowVerdict
from perenne.monitoring.operational import latency_quantile
from perenne.monitoring.recent_store import RecentMetric, RecentWindow
from perenne.monitoring.silencing import labels_of
from perenne.monitoring.streaks import state_word
from perenne.storage.database import Transaction

RECENT_WINDOWS = 24


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A watched deployment: its state in a word, how many alerts are open, and the verdict on its champion's newest window."""

    deployment: str
    state: str
    alerts: int
    newest: WindowVerdict | None


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment's champions did of late.

    Attributes
    ----------
    windows : tuple of RecentWindow
        Those that were judged, oldest first.
    p95_ms : float or None
        Of the newest of them: the latency that 95 % of the requests stayed under.
    realised : dict
        By metric, what labels said last within these windows; only where enough of them came.
    """

    windows: tuple[RecentWindow, ...]
    p95_ms: float | None
    realised: dict[str, RecentMetric]


def watched(tx: Transaction, *, after: str = "", limit: int | None = None) -> list[str]:
    """Name the deployments that are watched, in order, from the one that follows `after` on."""
    return store.watched_deployments(tx, after, limit)


def summaries(tx: Transaction, deployments: Iterable[str]) -> dict[str, Summary]:
    """Tell how some deployments stand; those that are not watched are left out."""
    names = store.watched_among(tx, deployments)
    verdicts = store.newest_verdicts(tx, names)
    alerts = _by_deployment(alert_store.open_lines(tx, names))
    found = {}
    for name in names:
        mine, newest = alerts.get(name, []), verdicts.get(name)
        state = state_word(any(line.fired is not None for line in mine), bool(mine), None if newest is None else newest.state)
        found[name] = Summary(deployment=name, state=state, alerts=len(mine), newest=newest)
    return found


def states(tx: Transaction) -> dict[str, str]:
    """Tell how every deployment that is watched or has an open alert stands, in a word each: no verdict is read."""
    alerts, newest = _by_deployment(alert_store.open_lines(tx)), store.newest_states(tx)
    return {
        name: state_word(any(line.fired is not None for line in alerts.get(name, ())), name in alerts, newest.get(name))
        for name in newest | alerts
    }


def recent(
    tx: Transaction, deployments: Iterable[str], metrics: Iterable[str] = (), *, windows: int = RECENT_WINDOWS
) -> dict[str, Recent]:
    """Tell what the champions of some deployments did in their newest windows; one without a judged window is left out.

    Parameters
    ----------
    metrics : iterable of str
        What to tell of labels: names of metrics over all rows.
    """
    names = list(deployments)
    found = recent_store.windows(tx, names, windows)
    realised: dict[str, dict[str, RecentMetric]] = {}
    for item in recent_store.metrics(tx, names, windows, metrics):
        if item.trusted:  # oldest first: the newest stays
            realised.setdefault(item.deployment, {})[item.metric] = item
    return {name: _recent(rows, realised.get(name, {})) for name, rows in found.items()}


def _recent(windows: list[RecentWindow], realised: dict[str, RecentMetric]) -> Recent:
    newest = windows[-1]
    p95 = latency_quantile(newest.latency, 0.95) if newest.requests else None
    return Recent(windows=tuple(windows), p95_ms=p95, realised=realised)


def champion_verdicts(tx: Transaction, deployment: str, limit: int) -> list[WindowVerdict]:
    """Read the verdicts on the newest windows of a deployment's champions, whichever version they were of, newest first."""
    return recent_store.verdicts(tx, deployment, limit)


def matching(tx: Transaction, text: str, limit: int, projects: Collection[str] = ()) -> list[AlertLine]:
    """Find alerts by the beginning of their id, and open ones by a piece of their deployment's name."""
    return alert_store.find_lines(tx, text, limit, projects)


def some(tx: Transaction, ids: Iterable[str]) -> dict[str, AlertLine]:
    """Read alerts by their ids, a line each; what does not exist is left out."""
    return {line.id: line for line in alert_store.some_lines(tx, ids)}


def open_lines(tx: Transaction, deployments: Iterable[str] | None = None) -> list[AlertLine]:
    """List the alerts that are pending or firing, newest first, in a line each: all of them, without their causes."""
    return alert_store.open_lines(tx, deployments)


def silent(tx: Transaction, lines: Iterable[AlertLine], now: int) -> set[str]:
    """Return the ids of those alerts of which nobody is told now."""
    shown = list(lines)
    lasting = alert_store.silences_of(tx, {line.deployment for line in shown}, now)
    return {line.id for line in shown if any(silence.quiets(labels_of(line)) for silence in lasting)}


def alerts_of(tx: Transaction, identities: Iterable[str]) -> list[Alert]:
    """Read some alerts, newest first; one that does not exist is left out."""
    return alert_store.some_alerts(tx, identities)


def fired_at(tx: Transaction, deployment: str, version: str, rule: str, instant: int) -> bool:
    """Tell whether an alert of a version fired at an instant, or was resolved since."""
    return alert_store.fired_at(tx, deployment, version, rule, instant)


def _by_deployment(lines: Iterable[AlertLine]) -> dict[str, list[AlertLine]]:
    found: dict[str, list[AlertLine]] = {}
    for line in lines:
        found.setdefault(line.deployment, []).append(line)
    return found
