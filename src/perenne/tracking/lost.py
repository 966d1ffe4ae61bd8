"""Runs whose process died: who opens one for work of its own holds it, and whoever notices closes what nobody holds any more."""

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.core.clock import SECOND, SystemClock
from perenne.storage.clock import database_now
from perenne.storage.database import Database, Transaction
from perenne.storage.owners import is_dead
from perenne.tracking import store
from perenne.tracking.model import RunState

LEASE = 60 * SECOND
LOST = "its process was lost"

_SYSTEM = Principal("perenne", PrincipalKind.SYSTEM)


def hold_run(tx: Transaction, identity: str, owner: str) -> None:
    """Say that a run's process lives: for the next minute nobody may call the run lost.

    Parameters
    ----------
    owner : str
        See `perenne.storage.owners.owner_token`.
    """
    store.hold(tx, identity, owner, database_now(tx) + LEASE)


def close_lost_runs(database: Database) -> int:
    """Close the open runs that were held and are no longer, as failed; return how many.

    Of this machine a process is known to be dead at once, of another when its minute is over.
    """
    with database.read() as tx:
        lost = _lost(tx)
    for identity in lost:
        database.write(lambda tx, identity=identity: _close(tx, identity))  # type: ignore[misc]
    return len(lost)


def _lost(tx: Transaction) -> list[str]:
    now = database_now(tx)
    return [identity for identity, owner, lease in store.held(tx) if lease < now or is_dead(owner)]


def _close(tx: Transaction, identity: str) -> None:
    if identity not in _lost(tx):  # it ended, or is held again
        return
    store.update(tx, identity, state=RunState.FAILED, outcome=LOST, ended=SystemClock().now(), owner=None, lease=None)
    audit.record(tx, _SYSTEM, "run.failed", "run", identity, after={"outcome": LOST})
