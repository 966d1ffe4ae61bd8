"""Writing a folder `mlruns` as MLflow's file store keeps it: ids, times and histories as they are."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perenne.core.errors import Conflict, Invalid
from perenne.core.hashing import key_of
from perenne.core.paths import confined
from perenne.protocols.mlflow.migration.entities import ACTIVE, DELETED, Experiment, LoggedModel, Points, RegisteredModel, Run
from perenne.protocols.mlflow.migration.source import Artifacts

_STATUS = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
_NAME = re.compile(r"[^\x00/]+")


class FolderTarget:
    """A folder of runs that is written.

    Parameters
    ----------
    root : Path
        The folder; it is made. What was exported to it before is written again.

    Raises
    ------
    Conflict
        If something else lies there.
    """

    def __init__(self, root: Path) -> None:
        if root.is_dir() and any(root.iterdir()) and not (root / _MARK).exists():
            raise Conflict(
                f"{root} is not empty", code="export.folder", hint="name a folder that is new, or was exported to before"
            )
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARK).write_text("exported by perenne\n")
        self._root = root.absolute()
        self._folders: dict[str, Path] = {}

    def experiment(self, said: Experiment) -> None:
        """Write an experiment; a deleted one lies in the trash."""
        folder = self._root / (".trash" if said.deleted else "") / said.id
        self._folders[said.id] = folder
        meta = {
            "artifact_location": folder.as_uri(),
            "creation_time": said.created,
            "experiment_id": said.id,
            "last_update_time": said.updated,
            "lifecycle_stage": DELETED if said.deleted else ACTIVE,
            "name": said.name,
        }
        _write_meta(folder, meta)
        _write_texts(folder / "tags", said.tags)
        (self._root / ".trash").mkdir(exist_ok=True)

    def has(self, run: Run) -> bool:
        """Tell whether a run is there as it is now."""
        return (self._folders[run.experiment] / run.id / _DONE).exists() and _seal(run) == (
            self._folders[run.experiment] / run.id / _DONE
        ).read_text()

    def run(self, run: Run, points: Iterable[Points], artifacts: Artifacts) -> None:
        """Write a run with its histories and files."""
        folder = self._folders[run.experiment] / run.id
        files = folder / "artifacts"
        files.mkdir(parents=True, exist_ok=True)
        for name in ("metrics", "params", "tags"):
            (folder / name).mkdir(exist_ok=True)
        self._write_histories(folder / "metrics", points)
        _write_texts(folder / "params", run.params)
        _write_texts(folder / "tags", {**run.tags, "mlflow.runName": run.name})
        self._write_inputs(folder, run)
        for file in artifacts.files:
            target = confined(files, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            artifacts.fetch(file.path, target)
        _write_meta(folder, _meta_of(run, files.as_uri()))
        (folder / _DONE).write_text(_seal(run))

    def logged_model(self, model: LoggedModel, artifacts: Artifacts) -> None:
        """Write a logged model with its files."""
        folder = self._folders[model.experiment] / "models" / model.id
        files = folder / "artifacts"
        files.mkdir(parents=True, exist_ok=True)
        meta = {
            "artifact_location": files.as_uri(),
            "creation_timestamp": model.created,
            "experiment_id": model.experiment,
            "last_updated_timestamp": model.updated,
            "model_id": model.id,
            "model_type": model.kind or None,
            "name": model.name,
            "source_run_id": model.run or None,
            "status": model.status,
            "status_message": model.message or None,
        }
        _write_meta(folder, meta)
        _write_texts(folder / "params", model.params)
        _write_texts(folder / "tags", model.tags)
        lines: dict[str, str] = {}
        for one in model.metrics:
            data = f" {one.data_name} {one.data_digest}" if one.data_name else ""
            lines[one.key] = lines.get(one.key, "") + f"{one.time} {one.value} {one.step} {one.run}{data}\n"
        _write_texts(folder / "metrics", lines)
        for file in artifacts.files:
            target = confined(files, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            artifacts.fetch(file.path, target)

    def registered_model(self, model: RegisteredModel) -> None:
        """Write a registered model with its versions and aliases."""
        folder = self._root / "models" / _checked(model.name)
        meta = {
            "aliases": {alias: str(number) for alias, number in model.aliases.items()},
            "creation_timestamp": model.created,
            "description": model.description or None,
            "last_updated_timestamp": model.updated,
            "name": model.name,
        }
        _write_meta(folder, meta)
        _write_texts(folder / "tags", model.tags)
        _write_texts(folder / "aliases", {alias: str(number) for alias, number in model.aliases.items()})
        for version in model.versions:
            place = folder / f"version-{version.number}"
            source = self._source(version.source, version.run)
            said = {
                "creation_timestamp": version.created,
                "current_stage": version.stage,
                "description": version.description or None,
                "last_updated_timestamp": version.updated,
                "model_id": version.model or None,
                "name": model.name,
                "run_id": version.run or None,
                "run_link": version.link or None,
                "source": source,
                "status": version.status,
                "status_message": version.message or None,
                "storage_location": source,
                "user_id": version.user or None,
                "version": version.number,
            }
            _write_meta(place, said)
            _write_texts(place / "tags", version.tags)

    def close(self) -> None:
        """Nothing is open."""

    def _source(self, source: str, run: str) -> str:
        """Return where a version's files lie now, if they belong to a run."""
        if not (run and source.startswith(f"runs:/{run}/")):
            return source
        place = next((folder / run for folder in self._folders.values() if (folder / run).is_dir()), None)
        return source if place is None else (place / "artifacts" / source.removeprefix(f"runs:/{run}/")).as_uri()

    def _write_histories(self, folder: Path, points: Iterable[Points]) -> None:
        written: set[str] = set()
        for piece in points:
            path = folder / _as_file(piece.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if piece.key in written else "w") as stream:
                stream.writelines(
                    f"{time} {value} {step}\n" for step, time, value in zip(piece.steps, piece.times, piece.values, strict=True)
                )
            written.add(piece.key)

    def _write_inputs(self, folder: Path, run: Run) -> None:
        for item in run.inputs:
            identity = key_of(item.name, item.digest)
            data = {name: getattr(item, name) for name in ("name", "digest", "source_type", "source", "schema", "profile")}
            _write_meta(folder.parent / "datasets" / identity, data)
            read = {"source_id": identity, "source_type": "DATASET", "destination_id": identity, "destination_type": "RUN"}
            _write_meta(folder / "inputs" / key_of(run.id, identity), {**read, "tags": item.tags})
        for model, step in run.makes:
            made = {"source_id": model, "source_type": "RUN_OUTPUT", "destination_id": model, "destination_type": "MODEL_OUTPUT"}
            _write_meta(folder / "outputs" / model, {**made, "step": step, "tags": {}})


