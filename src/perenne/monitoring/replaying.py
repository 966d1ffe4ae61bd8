"""Windows of the past judged once more, also as if another version had answered them; nothing is kept and nobody is told.

It is the judging of every day: the same verdict, the same bounds, the same findings, the same steps of an alert.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from perenne.monitoring import own_rules, store
from perenne.monitoring.bounds import bound_states
from perenne.monitoring.findings import Finding, findings_of
from perenne.monitoring.judge import judge_span
from perenne.monitoring.labels import read_labels
from perenne.monitoring.measuring import measure
from perenne.monitoring.model import (
    CHAMPION,
    AlertState,
    Outcome,
    Standing,
    Watch,
    Window,
    WindowMetric,
    WindowState,
    WindowVerdict,
)
from perenne.monitoring.performance.truths import label_places
from perenne.monitoring.references import load_reference
from perenne.monitoring.row_store import WindowLabels
from perenne.monitoring.streaks import next_state, streaks
from perenne.stats.cells import Reference
from perenne.stats.columns import Columns
from perenne.stats.layout import Layout
from perenne.stats.profile import Profile
from perenne.storage.database import Transaction

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "AlertBook",
    "Finding",
    "Outcome",
    "PastWindow",
    "Standing",
    "Watch",
    "Window",
    "WindowMetric",
    "WindowState",
    "as_answered",
    "findings",
    "judge_again",
    "label_values",
    "load_reference",
    "measured",
    "past_windows",
    "read_labels",
    "relabelled",
    "watches",
    "with_labels",
]


class PastWindow(msgspec.Struct, frozen=True):
    """A window of who answered, as it was counted, and where its labelled rows are; `labels` is None if none came."""

    window: Window
    labels: WindowLabels | None


def past_windows(tx: Transaction, deployment: str, start: int, end: int) -> list[PastWindow]:
    """Read the champions' windows that begin in a stretch of time, oldest first."""
    columns = [store.window.c[name] for name in Window.__struct_fields__]
    table = store.window.c
    where = (table.deployment == deployment, table.variant == CHAMPION, table.window_start >= start, table.window_start < end)
    found = [
        store.read_named(Window, row)
        for row in tx.execute(sa.select(*columns).where(*where).order_by(table.window_start, table.version))
    ]
    labelled = _labels(tx, deployment, start, end)
    return [PastWindow(window, labelled.get((window.version, window.window_start))) for window in found]


def _labels(tx: Transaction, deployment: str, start: int, end: int) -> dict[tuple[str, int], WindowLabels]:
    table = store.window_labels.c
    where = (table.deployment == deployment, table.variant == CHAMPION, table.window_start >= start, table.window_start < end)
    columns = [table[name] for name in WindowLabels.__struct_fields__]
    rows = (store.read_named(WindowLabels, row) for row in tx.execute(sa.select(*columns).where(*where)))
    return {(row.version, row.window_start): row for row in rows}


def watches(tx: Transaction, deployment: str) -> dict[str, Watch]:
    """Read how each version of a deployment is, or was, watched."""
    return {watch.version: watch for watch in store.list_watches(tx, deployment)}


def judge_again(watch: Watch, reference: Reference, window: Window, now: int) -> WindowVerdict:
    """Judge a window by its profile; `with_labels` adds the bounds."""
    return judge_span(watch, reference, [window], now)


def with_labels(watch: Watch, verdict: WindowVerdict, metrics: Sequence[WindowMetric]) -> WindowVerdict:
    """Hold a window against every bound, by its profile and by what its labels say, if that is given."""
    bounds = () if verdict.state is WindowState.GAP else bound_states(watch, verdict, metrics, {})
    return msgspec.structs.replace(verdict, bounds=bounds)


def measured(watch: Watch, reference: Reference, window: Window, labelled: "pa.Table") -> list[WindowMetric]:
    """Return what the labelled rows of a window say."""
    found = measure(watch, window.key, reference.layout, labelled)
    return [msgspec.structs.replace(item, rows=window.rows) for item in found]


def as_answered(
    window: Window, version: str, reference: Reference, columns: Columns, predictions: NDArray[Any], scores: NDArray[Any] | None
) -> Window:
    """Return a window as it would have been counted, had another version answered these rows of it."""
    profile = Profile.empty(reference)
    profile.add(columns, predictions, scores)
    return msgspec.structs.replace(
        window, version=version, reference=reference.digest, rows=profile.rows, dropped=0, profile=profile.to_bytes()
    )


def relabelled(table: "pa.Table", layout: Layout, predictions: NDArray[Any], scores: NDArray[Any] | None) -> "pa.Table":
    """Return labelled rows with the answers of another version, in the form in which labels are kept."""
    import pyarrow as pa

    named = predictions.tolist() if not layout.classes else [layout.classes[place] for place in predictions]
    answers = pa.array([str(value) for value in named], pa.string())
    rows = pa.array([None] * len(table) if scores is None else list(np.asarray(scores, np.float64)), pa.list_(pa.float64()))
    replaced = table.set_column(table.column_names.index("prediction"), "prediction", answers)
    return replaced.set_column(replaced.column_names.index("scores"), "scores", rows)


def label_values(table: "pa.Table", layout: Layout) -> NDArray[Any]:
    """Return the labels of labelled rows as places in the classes, -1 for none of them, or as numbers."""
    return label_places(table["label"].to_pylist(), layout)


class AlertBook:
    """The alerts of one version, as its windows would have moved them.

    Parameters
    ----------
    clear : int
        Windows without alarm before an alert is resolved.
    """

    def __init__(self, clear: int) -> None:
        self._clear = clear
        self._outcomes: dict[str, dict[int, Outcome]] = {}
        self._states: dict[str, AlertState] = {}
        self._firing: dict[str, Finding] = {}

    @property
    def firing(self) -> Mapping[str, Finding]:
        """What fires now, by rule, as the newest alarm said it."""
        return self._firing

    def hear(self, start: int, findings: Iterable[Finding]) -> list[Finding]:
        """Let the findings of a window move the alerts; return those whose alert begins to fire."""
        return [finding for finding in findings if self._step(start, finding)]

    def _step(self, start: int, finding: Finding) -> bool:
        seen = self._outcomes.setdefault(finding.rule, {})
        seen[start] = finding.outcome
        before = self._states.get(finding.rule, AlertState.OK)
        alarms, clears = streaks(_newest(seen, max(finding.confirm, self._clear)))
        target = next_state(before, alarms, clears, confirm=finding.confirm, clear=self._clear)
        if finding.outcome is not Outcome.ALARM and target in (AlertState.PENDING, AlertState.FIRING):
            target = before
        self._states[finding.rule] = target if target is not AlertState.RESOLVED else AlertState.OK
        if target is AlertState.FIRING:
            if finding.outcome is Outcome.ALARM:
                self._firing[finding.rule] = finding
        else:
            self._firing.pop(finding.rule, None)
        return target is AlertState.FIRING and before is not AlertState.FIRING


def _newest(outcomes: Mapping[int, Outcome], needed: int) -> Sequence[Outcome]:
    return [outcomes[start] for start in sorted(outcomes, reverse=True)[:needed]]


def findings(watch: Watch, verdict: WindowVerdict) -> list[Finding]:
    """Return what a verdict says about every rule."""
    return own_rules.applied(watch, verdict, findings_of(watch, verdict))
