"""What is done for alerts in each turn of the loop: looked at first, and written only where something is due."""

from perenne.monitoring.alerting import digests, escalating, grouping, missing, store
from perenne.monitoring.alerting.delivering import AlertDelivery
from perenne.monitoring.model import RESEND_AFTER, Alert
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def tend(workspace: Workspace, delivery: AlertDelivery) -> int:
    """Escalate what nobody answered, make digests, notice silent deployments, and end what speaks for none; return how much."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        some = _anything(tx, now)
    return workspace.database.write(lambda tx: _tend(tx, delivery, now)) if some else 0


def _anything(tx: Transaction, now: int) -> bool:
    if escalating.due(tx, now) or digests.due(tx, now) or store.lonely_groups(tx, grouping.PREFIX):
        return True
    silent, over = missing.find(tx, now)
    known = {alert.deployment: alert for alert in store.open_of_rule(tx, missing.RULE)}
    return bool(over) or any(_news(known.get(item.watch.deployment), now) for item in silent)


def _news(alert: Alert | None, now: int) -> bool:
    """Tell whether people are to hear of a silent deployment: for the first time, or again after a day without an answer."""
    return alert is None or (not alert.acknowledged_by and (alert.sent is None or now - alert.sent >= RESEND_AFTER))


def _tend(tx: Transaction, delivery: AlertDelivery, now: int) -> int:
    moved = missing.move(tx, now) + grouping.end_lonely(tx, now)
    return moved + escalating.escalate(tx, delivery, now) + digests.send(tx, delivery, now)
