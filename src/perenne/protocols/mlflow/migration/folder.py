"""A folder `mlruns`, in which MLflow keeps everything as files: YAML for what a thing is, and one for each metric and tag."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from perenne.core.errors import Invalid
from perenne.protocols.mlflow.migration.entities import (
    DELETED,
    Data,
    Experiment,
    LoggedModel,
    ModelMetric,
    Points,
    RegisteredModel,
    Run,
    Trace,
    Version,
)
from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts, LocalArtifacts, local_path
from perenne.protocols.mlflow.migration.source import Artifacts

POINTS = 10_000
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_NO_RUNS = {"datasets", "models", "tags", "traces", "labeled_models"}
_GONE = "Deleted_Internal"


class FolderSource:
    """A folder of runs.

    Parameters
    ----------
    root : Path
        The folder that holds one folder for each experiment, `models`, and `.trash`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = {folder.name: folder for folder in self._experiment_folders()}
        if not self._folders and not (root / "models").is_dir():
            raise Invalid(f"{root} is no folder of runs", code="import.source", hint="it holds no meta.yaml of an experiment")
        self._runs: dict[str, Path] = {}

    def _experiment_folders(self) -> Iterator[Path]:
        for above in (self._root, self._root / ".trash"):
            for path in sorted(above.iterdir()) if above.is_dir() else ():
                if path.name != "models" and (path / "meta.yaml").is_file():
                    yield path

    def experiments(self) -> list[Experiment]:
        """Read all experiments."""
        found = []
        for folder in self._folders.values():
            said = _meta(folder)
            found.append(
                Experiment(
                    id=str(said.get("experiment_id", folder.name)),
                    name=str(said.get("name", folder.name)),
                    artifacts=str(said.get("artifact_location") or ""),
                    created=_optional(said.get("creation_time")),
                    updated=_optional(said.get("last_update_time")),
                    deleted=said.get("lifecycle_stage") == DELETED or folder.parent.name == ".trash",
                    tags=_texts(folder / "tags"),
                )
            )
        return sorted(found, key=lambda item: (len(item.id), item.id))

    def runs(self, experiment: str) -> Iterator[Run]:
        """Go through the runs of an experiment."""
        folder = self._folders[experiment]
        found = [path for path in folder.iterdir() if path.name not in _NO_RUNS and (path / "meta.yaml").is_file()]
        said = sorted(((_meta(path), path) for path in found), key=lambda item: (item[0].get("start_time") or 0, item[1].name))
        for meta, path in said:
            run = self._run(meta, path)
            self._runs[run.id] = path
            yield run

    def _run(self, said: Mapping[str, Any], path: Path) -> Run:
        tags = _texts(path / "tags")
        status = said.get("status", 1)
        made = [(meta.parent.name, int(_meta(meta.parent).get("step") or 0)) for meta in sorted(path.glob("outputs/*/meta.yaml"))]
        inputs = [(_meta(meta.parent), meta) for meta in sorted(path.glob("inputs/*/meta.yaml"))]
        return Run(
            id=str(said.get("run_id") or said.get("run_uuid") or path.name),
            experiment=str(said.get("experiment_id", path.parent.name)),
            name=tags.get("mlflow.runName") or str(said.get("run_name") or said.get("name") or ""),
            user=str(said.get("user_id") or ""),
            status=_STATUS.get(status, "FINISHED") if isinstance(status, int) else str(status),
            started=_optional(said.get("start_time")),
            ended=_optional(said.get("end_time")),
            deleted=said.get("lifecycle_stage") == DELETED,
            deleted_at=_optional(said.get("deleted_time")),
            artifacts=str(said.get("artifact_uri") or path / "artifacts"),
            params=_texts(path / "params"),
            tags=tags,
            inputs=tuple(self._data(path.parent, read) for read, _ in inputs if read.get("source_type") == "DATASET"),
            reads=tuple(str(read.get("destination_id")) for read, _ in inputs if read.get("destination_type") == "MODEL_INPUT"),
            makes=tuple(made),
        )

    def _data(self, experiment: Path, read: Mapping[str, Any]) -> Data:
        said = _meta(experiment / "datasets" / Path(str(read.get("source_id"))).name)
        parts = [str(said.get(name) or "") for name in ("name", "digest", "source_type", "source", "schema", "profile")]
        tags = {str(key): str(value) for key, value in (read.get("tags") or {}).items()}
        return Data(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tags)

    def points(self, run: str) -> Iterator[Points]:
        """Go through the history of every metric of a run."""
        folder = self._runs[run] / "metrics"
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file():
                yield from _history(path, path.relative_to(folder).as_posix())

    def logged_models(self, experiment: str) -> Iterator[LoggedModel]:
        """Go through the logged models of an experiment."""
        for meta in sorted(self._folders[experiment].glob("models/*/meta.yaml")):
            folder, said = meta.parent, _meta(meta.parent)
            yield LoggedModel(
                id=str(said.get("model_id", folder.name)),
                experiment=experiment,
                name=str(said.get("name") or ""),
                artifacts=str(said.get("artifact_location") or ""),
                created=int(said.get("creation_timestamp") or 0),
                updated=int(said.get("last_updated_timestamp") or 0),
                status=int(said.get("status") or 0),
                deleted=said.get("lifecycle_stage") == DELETED,
                kind=str(said.get("model_type") or ""),
                run=str(said.get("source_run_id") or ""),
                message=str(said.get("status_message") or ""),
                params=_texts(folder / "params"),
                tags=_texts(folder / "tags"),
                metrics=tuple(_model_metrics(folder / "metrics")),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        """Go through the registered models."""
        for meta in sorted(self._root.glob("models/*/meta.yaml")):
            folder, said = meta.parent, _meta(meta.parent)
            versions = sorted((_version(path.parent) for path in folder.glob("version-*/meta.yaml")), key=lambda one: one.number)
            yield RegisteredModel(
                name=str(said.get("name", folder.name)),
                created=int(said.get("creation_timestamp") or 0),
                updated=int(said.get("last_updated_timestamp") or 0),
                description=str(said.get("description") or ""),
                tags=_texts(folder / "tags"),
                aliases={str(alias): int(number) for alias, number in (said.get("aliases") or {}).items()}
                or {alias: int(number) for alias, number in _texts(folder / "aliases").items()},
                versions=tuple(version for version in versions if version.stage != _GONE),
                highest=max((version.number for version in versions), default=0),
            )

    def traces(self, experiment: str) -> Iterator[Trace]:
        """Give none: spans of traces lie in no folder as files that MLflow promises."""
        yield from ()

    def artifacts(self, location: str) -> Artifacts:
        """Look at an artifact location: a folder of this machine, or one that is not reached.

        A folder that was copied from elsewhere names places of its old machine: then what lies beside the run is taken.
        """
        path = local_path(location)
        if path is None:
            return ElsewhereArtifacts()
        parts = path.parts
        for start in range(max(0, len(parts) - 4), len(parts)):
            beside = self._root.joinpath(*parts[start:])
            if not path.exists() and beside.is_dir():
                return LocalArtifacts(beside)
        return LocalArtifacts(path)

    def close(self) -> None:
        """Nothing is open."""


def _meta(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        said = yaml.safe_load((folder / "meta.yaml").read_text())
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"{folder / 'meta.yaml'} cannot be read: {error}", code="import.source", hint="is it damaged?") from None
    return said if isinstance(said, dict) else {}


def _texts(folder: Path) -> dict[str, str]:
    """Read files of a folder as texts by their names, which may have slashes."""
    if not folder.is_dir():
        return {}
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def _optional(value: Any) -> int | None:
    return None if value is None else int(value)


def _history(path: Path, key: str) -> Iterator[Points]:
    times: list[int] = []
    values: list[float] = []
    steps: list[int] = []
    with path.open() as stream:
        for number, line in enumerate(stream, 1):
            fields = line.split()
            if not fields:
                continue
            try:
                times.append(int(fields[0]))
                values.append(float(fields[1]))
                steps.append(int(fields[2]) if len(fields) > 2 else 0)
            except (ValueError, IndexError):
                raise Invalid(
                    f"{path}, line {number}: no value of a metric", code="import.source", hint="is it damaged?"
                ) from None
            if len(times) == POINTS:
                yield Points(key, steps, times, values)
                times, values, steps = [], [], []
    if times:
        yield Points(key, steps, times, values)


def _model_metrics(folder: Path) -> Iterator[ModelMetric]:
    """Read lines of time, value, step, run and perhaps the name and digest of data."""
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file():
            continue
        for line in path.read_text().splitlines():
            fields = line.split()
            data = (fields[4], fields[5]) if len(fields) > 5 else ("", "")
            key = path.relative_to(folder).as_posix()
            yield ModelMetric(key, float(fields[1]), int(fields[0]), int(fields[2]), fields[3] if len(fields) > 3 else "", *data)


def _version(folder: Path) -> Version:
    said = _meta(folder)
    texts = {name: str(said.get(name) or "") for name in ("description", "user_id", "source", "storage_location", "run_id")}
    return Version(
        number=int(said.get("version") or folder.name.partition("-")[2]),
        created=int(said.get("creation_timestamp") or 0),
        updated=int(said.get("last_updated_timestamp") or 0),
        description=texts["description"],
        user=texts["user_id"],
        stage=str(said.get("current_stage") or "None"),
        source=texts["source"],
        location=texts["storage_location"],
        run=texts["run_id"],
        status=str(said.get("status") or "READY"),
        message=str(said.get("status_message") or ""),
        link=str(said.get("run_link") or ""),
        model=str(said.get("model_id") or ""),
        tags=_texts(folder / "tags"),
    )
