"""The past of a project as a replay asks for it: windows, rows and labels as they are kept, read and never written."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
import numpy as np

from perenne import data, monitoring, serving
from perenne.automation.backtest.model import Compared, Measured, Stretch, Trained
from perenne.automation.backtest.models import Model, Models, right
from perenne.automation.backtest.replay import Beside, Heard
from perenne.core.errors import PerenneError
from perenne.inference import Prediction
from perenne.projects import Objective, ProjectRecord, Promotion, RetrainPolicy
from perenne.stats.bootstrap import compare
from perenne.stats.columns import Columns
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_READ = 200_000
ROWS_A_WINDOW = 4_000
LATER_WINDOWS = 10
NO_END = 1 << 62
LEAST_ROWS = 30
DRAWS = 400
SHARE_LABELLED = 0.9


class Trainer(Protocol):
    """Says what training at an instant comes to."""

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Train on what was known at an instant, and hold the result against a champion."""
        ...


class Labelled(NamedTuple):
    """Labelled rows of a window: the inputs, and the table in which labels are kept, row by row."""

    columns: "pa.Table"
    table: "pa.Table"


class Past(msgspec.Struct, frozen=True):
    """What was read of a project's past."""

    project: ProjectRecord
    windows: tuple[monitoring.replaying.PastWindow, ...]
    watches: dict[str, monitoring.replaying.Watch]
    metric: str
    objective: Objective | None


