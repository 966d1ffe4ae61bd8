"""What is here, as a store that is read: for export. Times become milliseconds, as MLflow has them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from perenne import registry, tracking
from perenne.auth.principals import Principal
from perenne.protocols.mlflow.migration.entities import (
    Data,
    Experiment,
    File,
    LoggedModel,
    ModelMetric,
    Points,
    RegisteredModel,
    Run,
    Trace,
    Version,
)
from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts
from perenne.protocols.mlflow.migration.source import Artifacts
from perenne.storage.workspace import Workspace
from perenne.tracking import LoggedRun

PAGE = 500
MOST_VERSIONS = 1_000_000


class OwnSource:
    """A workspace, as far as somebody may see it.

    Parameters
    ----------
    workspace : Workspace
        What is read.
    actor : Principal
        Who reads.
    """

    def __init__(self, workspace: Workspace, actor: Principal) -> None:
        self._workspace, self._actor = workspace, actor
        self._numbers: dict[str, tuple[int, tuple[str, ...]]] = {}

    def experiments(self) -> list[Experiment]:
        """Read all experiments."""
        with self._workspace.database.read() as tx:
            found = tracking.search.search_experiments(tx, self._actor, view=tracking.search.View.ALL, limit=50_000)
            said = tracking.experiments.some(tx, found.keys)
        return [
            Experiment(
                id=str(one.id),
                name=one.name,
                artifacts=one.artifact_location,
                created=one.created // 1_000,
                updated=one.updated // 1_000,
                deleted=one.deleted is not None,
                tags=one.tags,
            )
            for one in sorted(said, key=lambda one: one.id)
        ]

    def runs(self, experiment: str) -> Iterator[Run]:
        """Go through the runs of an experiment."""
        token, order = "", ["attributes.start_time ASC"]
        while True:
            with self._workspace.database.read() as tx:
                found = tracking.search.search_runs(
                    tx,
                    self._actor,
                    experiments=[int(experiment)],
                    order=order,
                    view=tracking.search.View.ALL,
                    limit=PAGE,
                    token=token,
                )
                logged = tracking.service.runs_of(tx, found.keys)
            for one in logged:
                self._numbers[one.id] = (one.number, tuple(metric.key for metric in one.metrics))
                yield _run(one)
            token = found.token
            if not token:
                return

    def points(self, run: str) -> Iterator[Points]:
        """Go through the history of every metric of a run."""
        number, keys = self._numbers[run]
        for key in keys:
            with self._workspace.database.read() as tx:
                found = tracking.history.read(tx, [number], key)[number]
            if len(found):
                yield Points(key, found.step.tolist(), found.time.tolist(), found.value.tolist())

    def logged_models(self, experiment: str) -> Iterator[LoggedModel]:
        """Go through the logged models of an experiment that were not deleted."""
        token = ""
        while True:
            with self._workspace.database.read() as tx:
                found = tracking.search.search_models(tx, self._actor, experiments=[int(experiment)], limit=PAGE, token=token)
                said = tracking.models.some(tx, found.keys)
            yield from (_logged_model(one) for one in said)
            token = found.token
            if not token:
                return

    def registered_models(self) -> Iterator[RegisteredModel]:
        """Go through the registered models, prompts too."""
        with self._workspace.database.read() as tx:
            known = registry.models.some(tx, registry.models.names(tx, self._actor))
        for name in sorted(known):
            with self._workspace.database.read() as tx:
                (entry,) = registry.models.entries(tx, [known[name]])
                versions = registry.registrations.entries(tx, registry.versions(tx, name, limit=MOST_VERSIONS))
            yield RegisteredModel(
                name=name,
                created=known[name].created // 1_000,
                updated=known[name].updated // 1_000,
                description=known[name].description or "",
                tags=entry.tags,
                aliases={alias: int(identity.rpartition("@")[2]) for alias, identity in entry.aliases.items()},
                versions=tuple(sorted((_version(one) for one in versions), key=lambda one: one.number)),
                highest=max((one.version.number for one in versions), default=0),
            )

    def traces(self, experiment: str) -> Iterator[Trace]:
        """Give none: MLflow takes traces by OTLP, from whoever has the spans."""
        yield from ()

    def artifacts(self, location: str) -> Artifacts:
        """Look at an artifact location of this installation."""
        root = tracking.artifacts.root_of(location)
        return ElsewhereArtifacts() if root is None else _OwnArtifacts(self._workspace, self._actor, root)

    def close(self) -> None:
        """Nothing is open that was not before."""


class _OwnArtifacts:
    def __init__(self, workspace: Workspace, actor: Principal, root: str) -> None:
        self._workspace = workspace
        with workspace.database.read() as tx:
            place = tracking.artifacts.place_of(tx, actor, root)
            found = tracking.artifacts.below(tx, actor, place) if place is not None else []
        self._found = {item.path: item for item in found}

    @property
    def files(self) -> Sequence[File]:
        """What lies there."""
        return [File(item.path, item.size) for item in self._found.values()]

    def fetch(self, path: str, target: Path) -> None:
        """Write one file."""
        item = self._found[path]
        with target.open("wb") as stream:
            for part in self._workspace.blobs.read(item.blob, 0, item.size):
                stream.write(part)


def _run(one: LoggedRun) -> Run:
    data = [
        Data(item.name, item.digest, item.source_type, item.source, item.schema or "", item.profile or "", item.tags)
        for item in one.datasets
    ]
    return Run(
        id=one.id,
        experiment=str(one.experiment),
        name=one.name,
        user=one.started_by,
        status=one.state.value.upper(),
        started=one.started // 1_000,
        ended=None if one.ended is None else one.ended // 1_000,
        deleted=one.deleted is not None,
        deleted_at=None if one.deleted is None else one.deleted // 1_000,
        artifacts=one.artifact_uri,
        params={item.key: item.value for item in one.params},
        tags={item.key: item.value for item in one.tags},
        inputs=tuple(data),
        reads=one.used_models,
        makes=tuple((item.id, item.step) for item in one.made_models),
    )


def _logged_model(one: tracking.LoggedModel) -> LoggedModel:
    return LoggedModel(
        id=one.id,
        experiment=str(one.experiment),
        name=one.name,
        artifacts=one.artifact_uri,
        created=one.created // 1_000,
        updated=one.updated // 1_000,
        status=one.status,
        kind=one.type,
        run=one.run,
        message=one.status_message,
        params={item.key: item.value for item in one.params},
        tags={item.key: item.value for item in one.tags},
        metrics=tuple(
            ModelMetric(item.key, item.value, item.time, item.step, run, item.dataset_name, item.dataset_digest)
            for run, item in one.metrics
        ),
    )


def _version(one: "registry.registrations.VersionEntry") -> Version:
    version = one.version
    return Version(
        number=version.number,
        created=version.created // 1_000,
        updated=(version.updated or version.created) // 1_000,
        description=version.description or "",
        user=version.created_by,
        stage=version.stage,
        source=version.source,
        location=version.storage,
        run=version.run,
        link=version.run_link or "",
        model=version.logged_model,
        tags=one.tags,
    )
