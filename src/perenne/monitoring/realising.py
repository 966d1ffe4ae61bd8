"""What rows and labels tell beyond the profiles: groups from the row log, performance from the labels that have come."""

from perenne.monitoring import row_store, store
from perenne.monitoring.groups import count_logged_groups
from perenne.monitoring.joining import join_labels
from perenne.monitoring.judge import settle
from perenne.monitoring.labels import read_labels
from perenne.monitoring.measuring import measure
from perenne.monitoring.performance.measured import labelled
from perenne.monitoring.performance.rows import LabelledRows
from perenne.monitoring.references import load_reference
from perenne.monitoring.row_store import WindowLabels
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def realise(workspace: Workspace, now: int) -> int:
    """Take in new parts of the row log and new labels; return how many parts, labels and windows that concerned.

    Every window that has ended and that labels touch is computed anew, whole, and if it was judged already, held against its
    objectives again.
    """
    parts = count_logged_groups(workspace, now)
    joined = join_labels(workspace, now)
    with workspace.database.read() as tx:
        touched = row_store.unmeasured_labels(tx, now)
    return parts + joined + sum(_measure(workspace, window, now) for window in touched)


def _measure(workspace: Workspace, labels: WindowLabels, now: int) -> bool:
    """Compute a window's metrics, unless more labels came meanwhile: then its turn comes again."""
    key = labels.key
    with workspace.database.read() as tx:
        watch = store.find_watch(tx, key.stream.deployment, key.stream.version)
        window = store.find_window(tx, key)
    if watch is None:
        return False
    reference, table = load_reference(workspace.objects, watch.reference), read_labels(workspace.objects.get(labels.labels))
    metrics, rows = measure(watch, key, reference.layout, table), LabelledRows.of(table, reference.layout)
    profile = None if window is None else Profile.from_bytes(window.profile, reference)
    found = labelled(reference, rows.y, rows.predictions, rows.scores, rows.cells, profile)

    def keep(tx: Transaction) -> bool:
        if row_store.find_labels(tx, key) != labels:
            return False
        row_store.replace_metrics(tx, key, metrics)
        row_store.mark_measured(tx, labels, found)
        verdict = store.find_verdict(tx, key)
        if verdict is not None:
            settle(tx, watch, verdict, now)
        return True

    return workspace.database.write(keep)