_MARK, _DONE = ".perenne-export", ".perenne-done"


def _meta_of(run: Run, artifacts: str) -> dict[str, Any]:
    return {
        "artifact_uri": artifacts,
        "deleted_time": run.deleted_at,
        "end_time": run.ended,
        "entry_point_name": "",
        "experiment_id": run.experiment,
        "lifecycle_stage": DELETED if run.deleted else ACTIVE,
        "run_id": run.id,
        "run_name": run.name,
        "run_uuid": run.id,
        "source_name": "",
        "source_type": 4,
        "source_version": "",
        "start_time": run.started,
        "status": _STATUS[run.status],
        "tags": [],
        "user_id": run.user,
    }


def _seal(run: Run) -> str:
    return key_of(run)


def _write_meta(folder: Path, said: Mapping[str, Any]) -> None:
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.yaml").write_text(yaml.safe_dump(dict(said), allow_unicode=True, sort_keys=True))


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = folder / _as_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _as_file(name: str) -> str:
    """Return a name that becomes a file below its folder; a colon, which `core.paths` refuses, MLflow's names may hold.

    Raises
    ------
    Invalid
        If it would lead elsewhere.
    """
    if any(part in ("", ".", "..") or "\0" in part for part in name.split("/")):
        raise Invalid(f"{name[:100]!r} cannot be a file's name", code="export.name", hint="rename it first")
    return name


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise Invalid(f"{name[:100]!r} cannot be a folder's name", code="export.name", hint="rename it first")
    return name
