"""Bringing a store of MLflow into perenne: everything keeps its id and its times, and is held against its source at the end.

It may be killed at any point and started again: what was brought whole is left alone, what was begun is begun anew, and nothing
stands there twice. Nothing is changed at the source.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, NotFound, PerenneError
from perenne.core.hashing import digest_file, key_of
from perenne.protocols.mlflow.migration.entities import Experiment, LoggedModel, Points, Run
from perenne.protocols.mlflow.migration.registry import Registry
from perenne.protocols.mlflow.migration.report import Report
from perenne.protocols.mlflow.migration.source import Source
from perenne.protocols.mlflow.migration.tracing import Traces
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import MadeModel, RunState, UsedDataset

_ORIGINAL = "perenne.import.experimentId"
PlaceOf = Callable[[Transaction, Principal, str, str], tracking.artifacts.Place]
_CHUNK = 1 << 20
_OPEN = frozenset({"RUNNING", "SCHEDULED"})
_LARGEST_ID = (1 << 31) - 1


class Importer:
    """One move of a store into a workspace.

    Parameters
    ----------
    workspace : Workspace
        Where it goes.
    actor : Principal
        Who does it.
    source : Source
        What is read.
    experiments : sequence of str
        Only these, by name or id; all if empty. Registered models come only with all.
    artifacts : bool
        Whether files are copied; if not, runs go on pointing to where they lie.
    hear : callable
        Hears what is being done, and how many runs are done.
    """

    def __init__(
        self,
        workspace: Workspace,
        actor: Principal,
        source: Source,
        *,
        experiments: Sequence[str] = (),
        artifacts: bool = True,
        hear: Callable[[str, int], None] = lambda what, done: None,
    ) -> None:
        self._workspace, self._actor, self._source = workspace, actor, source
        self._chosen, self._artifacts, self._hear = frozenset(experiments), artifacts, hear
        self._report = Report()
        self._traces = Traces(workspace.database, actor, self._report)
        self._places: dict[str, tracking.Experiment] = {}

    def count(self) -> Report:
        """Tell what there is to bring, and bring nothing."""
        for said in self._experiments():
            self._report.experiments.found += 1
            for run in self._source.runs(said.id):
                self._report.runs.found += 1
                self._report.points.found += sum(len(piece.steps) for piece in self._source.points(run.id))
                if self._artifacts:
                    files = self._source.artifacts(run.artifacts).files
                    self._report.files.found += len(files)
                    self._report.bytes += sum(file.size for file in files)
            self._report.logged_models.found += sum(1 for _ in self._source.logged_models(said.id))
            self._report.traces.found += sum(1 for _ in self._source.traces(said.id))
        if not self._chosen:
            for model in self._source.registered_models():
                self._report.registered_models.found += 1
                self._report.versions.found += len(model.versions)
        return self._report

    def run(self) -> Report:
        """Bring everything, and tell what came and what did not."""
        for said in self._experiments():
            self._experiment(said)
            for run in self._source.runs(said.id):
                self._run(run)
                self._hear(said.name, self._report.runs.found)
            for model in self._source.logged_models(said.id):
                self._model(model)
            self._traces.bring(self._source.traces(said.id), self._places[said.id].id)
        if not self._chosen:
            Registry(self._workspace, self._actor, self._places, self._report).bring(self._source.registered_models())
        return self._report

    def _experiments(self) -> Iterator[Experiment]:
        found = self._source.experiments()
        unknown = self._chosen - {one.name for one in found} - {one.id for one in found}
        if unknown:
            raise NotFound(
                f"there is no experiment {sorted(unknown)[0][:100]!r} there",
                code="import.experiment",
                hint="by its name or its id",
            )
        return (one for one in found if not self._chosen or self._chosen & {one.name, one.id})

    def _experiment(self, said: Experiment) -> None:
        self._report.experiments.found += 1
        created = (said.created or 0) * 1_000
        updated = (said.updated or said.created or 0) * 1_000
        number = int(said.id) if said.id.isdecimal() else -1
        tags = dict(said.tags) if 0 <= number <= _LARGEST_ID else {**said.tags, _ORIGINAL: said.id}
        place = tracking.Experiment(
            id=number,
            name=said.name,
            project=said.name,
            artifact_location=self._kept_location(said.artifacts),
            created=created,
            updated=updated,
            deleted=_deleted(said.deleted, said.updated),
            tags=tags,
        )
        self._places[said.id] = self._write(lambda tx: tracking.bringing.bring_experiment(tx, self._actor, place))
        self._report.experiments.brought += 1

    def _kept_location(self, location: str) -> str:
        """Return a location that stays what it is: one elsewhere. Files of this machine are copied, and get a place here."""
        return location if location.startswith(("s3://", "gs://", "azure", "abfs", "wasb", "dbfs:", "hdfs:")) else ""

    def _run(self, run: Run) -> None:
        self._report.runs.found += 1
        seal = "" if run.status in _OPEN else key_of(msgspec.to_builtins(run))
        with self._workspace.database.read() as tx:
            before = tracking.bringing.seal_of(tx, run.id)
        if seal and before == seal:
            self._report.runs.there += 1
            return
        try:
            number = self._write(lambda tx: tracking.bringing.bring_run(tx, self._actor, self._brought(run)))
            self._points(run, number)
            self._files(run.id, run.artifacts, tracking.artifacts.place_of_run)
            self._write(lambda tx: tracking.bringing.put_seal(tx, number, seal))
            self._report.runs.brought += 1
        except Conflict as error:
            self._problem("run", run.id, error)

    def _brought(self, run: Run) -> tracking.bringing.BroughtRun:
        ended = None if run.ended is None else run.ended * 1_000
        started = (run.started or 0) * 1_000
        return tracking.bringing.BroughtRun(
            id=run.id,
            experiment=self._places[run.experiment].id,
            name=run.name,
            user=run.user,
            state=RunState(run.status.lower()),
            started=started,
            ended=ended,
            deleted=_deleted(run.deleted, run.deleted_at),
            artifact_uri="" if self._copies(run.artifacts) else run.artifacts,
            params=run.params,
            tags=run.tags,
            datasets=tuple(_dataset(item) for item in run.inputs),
            used_models=run.reads,
            made_models=tuple(MadeModel(model, step) for model, step in run.makes),
        )

    def _copies(self, location: str) -> bool:
        """Tell whether the files of a location get a place here: not those of a store that clients reach by themselves."""
        return not self._kept_location(location) and (self._artifacts or location.startswith("mlflow-artifacts:"))

    def _points(self, run: Run, number: int) -> None:
        key, parts = "", list[Points]()
        for piece in self._source.points(run.id):
            if piece.key != key:
                self._metric(run, number, key, parts)
                key, parts = piece.key, []
            parts.append(piece)
        self._metric(run, number, key, parts)

    def _metric(self, run: Run, number: int, key: str, parts: list[Points]) -> None:
        """Bring the history of one metric, read it again, and hold the one against the other."""
        if not parts:
            return
        columns = tracking.bringing.columns(
            [step for part in parts for step in part.steps],
            [time for part in parts for time in part.times],
            [value for part in parts for value in part.values],
        )
        self._report.points.found += len(columns)
        self._write(lambda tx: tracking.bringing.put_points(tx, number, key, columns))
        with self._workspace.database.read() as tx:
            kept = tracking.history.read(tx, [number], key)[number]
        if _same(columns, kept):
            self._report.points.brought += len(kept)
        else:
            self._problem("metric", f"{run.id} {key}", Conflict("what was read again differs", code="import.points"))

    def _files(self, identity: str, location: str, place_of: PlaceOf) -> None:
        """Copy files of a run or a model, those that are there already left out, and hold their digests against the source's."""
        if not (self._artifacts and self._copies(location)):
            return
        there = self._source.artifacts(location)
        with self._workspace.database.read() as tx:
            root = place_of(tx, self._actor, identity, "")
            known = {item.path: item.size for item in tracking.artifacts.below(tx, self._actor, root)}
        with tempfile.TemporaryDirectory() as folder:
            for number, file in enumerate(there.files):
                self._report.files.found += 1
                if known.get(file.path) == file.size:
                    self._report.files.there += 1
                    continue
                target = Path(folder, str(number))
                try:
                    there.fetch(file.path, target)
                    self._keep(identity, file.path, target, place_of)
                except PerenneError as error:
                    self._problem("artifact", f"{identity} {file.path}", error)
                finally:
                    target.unlink(missing_ok=True)

    def _keep(self, identity: str, path: str, file: Path, place_of: PlaceOf) -> None:
        with self._workspace.database.read() as tx:
            place = place_of(tx, self._actor, identity, path)
        with file.open("rb") as stream:
            kept = tracking.artifacts.save(self._workspace, self._actor, place, iter(lambda: stream.read(_CHUNK), b""))
        if kept.digest != digest_file(file):
            raise Conflict("what is kept differs from what was read", code="import.artifact")
        self._report.files.brought += 1
        self._report.bytes += kept.size

    def _model(self, model: LoggedModel) -> None:
        self._report.logged_models.found += 1
        said = tracking.bringing.BroughtModel(
            id=model.id,
            experiment=self._places[model.experiment].id,
            run=model.run,
            name=model.name,
            type=model.kind,
            status=model.status,
            status_message=model.message,
            created=model.created * 1_000,
            updated=model.updated * 1_000,
            deleted=_deleted(model.deleted, model.updated),
            artifact_uri=self._kept_location(model.artifacts),
            params=model.params,
            tags=model.tags,
            metrics=tuple(
                tracking.bringing.BroughtMetric(one.key, one.value, one.time, one.step, one.run, one.data_name, one.data_digest)
                for one in model.metrics
            ),
        )
        if self._write(lambda tx: tracking.bringing.bring_model(tx, self._actor, said)):
            self._report.logged_models.brought += 1
        else:
            self._report.logged_models.there += 1
        if not model.deleted:
            self._files(model.id, model.artifacts, tracking.artifacts.place_of_model)

    def _write(self, work: Callable[[Transaction], Any]) -> Any:
        return self._workspace.database.write(work)

    def _problem(self, kind: str, identity: str, error: PerenneError) -> None:
        self._report.add_problem(kind, identity, error.message)


def _deleted(deleted: bool, milliseconds: int | None) -> int | None:
    """Return when something was deleted, None if it was not; where nobody knows, it counts from now."""
    if not deleted:
        return None
    return SystemClock().now() if milliseconds is None else milliseconds * 1_000


def _dataset(item: Any) -> UsedDataset:
    return UsedDataset(
        name=item.name,
        digest=item.digest,
        source_type=item.source_type,
        source=item.source,
        schema=item.schema or None,
        profile=item.profile or None,
        tags=item.tags,
    )


def _same(one: Any, other: Any) -> bool:
    """Tell whether two histories are equal, value by value, NaN as NaN."""
    import numpy as np

    return len(one) == len(other) and all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in ((one.step, other.step), (one.time, other.time), (one.value, other.value))
    )
