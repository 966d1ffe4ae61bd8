"""Comparing short windows, to be drawn: no alert comes of them, for by the hour chance would raise one every month."""

from perenne.monitoring.baselines.store import due_parts, mark_part, save_drawn
from perenne.monitoring.judge import judge_span
from perenne.monitoring.model import Window, WindowKey
from perenne.monitoring.references import load_reference
from perenne.monitoring.store import find_watch
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

AT_ONCE = 200


def draw_due(workspace: Workspace, now: int) -> int:
    """Compare the short windows that have ended and changed, a few hundred at most; return how many were."""
    with workspace.database.read() as tx:
        due = due_parts(tx, now, AT_ONCE)
    return sum(_draw(workspace, window, now) for window in due)


def _draw(workspace: Workspace, window: Window, now: int) -> int:
    key: WindowKey = window.key
    with workspace.database.read() as tx:
        watch = find_watch(tx, key.stream.deployment, key.stream.version)
    verdict = None if watch is None else judge_span(watch, load_reference(workspace.objects, watch.reference), [window], now)

    def keep(tx: Transaction) -> int:
        if verdict is not None:
            save_drawn(tx, verdict)
        mark_part(tx, key, window.revision)
        return 1

    return workspace.database.write(keep, durable=False)
