"""Looking at one window of a deployment: how inputs go with its answers, and where the model does worst."""

import csv
import io
from collections.abc import Sequence

import msgspec

from perenne.core.clock import parse_time
from perenne.core.errors import NotFound
from perenne.monitoring import charted, row_store, store
from perenne.monitoring.labels import read_labels
from perenne.monitoring.model import Watch, WindowVerdict
from perenne.monitoring.performance.pairs import worst_pairs
from perenne.monitoring.performance.rows import LabelledRows
from perenne.monitoring.references import load_reference
from perenne.stats.cells import Reference
from perenne.stats.columns import FieldKind
from perenne.stats.contribution import judge_contributions
from perenne.stats.outcomes import losses
from perenne.stats.profile import Profile
from perenne.stats.slices import Slice
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

COLUMNS = ("outcome", "predictor", "level", "association", "weight", "fci")


class ContributionRow(msgspec.Struct, frozen=True, kw_only=True):
    """How closely one input goes with the answer.

    Attributes
    ----------
    outcome : str
        What the answer is of: the positive class, `top score` of several classes, or `prediction`.
    level : str
        interval or nominal.
    association, weight, fci : float
        In the window: the correlation ratio, the weight of the outcome, and the index, their product.
    reference, change : float
        The index in the reference, and by how much it differs.
    correlation, correlation_reference : float
        Pearson's r with its sign; 0 for nominal inputs.
    """

    outcome: str
    predictor: str
    level: str
    association: float
    weight: float
    fci: float
    reference: float
    change: float
    correlation: float
    correlation_reference: float
    state: str


def watched(tx: Transaction, deployment: str) -> list[Watch]:
    """Return the watches of a deployment. Raises NotFound if there is none."""
    found = store.list_watches(tx, deployment)
    if not found:
        said = f"deployment {deployment[:100]!r} is not watched"
        raise NotFound(said, code="monitor.not_found", hint="`perenne monitor list` shows those that are")
    return found


def contribution_rows(workspace: Workspace, deployment: str, window: str | None) -> list[ContributionRow]:
    """Compare in one window how inputs go with the answer, those first that changed most.

    Raises
    ------
    NotFound
        If it is not watched, or there is no such window.
    """
    with workspace.database.read() as tx:
        verdict, watch = _chosen(tx, deployment, window, labelled=False)
        _, profiles = charted.profiles_of(tx, verdict)
    reference = load_reference(workspace.objects, watch.reference)
    whole = Profile.empty(reference)
    for counts in profiles:
        whole.merge(Profile.from_bytes(counts, reference))
    outcome = _outcome(reference)
    kinds = {field.name: field.kind for field in reference.fields}
    return [
        ContributionRow(
            outcome=outcome,
            predictor=one.name,
            level="nominal" if kinds.get(one.name) is FieldKind.CATEGORY else "interval",
            association=one.window,
            weight=1.0,
            fci=one.window,
            reference=one.reference,
            change=one.window - one.reference,
            correlation=one.correlation_window,
            correlation_reference=one.correlation_reference,
            state=one.state,
        )
        for one in judge_contributions(reference, whole)
    ]


def as_csv(rows: Sequence[ContributionRow]) -> str:
    """Write contributions as the macros of SAS do: one line per outcome and predictor."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, name) for name in COLUMNS] for row in rows)
    return sink.getvalue()


def slices_of(workspace: Workspace, deployment: str, window: str | None, *, pairs: bool) -> list[Slice]:
    """Return the worst slices of a window, and of pairs of columns if asked.

    Raises
    ------
    NotFound
        If it is not watched, or no window of it has labels.
    """
    with workspace.database.read() as tx:
        verdict, watch = _chosen(tx, deployment, window, labelled=True)
        kept = row_store.find_labels(tx, verdict.key)
    if not pairs or kept is None:
        return list(verdict.slices)
    reference = load_reference(workspace.objects, watch.reference)
    rows = LabelledRows.of(read_labels(workspace.objects.get(kept.labels)), reference.layout)
    if rows.cells is None:
        return list(verdict.slices)
    inputs = [place for place, feature in enumerate(reference.layout.features) if not feature.name.startswith("@")]
    features = [reference.layout.features[place] for place in inputs]
    found = worst_pairs(features, [rows.cells[place] for place in inputs], losses(reference.layout, rows.y, rows.predictions))
    return sorted([*verdict.slices, *found], key=lambda piece: -piece.excess)


def _chosen(tx: Transaction, deployment: str, window: str | None, *, labelled: bool) -> tuple[WindowVerdict, Watch]:
    watches = watched(tx, deployment)
    verdicts = charted.shown_verdicts(tx, deployment, "")
    if window is not None:
        instant = parse_time(window)
        verdicts = [verdict for verdict in verdicts if verdict.window_start <= instant < verdict.key.end]
    if labelled:
        verdicts = [verdict for verdict in verdicts if verdict.concept is not None]
    watch = charted.watch_of(watches, verdicts[-1]) if verdicts else None
    if watch is None:
        said = "no window of it has labels" if labelled else "no such window has been judged"
        raise NotFound(
            said, code="monitor.window_not_found", hint=f"`perenne monitor performance {deployment}` shows its windows"
        )
    return verdicts[-1], watch


def _outcome(reference: Reference) -> str:
    layout = reference.layout
    if not layout.classes:
        return "prediction"
    return layout.classes[-1] if len(layout.classes) == 2 else "top score"
