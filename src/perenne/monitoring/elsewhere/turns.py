"""What is done in a turn of the loop for deployments that others serve."""

from perenne.core.clock import DAY
from perenne.monitoring.discarding import discard_later
from perenne.monitoring.elsewhere import reading, store
from perenne.monitoring.elsewhere.counting import count_sent
from perenne.monitoring.elsewhere.model import KEPT
from perenne.monitoring.elsewhere.row_logging import log_counted
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

queue_due = reading.queue_due


def collect(workspace: Workspace) -> int:
    """Count what was sent to this machine, and bring counted rows to the row log; return how much that was."""
    return count_sent(workspace) + log_counted(workspace)


def prune(workspace: Workspace) -> int:
    """Let go of rows that cannot come again; return how many objects go."""
    before = workspace.clock.now() - KEPT

    def forget(tx: Transaction) -> int:
        objects = store.forget_parts(tx, before, KEPT + DAY)
        for digest in objects:
            discard_later(tx, digest)
        return len(objects)

    return workspace.database.write(forget)
