"""Runs kept by a server: MLflow's routes for what MLflow has, perenne's own to begin a run under an id of the client's choice."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from perenne.core.errors import Invalid
from perenne.net.peer import Peer
from perenne.storage.file_objects import FileObjects
from perenne.tracking.client.batch import Batch
from perenne.tracking.client.records import Begin, End, Input

_STATUS = {"running": "RUNNING", "scheduled": "SCHEDULED", "finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class Server:
    """A server of perenne, over one connection that stays open.

    Parameters
    ----------
    url : str
        Where it is.
    token : str, optional
        Shown with every request; `PERENNE_TOKEN`, else `MLFLOW_TRACKING_TOKEN`, if not given.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._peer = Peer(url, token if token is not None else _token())
        self._roots: dict[str, str] = {}

    def begin(self, begin: Begin, objects: Path) -> None:
        """Make the run, and send what of its provenance the server lacks."""
        answer = self._peer.post("/api/runs", msgspec.json.encode(begun(begin)))
        kept = FileObjects(objects)
        for digest in answer.get("missing", ()):
            path = f"/api/runs/{quote(begin.run)}/objects/{digest}"
            self._peer.send("PUT", path, kept.get(digest), "application/octet-stream")

    def log(self, run: str, batch: Batch) -> None:
        """Keep a batch by `runs/log-batch`, and inputs by `runs/log-inputs`."""
        body: dict[str, Any] = {"run_id": run}
        if batch.metrics:
            body["metrics"] = [
                {"key": key, "value": _number(value), "timestamp": record.time, "step": record.step}
                for record in batch.metrics
                for key, value in record.values.items()
            ]
        body |= {name: _pairs(values) for name, values in (("params", batch.params), ("tags", batch.tags)) if values}
        if len(body) > 1:
            self._peer.post("/api/2.0/mlflow/runs/log-batch", msgspec.json.encode(body))
        if batch.inputs:
            sent = {"run_id": run, "datasets": [_dataset(item) for item in batch.inputs]}
            self._peer.post("/api/2.0/mlflow/runs/log-inputs", msgspec.json.encode(sent))

    def put(self, run: str, path: str, file: Path) -> None:
        """Send a file through the server, without holding it in memory."""
        place = f"{self._root(run)}/{path}"
        self._peer.put_file(f"/api/2.0/mlflow-artifacts/artifacts/{quote(place)}", file)

    def end(self, run: str, end: End) -> None:
        """Close the run by `runs/update`."""
        body = {"run_id": run, "status": _STATUS[end.state], "end_time": end.ended // 1_000}
        self._peer.post("/api/2.0/mlflow/runs/update", msgspec.json.encode(body))

    def find_done(self, experiment: str, fingerprint: str) -> str:
        """Ask for a finished run of the same fingerprint."""
        query = urlencode({"experiment": experiment, "fingerprint": fingerprint})
        return str(self._peer.get(f"/api/runs/done?{query}").get("run", ""))

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _root(self, run: str) -> str:
        """Return where a run's artifacts lie below the server's own artifacts."""
        if run not in self._roots:
            found = self._peer.get(f"/api/2.0/mlflow/runs/get?run_id={quote(run)}")
            uri = str(found.get("run", {}).get("info", {}).get("artifact_uri", ""))
            if not uri.startswith("mlflow-artifacts:"):
                raise Invalid(
                    f"the artifacts of run {run} do not go through the server", code="client.artifacts", hint=f"they lie at {uri}"
                )
            self._roots[run] = urlsplit(uri).path.strip("/")
        return self._roots[run]


def begun(begin: Begin) -> dict[str, Any]:
    """Return what `POST /api/runs` reads."""
    said = msgspec.structs.asdict(begin)
    del said["destination"]
    return {"id": said.pop("run"), **said}


def _token() -> str:
    return os.environ.get("PERENNE_TOKEN") or os.environ.get("MLFLOW_TRACKING_TOKEN", "")


def _number(value: float) -> float | str:
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _dataset(item: Input) -> dict[str, Any]:
    dataset = {"name": item.name, "digest": item.digest, "source_type": item.source_type, "source": item.source}
    return {"dataset": dataset, "tags": _pairs({"mlflow.data.context": item.context}) if item.context else []}
