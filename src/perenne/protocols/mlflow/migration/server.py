"""A running server of MLflow, 2.22 or newer, read by REST."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from perenne.core.clock import parse_time
from perenne.core.errors import NotFound
from perenne.net.peer import Peer, checked_url
from perenne.protocols.mlflow.migration.entities import (
    DELETED,
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
from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts, LocalArtifacts, local_path
from perenne.protocols.mlflow.migration.source import Artifacts

PAGE = 1_000
HISTORY = 25_000
_API = "/api/2.0/mlflow"
_MODEL_STATUS = {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
Said = Mapping[str, Any]


class ServerSource:
    """A server of MLflow.

    Parameters
    ----------
    url : str
        Where it is; `MLFLOW_TRACKING_TOKEN` is shown if it is set.
    """

    def __init__(self, url: str) -> None:
        self._peer = Peer(checked_url(url), os.environ.get("MLFLOW_TRACKING_TOKEN", ""), zips=False)
        self._keys: dict[str, list[str]] = {}
        self._peer.get(f"{_API}/experiments/get?experiment_id=0")

    def experiments(self) -> list[Experiment]:
        """Read all experiments."""
        found = []
        for said in self._pages(f"{_API}/experiments/search", {"view_type": "ALL", "max_results": PAGE}, "experiments"):
            found.append(
                Experiment(
                    id=str(said["experiment_id"]),
                    name=said.get("name", ""),
                    artifacts=said.get("artifact_location", ""),
                    created=said.get("creation_time"),
                    updated=said.get("last_update_time"),
                    deleted=said.get("lifecycle_stage") == DELETED,
                    tags=_pairs(said.get("tags", ())),
                )
            )
        return sorted(found, key=lambda item: (len(item.id), item.id))

    def runs(self, experiment: str) -> Iterator[Run]:
        """Go through the runs of an experiment."""
        asked = {
            "experiment_ids": [experiment],
            "run_view_type": "ALL",
            "max_results": PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        for said in self._pages(f"{_API}/runs/search", asked, "runs"):
            info, data = said["info"], said.get("data", {})
            run = info.get("run_id") or info["run_uuid"]
            self._keys[run] = [metric["key"] for metric in data.get("metrics", ())]
            tags = _pairs(data.get("tags", ()))
            yield Run(
                id=run,
                experiment=str(info["experiment_id"]),
                name=tags.get("mlflow.runName") or info.get("run_name", ""),
                user=info.get("user_id", ""),
                status=info.get("status", "RUNNING"),
                started=info.get("start_time"),
                ended=info.get("end_time"),
                deleted=info.get("lifecycle_stage") == DELETED,
                artifacts=info.get("artifact_uri", ""),
                params=_pairs(data.get("params", ())),
                tags=tags,
                inputs=tuple(_data(one) for one in said.get("inputs", {}).get("dataset_inputs", ())),
                reads=tuple(one["model_id"] for one in said.get("inputs", {}).get("model_inputs", ())),
                makes=tuple((one["model_id"], int(one.get("step", 0))) for one in _outputs(said)),
            )

    def points(self, run: str) -> Iterator[Points]:
        """Go through the history of every metric of a run."""
        for key in sorted(self._keys.get(run, ())):
            asked = {"run_id": run, "metric_key": key, "max_results": HISTORY}
            while True:
                said = self._peer.get(f"{_API}/metrics/get-history?{urlencode(asked)}")
                if found := said.get("metrics", []):
                    values = [float(one["value"]) for one in found]
                    yield Points(
                        key, [int(one.get("step", 0)) for one in found], [int(one["timestamp"]) for one in found], values
                    )
                if not said.get("next_page_token"):
                    break
                asked["page_token"] = said["next_page_token"]

    def logged_models(self, experiment: str) -> Iterator[LoggedModel]:
        """Go through the logged models of an experiment; a server of MLflow 2 has none."""
        asked = {"experiment_ids": [experiment], "max_results": 50}
        try:
            for said in self._pages(f"{_API}/logged-models/search", asked, "models"):
                yield _logged_model(said["info"], said.get("data", {}))
        except NotFound:
            return

    def registered_models(self) -> Iterator[RegisteredModel]:
        """Go through the registered models, and then the prompts, which a search shows only when it is asked for them."""
        for filtered in ("", "tags.`mlflow.prompt.is_prompt` = 'true'"):
            asked = {"max_results": 100} | ({"filter": filtered} if filtered else {})
            for said in self._got(f"{_API}/registered-models/search", asked, "registered_models"):
                if bool(filtered) == ("mlflow.prompt.is_prompt" in _pairs(said.get("tags", ()))):
                    yield self._registered_model(said, prompt=bool(filtered))

    def _registered_model(self, said: Said, *, prompt: bool) -> RegisteredModel:
        name = str(said["name"])
        quoted = name.replace("'", "''")
        filtered = f"name = '{quoted}'" + (" AND tags.`mlflow.prompt.is_prompt` = 'true'" if prompt else "")
        found = self._got(f"{_API}/model-versions/search", {"filter": filtered, "max_results": PAGE}, "model_versions")
        versions = sorted((_version(one) for one in found), key=lambda one: one.number)
        return RegisteredModel(
            name=name,
            created=int(said.get("creation_timestamp", 0)),
            updated=int(said.get("last_updated_timestamp", 0)),
            description=said.get("description", ""),
            tags=_pairs(said.get("tags", ())),
            aliases={one["alias"]: int(one["version"]) for one in said.get("aliases", ())},
            versions=tuple(versions),
            highest=max((version.number for version in versions), default=0),
        )

    def traces(self, experiment: str) -> Iterator[Trace]:
        """Go through the traces of an experiment; a server of MLflow 2 gives none in this form."""
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        asked = {"locations": [location], "max_results": 100, "order_by": ["timestamp ASC"]}
        try:
            for said in self._pages("/api/3.0/mlflow/traces/search", asked, "traces"):
                query = urlencode({"trace_id": said["trace_id"], "allow_partial": "true"})
                yield _trace(self._peer.get(f"/api/3.0/mlflow/traces/get?{query}").get("trace", {}), experiment)
        except NotFound:
            return

    def artifacts(self, location: str) -> Artifacts:
        """Look at an artifact location: through the server, a folder both machines see, or one that is not reached."""
        parts = urlsplit(location)
        if parts.scheme == "mlflow-artifacts":
            return ServedArtifacts(self._peer, parts.path.strip("/"))
        path = local_path(location)
        return ElsewhereArtifacts() if path is None else LocalArtifacts(path)

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _pages(self, path: str, asked: Mapping[str, Any], name: str) -> Iterator[Said]:
        token = ""
        while True:
            said = self._peer.post(path, json.dumps({**asked, **({"page_token": token} if token else {})}).encode())
            yield from said.get(name, ())
            token = said.get("next_page_token", "")
            if not token:
                return

    def _got(self, path: str, asked: Mapping[str, Any], name: str) -> Iterator[Said]:
        token = ""
        while True:
            said = self._peer.get(f"{path}?{urlencode({**asked, **({'page_token': token} if token else {})})}")
            yield from said.get(name, ())
            token = said.get("next_page_token", "")
            if not token:
                return


class ServedArtifacts:
    """Artifacts that a server hands out.

    Parameters
    ----------
    peer : Peer
        The server.
    root : str
        Where they lie below the server's artifacts.
    """

    def __init__(self, peer: Peer, root: str) -> None:
        self._peer = peer
        self._root = root

    @property
    def files(self) -> Sequence[File]:
        """What lies there, in the order of their paths."""
        return sorted(self._below(""), key=lambda file: file.path)

    def _below(self, folder: str) -> Iterator[File]:
        place = f"{self._root}/{folder}".rstrip("/")
        said = self._peer.get(f"/api/2.0/mlflow-artifacts/artifacts?{urlencode({'path': place})}")
        for one in said.get("files", ()):
            path = f"{folder}/{one['path']}".lstrip("/")
            if one.get("is_dir"):
                yield from self._below(path)
            else:
                yield File(path, int(one.get("file_size", 0)))

    def fetch(self, path: str, target: Path) -> None:
        """Write one file."""
        self._peer.fetch(f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{self._root}/{path}')}", target)


def _pairs(said: Sequence[Said], key: str = "key", value: str = "value") -> dict[str, str]:
    return {one[key]: one.get(value, "") for one in said}


def _outputs(said: Said) -> Sequence[Said]:
    found: Sequence[Said] = said.get("outputs", {}).get("model_outputs", ())
    return found


def _data(said: Said) -> Data:
    data = said["dataset"]
    texts = [data.get(name, "") for name in ("name", "digest", "source_type", "source", "schema", "profile")]
    return Data(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], _pairs(said.get("tags", ())))


def _logged_model(info: Said, data: Said) -> LoggedModel:
    metrics = [
        ModelMetric(
            one["key"],
            float(one["value"]),
            int(one["timestamp"]),
            int(one.get("step", 0)),
            one.get("run_id", ""),
            one.get("dataset_name", ""),
            one.get("dataset_digest", ""),
        )
        for one in data.get("metrics", ())
    ]
    return LoggedModel(
        id=info["model_id"],
        experiment=str(info["experiment_id"]),
        name=info.get("name", ""),
        artifacts=info.get("artifact_uri", ""),
        created=int(info.get("creation_timestamp_ms", 0)),
        updated=int(info.get("last_updated_timestamp_ms", 0)),
        status=_MODEL_STATUS.get(str(info.get("status")), 0),
        kind=info.get("model_type", ""),
        run=info.get("source_run_id", ""),
        message=info.get("status_message", ""),
        params=_pairs(data.get("params", ())),
        tags=_pairs(info.get("tags", ())),
        metrics=tuple(metrics),
    )


def _version(said: Said) -> Version:
    return Version(
        number=int(said["version"]),
        created=int(said.get("creation_timestamp", 0)),
        updated=int(said.get("last_updated_timestamp", 0)),
        description=said.get("description", ""),
        user=said.get("user_id", ""),
        stage=said.get("current_stage", "None"),
        source=said.get("source", ""),
        run=said.get("run_id", ""),
        status=said.get("status", "READY"),
        message=said.get("status_message", ""),
        link=said.get("run_link", ""),
        model=said.get("model_id", ""),
        tags=_pairs(said.get("tags", ())),
    )


def _trace(said: Said, experiment: str) -> Trace:
    info = said.get("trace_info", said)
    seconds = str(info.get("execution_duration", "")).rstrip("s")
    return Trace(
        id=info["trace_id"],
        experiment=experiment,
        time=parse_time(info["request_time"]) // 1_000,
        duration=round(float(seconds) * 1_000) if seconds else None,
        status=info.get("state", "OK"),
        client_request=info.get("client_request_id", ""),
        request=info.get("request_preview", ""),
        response=info.get("response_preview", ""),
        tags=dict(info.get("tags", {})),
        metadata=dict(info.get("trace_metadata", {})),
        spans=tuple(said.get("spans", ())),
        assessments=tuple(info.get("assessments", ())),
    )