class History:
    """A `World` of what is kept.

    Parameters
    ----------
    past : Past
        What the database says.
    models : Models
        Who can answer again.
    trainer : Trainer
        What training comes to.
    """

    def __init__(self, workspace: Workspace, past: Past, models: Models, trainer: Trainer) -> None:
        self._workspace, self._past, self._models, self._trainer = workspace, past, models, trainer
        by_start: dict[int, list[monitoring.replaying.PastWindow]] = {}
        for item in past.windows:
            by_start.setdefault(item.window.window_start, []).append(item)
        self._windows = [by_start[start] for start in sorted(by_start)]
        self._stretches = tuple(Stretch(items[0].window.window_start, _length(items)) for items in self._windows)
        self._logs: dict[str, pa.Table] = {}
        self._heard: dict[tuple[str, int, bool], Heard] = {}
        self._tables: dict[int, pa.Table | None] = {}
        self._rows: dict[int, Labelled | None] = {}
        self._answers: dict[tuple[str, int], Prediction] = {}
        self.lacking: set[int] = set()

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The windows, oldest first."""
        return self._stretches

    @property
    def objectives(self) -> Sequence[Objective]:
        """What the models are held to."""
        return self._past.project.objectives

    @property
    def clear(self) -> int:
        """How many windows without alarm resolve an alert."""
        return next((watch.clear for watch in self._past.watches.values()), 1)

    def labelled_at(self, window: int) -> int | None:
        """Tell when most labels of a window were known; None if none are."""
        table = self._labels(window)
        if table is None:
            return None
        times = np.sort(table["time"].to_numpy())
        newest = int(times[min(len(times) - 1, int(SHARE_LABELLED * len(times)))])
        return max(self._stretches[window].end, newest)

    def labels(self, window: int) -> int:
        """Count the labelled rows of a window."""
        table = self._labels(window)
        return 0 if table is None else table.num_rows

    def who(self, window: int) -> str:
        """Tell which version answered most of a window."""
        return max(self._windows[window], key=lambda item: item.window.rows).window.version

    def hear(self, model: str, window: int, *, labels: bool) -> Heard:
        """Judge a window as if a model had answered it; one that did is judged by what was counted."""
        key = (model, window, labels)
        if key not in self._heard:
            self._heard[key] = self._hear(model, window, labels=labels)
        return self._heard[key]

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Train on what was known at an instant."""
        return self._trainer.train(now, champion, policy, terms, since)

    def beside(self, challenger: str, champion: str, window: int) -> Beside:
        """Let a challenger answer a window's labelled rows unseen."""
        rows = sum(item.window.rows for item in self._windows[window])
        found = self._labelled(window)
        if found is None:
            return Beside(rows, 0, 0, 0)
        task, y = self._truth(challenger, found)
        one, two = (right(task, y, self._answer(name, window, found)) for name in (challenger, champion))
        return Beside(rows, len(one), int((one > two).sum()), int((one < two).sum()))

    def later(self, challenger: str, champion: str, since: int) -> Compared | None:
        """Compare two models on the labels of the next windows that began after an instant and that neither was made from."""
        if challenger not in self._models or champion not in self._models or challenger == champion:
            return None
        after = max(since, *(self._models.find(name).until for name in (challenger, champion)))
        return self.compare(challenger, champion, after, NO_END, LATER_WINDOWS)

    def compare(self, challenger: str, champion: str, start: int, end: int, limit: int = LATER_WINDOWS) -> Compared | None:
        """Compare two models on the labelled rows of the first windows in a stretch of time; None if those are too few."""
        if challenger not in self._models or champion not in self._models:
            return None
        places = [place for place, item in enumerate(self._stretches) if start <= item.start and item.end <= end]
        known = list(islice(((place, rows) for place in places if (rows := self._labelled(place)) is not None), limit))
        if sum(found.table.num_rows for _, found in known) < LEAST_ROWS:
            return None
        task, _ = self._truth(challenger, known[0][1])
        y = np.concatenate([self._truth(challenger, found)[1] for _, found in known])
        one, two = (_joined([self._answer(name, place, found) for place, found in known]) for name in (champion, challenger))
        signature = self._models.predictor(challenger).signature
        usable = y >= 0 if signature.classes else np.isfinite(y)
        if not usable.all():
            y, one, two = y[usable], _some(one, usable), _some(two, usable)
        told = compare(self._past.metric, task, y, one, two, classes=signature.classes, draws=DRAWS)
        return Compared(told.difference, told.low, told.high, len(y)) if np.isfinite(told.low) else None

    def _hear(self, model: str, window: int, *, labels: bool) -> Heard:
        items = self._windows[window]
        main = max(items, key=lambda item: item.window.rows)
        end = self._stretches[window].end
        table = self._labels(window) if labels else None
        if main.window.version == model and len(items) == 1:
            counted = main.window
        else:
            try:
                counted, table = self._as_if(model, window, main, with_labels=labels)
            except PerenneError:
                self.lacking.add(window)
                counted = main.window
        watch = self._watch(model, counted)
        reference = monitoring.replaying.load_reference(self._objects_of(counted), counted.reference)
        metrics = [] if table is None else monitoring.replaying.measured(watch, reference, counted, table)
        verdict = monitoring.replaying.with_labels(
            watch, monitoring.replaying.judge_again(watch, reference, counted, end), metrics
        )
        return Heard(verdict, tuple(monitoring.replaying.findings(watch, verdict)), self._measured(metrics))

    def _objects_of(self, window: monitoring.replaying.Window) -> Any:
        return self._models.find(window.version).objects if window.version in self._models else self._workspace.objects

    def _as_if(
        self, model: str, window: int, main: monitoring.replaying.PastWindow, *, with_labels: bool
    ) -> "tuple[monitoring.replaying.Window, pa.Table | None]":
        """Count a window anew with the answers of another model, from the rows in the log."""
        rows = self._logged(window)
        if rows.num_rows == 0:
            self.lacking.add(window)
            return main.window, self._labels(window) if with_labels else None
        predictor, reference = self._models.predictor(model), self._models.reference(model)
        columns = _inputs(rows, predictor.signature.fields)
        found = predictor.predict(columns)
        counted = monitoring.replaying.as_answered(main.window, model, reference, columns, found.predictions, found.scores)
        labelled = self._labelled(window) if with_labels else None
        if labelled is None:
            return counted, None
        said = self._answer(model, window, labelled)
        return counted, monitoring.replaying.relabelled(labelled.table, reference.layout, said.predictions, said.scores)

    def _watch(self, model: str, window: monitoring.replaying.Window) -> monitoring.replaying.Watch:
        watches = self._past.watches
        own = watches.get(model) or watches.get(window.version) or next(iter(watches.values()))
        return msgspec.structs.replace(own, version=window.version, window_length=window.window_length)

    def _measured(self, metrics: Sequence[Any]) -> Measured | None:
        own = next(
            (item for item in metrics if item.metric == self._past.metric and not item.by and item.value is not None), None
        )
        if own is None:
            return None
        objective = self._past.objective
        met = None if objective is None else objective.met(own.value)
        return Measured(own.value, own.low, own.high, own.n_labelled, None if met is None else not met)

    def _labels(self, window: int) -> "pa.Table | None":
        """Read the labelled rows of a window, of every version that answered in it."""
        if window not in self._tables:
            import pyarrow as pa

            found = [
                monitoring.replaying.read_labels(self._workspace.objects.get(item.labels.labels))
                for item in self._windows[window]
                if item.labels is not None
            ]
            table = pa.concat_tables(found, promote_options="permissive") if found else None
            self._tables[window] = table if table is not None and table.num_rows else None
        return self._tables[window]

    def _log(self, version: str) -> "pa.Table":
        if version not in self._logs:
            logs = self._workspace.settings.logs
            self._logs[version] = serving.read_predictions(logs, version=version, variant="champion", newest=ROWS_READ)
        return self._logs[version]

    def _logged(self, window: int) -> "pa.Table":
        """Return the logged rows of a window, every so many of them if they are many."""
        import pyarrow as pa

        stretch = self._stretches[window]
        parts = []
        for version in dict.fromkeys(item.window.version for item in self._windows[window]):
            log = self._log(version)
            if "event_time" in log.column_names and log.num_rows:
                times = log["event_time"].cast(pa.int64()).to_numpy()
                parts.append(log.filter(pa.array((times >= stretch.start) & (times < stretch.end))))
        if not parts:
            return pa.table({"prediction_id": pa.array([], pa.string())})
        rows = pa.concat_tables(parts, promote_options="permissive")
        step = max(1, rows.num_rows // ROWS_A_WINDOW)
        return rows.take(list(range(0, rows.num_rows, step))) if step > 1 else rows

    def _labelled(self, window: int) -> Labelled | None:
        """Return the labelled rows of a window whose inputs are in the log."""
        if window not in self._rows:
            self._rows[window] = self._joined_rows(window)
        return self._rows[window]

    def _joined_rows(self, window: int) -> Labelled | None:
        import pyarrow.compute as pc

        table, rows = self._labels(window), self._logged(window)
        if table is None or not rows.num_rows:
            return None
        place = pc.index_in(table["prediction_id"], value_set=rows["prediction_id"].combine_chunks())
        table = table.filter(place.is_valid())
        if not table.num_rows:
            return None
        return Labelled(rows.take(place.drop_null()), table)

    def _truth(self, model: str, found: Labelled) -> tuple[Any, Any]:
        layout = self._models.reference(model).layout
        return layout.task, monitoring.replaying.label_values(found.table, layout)

    def _answer(self, model: str, window: int, found: Labelled) -> Prediction:
        key = (model, window)
        if key not in self._answers:
            fields = self._models.predictor(model).signature.fields
            self._answers[key] = self._models.answer(model, _inputs(found.columns, fields))
        return self._answers[key]


def _length(items: Sequence[monitoring.replaying.PastWindow]) -> int:
    return max(item.window.window_length for item in items)


def _inputs(rows: "pa.Table", fields: Sequence[Any]) -> Columns:
    """Return logged rows as a model takes them; an input that was not logged is missing."""
    import pyarrow as pa

    named = {
        field.name: rows[f"f_{field.name}"] if f"f_{field.name}" in rows.column_names else pa.nulls(rows.num_rows)
        for field in fields
    }
    return data.fields.to_columns(pa.table(named), list(fields))


def _joined(parts: Sequence[Prediction]) -> Prediction:
    scores = [part.scores for part in parts]
    whole = np.concatenate([item for item in scores if item is not None]) if all(item is not None for item in scores) else None
    return Prediction(np.concatenate([part.predictions for part in parts]), whole)


def _some(answers: Prediction, chosen: Any) -> Prediction:
    return Prediction(answers.predictions[chosen], None if answers.scores is None else answers.scores[chosen])


def main_metric(project: ProjectRecord, policy: RetrainPolicy) -> tuple[str, Objective | None]:
    """Return what a policy compares, and the objective that bounds it."""
    own = [objective for objective in project.objectives if not objective.operational and objective.by is None]
    metric = policy.promote.metric or (own[0].metric if own else "")
    return metric, next((objective for objective in own if objective.metric == metric), None)


def read_past(workspace: Workspace, project: ProjectRecord, policy: RetrainPolicy, start: int, end: int) -> Past:
    """Read what the database keeps of a project's past between two instants."""
    with workspace.database.read() as tx:
        windows = monitoring.replaying.past_windows(tx, project.name, start, end)
        watches = monitoring.replaying.watches(tx, project.name)
    metric, objective = main_metric(project, policy)
    return Past(project, tuple(windows), watches, metric, objective)


__all__ = ["History", "Model", "Past", "Trainer", "main_metric", "read_past"]
