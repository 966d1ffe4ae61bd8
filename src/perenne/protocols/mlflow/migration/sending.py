"""Sending to a running server of MLflow what its REST takes: it chooses ids and some times itself; ours are kept as tags."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from perenne.core.errors import NotFound
from perenne.core.paths import confined
from perenne.net.peer import Peer, checked_url
from perenne.protocols.mlflow.migration.entities import Experiment, LoggedModel, Points, RegisteredModel, Run, Version
from perenne.protocols.mlflow.migration.places import local_path
from perenne.protocols.mlflow.migration.source import Artifacts

RUN, STATE = "perenne.run_id", "perenne.export"
"""Tags of a run over there: its id here, and `whole` once all of it was sent."""

_API = "/api/2.0/mlflow"
_METRICS, _OTHERS = 1_000, 100
_LARGEST = 1.7976931348623157e308


class ServerTarget:
    """A server of MLflow that is written to.

    Parameters
    ----------
    url : str
        Where it is; `MLFLOW_TRACKING_TOKEN` is shown if it is set.
    """

    def __init__(self, url: str) -> None:
        self._peer = Peer(checked_url(url), os.environ.get("MLFLOW_TRACKING_TOKEN", ""), zips=False)
        self._experiments: dict[str, str] = {}
        self._deleted: list[str] = []
        self._runs: dict[str, dict[str, Any]] = {}

    def experiment(self, said: Experiment) -> None:
        """Find the experiment of a name, or make it; one that was deleted here is deleted there at the end."""
        try:
            found = self._peer.get(f"{_API}/experiments/get-by-name?{urlencode({'experiment_name': said.name})}")["experiment"]
        except NotFound:
            made = self._post("experiments/create", {"name": said.name, "tags": _pairs(said.tags)})
            self._experiments[said.id] = str(made["experiment_id"])
        else:
            self._experiments[said.id] = str(found["experiment_id"])
            if found.get("lifecycle_stage") == "deleted":
                self._post("experiments/restore", {"experiment_id": found["experiment_id"]})
        if said.deleted:
            self._deleted.append(self._experiments[said.id])

    def has(self, run: Run) -> bool:
        """Tell whether a run was sent whole; what was sent of it in part is deleted."""
        asked = {
            "experiment_ids": [self._experiments[run.experiment]],
            "filter": f"tags.`{RUN}` = '{run.id}'",
            "run_view_type": "ALL",
        }
        for found in self._post("runs/search", asked).get("runs", ()):
            tags = {one["key"]: one["value"] for one in found.get("data", {}).get("tags", ())}
            if tags.get(STATE) == "whole":
                self._runs[run.id] = found["info"]
                return True
            if found["info"].get("lifecycle_stage") != "deleted":
                self._post("runs/delete", {"run_id": found["info"]["run_id"]})
        return False

    def run(self, run: Run, points: Iterable[Points], artifacts: Artifacts) -> None:
        """Send a run with its histories and files."""
        kept = {key: value for key, value in run.tags.items() if key not in ("mlflow.runName", STATE)}
        asked = {
            "experiment_id": self._experiments[run.experiment],
            "run_name": run.name,
            "start_time": run.started,
            "user_id": run.user,
            "tags": _pairs({RUN: run.id, STATE: "begun"}),
        }
        info = self._post("runs/create", asked)["run"]["info"]
        self._runs[run.id] = info
        identity = str(info["run_id"])
        for batch in _batches(points):
            self._post("runs/log-batch", {"run_id": identity, "metrics": batch})
        for name, values in (("params", run.params), ("tags", kept)):
            for part in _cut(_pairs(values), _OTHERS):
                self._post("runs/log-batch", {"run_id": identity, name: part})
        if run.inputs:
            self._post("runs/log-inputs", {"run_id": identity, "datasets": [_dataset(item) for item in run.inputs]})
        self._send_files(str(info["artifact_uri"]), artifacts)
        ended = {} if run.ended is None else {"end_time": run.ended}
        self._post("runs/update", {"run_id": identity, "status": run.status, **ended})
        self._post("runs/set-tag", {"run_id": identity, "key": STATE, "value": "whole"})
        if run.deleted:
            self._post("runs/delete", {"run_id": identity})

    def logged_model(self, model: LoggedModel, artifacts: Artifacts) -> None:
        """Leave it out: a server of MLflow gives logged models ids of its own, which their runs' outputs do not name."""
        raise NotFound("its server takes no logged models under their ids", code="export.model")

    def registered_model(self, model: RegisteredModel) -> None:
        """Send a registered model with its versions, under their numbers where these are free, and what points to them."""
        asked = {"name": model.name, "tags": _pairs(model.tags), "description": model.description}
        try:
            self._peer.get(f"{_API}/registered-models/get?{urlencode({'name': model.name})}")
        except NotFound:
            self._post("registered-models/create", asked)
        numbers = {version.number: self._version(model.name, version) for version in model.versions}
        for alias, number in model.aliases.items():
            if number in numbers:
                asked = {"name": model.name, "alias": alias, "version": numbers[number]}
                self._post("registered-models/alias", asked)

    def close(self) -> None:
        """Delete the experiments that were deleted here, and close the connection."""
        try:
            for identity in self._deleted:
                self._post("experiments/delete", {"experiment_id": identity})
        finally:
            self._peer.close()

    def _version(self, name: str, version: Version) -> str:
        """Send a version, unless it was sent before; return the number it has there."""
        quoted = name.replace("'", "''")
        query = urlencode({"filter": f"name = '{quoted}'", "max_results": 1_000})
        for found in self._peer.get(f"{_API}/model-versions/search?{query}").get("model_versions", ()):
            tags = {one["key"]: one.get("value", "") for one in found.get("tags", ())}
            if tags.get("perenne.version") == str(version.number):
                return str(found["version"])
        source, run = self._source(version)
        asked = {"name": name, "source": source, "description": version.description}
        asked |= {"run_id": run} if run else {}
        tags = {**version.tags, "perenne.version": str(version.number)}
        made = self._post("model-versions/create", {**asked, "tags": _pairs(tags)})["model_version"]
        while int(made["version"]) < version.number:  # those before it were deleted here; there they are made and deleted
            gone = json.dumps({"name": name, "version": made["version"]}).encode()
            self._peer.post(f"{_API}/model-versions/delete", gone, "DELETE")
            made = self._post("model-versions/create", {**asked, "tags": _pairs(tags)})["model_version"]
        if version.stage not in ("", "None"):
            stage = {"name": name, "version": made["version"], "stage": version.stage, "archive_existing_versions": False}
            self._post("model-versions/transition-stage", stage)
        return str(made["version"])

    def _source(self, version: Version) -> tuple[str, str]:
        info = self._runs.get(version.run)
        below = f"runs:/{version.run}/"
        if info is None or not version.source.startswith(below):
            return version.source, str(info["run_id"]) if info else ""
        return f"{info['artifact_uri']}/{version.source.removeprefix(below)}", str(info["run_id"])

    def _send_files(self, location: str, artifacts: Artifacts) -> None:
        files = artifacts.files
        if not files:
            return
        parts, here = urlsplit(location), local_path(location)
        if parts.scheme != "mlflow-artifacts" and (here is None or not here.parent.parent.is_dir()):
            raise NotFound(f"its artifacts would go to {location}, which is not reached", code="export.artifacts")
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "file")
            for file in files:
                artifacts.fetch(file.path, target)
                if parts.scheme == "mlflow-artifacts":
                    place = quote(f"{parts.path.strip('/')}/{file.path}")
                    self._peer.put_file(f"/api/2.0/mlflow-artifacts/artifacts/{place}", target)
                elif here is not None:
                    _copy(target, confined(here, file.path))

    def _post(self, path: str, said: Mapping[str, Any]) -> dict[str, Any]:
        return self._peer.post(f"{_API}/{path}", json.dumps(said).encode())


def _copy(file: Path, target: Path) -> None:
    """Copy a file to where the server keeps artifacts, on a disk that it and this machine share."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _cut(items: list[dict[str, str]], size: int) -> Iterable[list[dict[str, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _batches(points: Iterable[Points]) -> Iterable[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for piece in points:
        for step, time, value in zip(piece.steps, piece.times, piece.values, strict=True):
            batch.append({"key": piece.key, "value": _told(value), "timestamp": time, "step": step})
            if len(batch) == _METRICS:
                yield batch
                batch = []
    if batch:
        yield batch


def _told(value: float) -> float | str:
    return "NaN" if value != value else max(-_LARGEST, min(_LARGEST, value))


def _dataset(item: Any) -> dict[str, Any]:
    data = {name: getattr(item, name) for name in ("name", "digest", "source_type", "source", "schema", "profile")}
    return {"dataset": {name: text for name, text in data.items() if text}, "tags": _pairs(item.tags)}
