"""How deployments stand, asked for many at once: the number of statements does not depend on how many there are."""

from collections.abc import Iterable

import msgspec

from perenne.monitoring import alert_store, store
from perenne.monitoring.model import Alert, AlertLine, WindowVerdict, state_word
from perenne.storage.database import Transaction


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A watched deployment: its state in a word, how many alerts are open, and the verdict on its champion's newest window."""

    deployment: str
    state: str
    alerts: int
    newest: WindowVerdict | None


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


def open_lines(tx: Transaction, deployments: Iterable[str] | None = None) -> list[AlertLine]:
    """List the alerts that are pending or firing, newest first, in a line each: all of them, without their causes."""
    return alert_store.open_lines(tx, deployments)


def alerts_of(tx: Transaction, identities: Iterable[str]) -> list[Alert]:
    """Read some alerts, newest first; one that does not exist is left out."""
    return alert_store.some_alerts(tx, identities)


def _by_deployment(lines: Iterable[AlertLine]) -> dict[str, list[AlertLine]]:
    found: dict[str, list[AlertLine]] = {}
    for line in lines:
        found.setdefault(line.deployment, []).append(line)
    return found
