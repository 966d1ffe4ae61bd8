"""Finding what is watched, or saying that it is not."""

from perenne.core.errors import NotFound
from perenne.monitoring import store
from perenne.monitoring.model import Watch
from perenne.storage.transaction import Transaction


def watches_of(tx: Transaction, deployment: str) -> list[Watch]:
    """Return the watches of a deployment, newest first. Raises NotFound if there is none."""
    found = store.list_watches(tx, deployment)
    if not found:
        raise unwatched(deployment)
    return found


def unwatched(deployment: str) -> NotFound:
    """Say that a deployment is not watched."""
    return NotFound(
        f"deployment {deployment[:100]!r} is not watched",
        code="monitor.not_found",
        hint="`perenne monitor list` shows those that are",
    )
