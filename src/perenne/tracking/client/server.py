"""Runs kept by a server: MLflow's routes for what MLflow has, perenne's own to begin a run under an id of the client's choice."""

import gzip
import http.client
import json
import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

import perenne
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.storage.file_objects import FileObjects
from perenne.tracking.client.destination import Batch
from perenne.tracking.client.records import Begin, End, Input

TIMEOUT = 60
GZIP_FROM = 1_024
_STATUS = {"running": "RUNNING", "scheduled": "SCHEDULED", "finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
_REFUSALS: dict[int, type[PerenneError]] = {403: Denied, 404: NotFound, 409: Conflict}
_LATER = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504, 507})
"""Statuses after which it is tried again: also where the token is wrong, since another may be set."""


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
        parts = urlsplit(url)
        self.url = url
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._base = parts.path.rstrip("/")
        self._token = token if token is not None else _token()
        self._connection: http.client.HTTPConnection | None = None
        self._roots: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, begin: Begin, objects: Path) -> None:
        """Make the run, and send what of its provenance the server lacks."""
        answer = self._post("/api/runs", msgspec.json.encode(begun(begin)))
        kept = FileObjects(objects)
        for digest in answer.get("missing", ()):
            path = f"/api/runs/{quote(begin.run)}/objects/{digest}"
            self._ask("PUT", path, kept.get(digest), "application/octet-stream")

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
            self._post("/api/2.0/mlflow/runs/log-batch", msgspec.json.encode(body))
        if batch.inputs:
            sent = {"run_id": run, "datasets": [_dataset(item) for item in batch.inputs]}
            self._post("/api/2.0/mlflow/runs/log-inputs", msgspec.json.encode(sent))

    def put(self, run: str, path: str, file: Path) -> None:
        """Send a file through the server, without holding it in memory."""
        with file.open("rb") as stream:
            root = self._root(run)
            place = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}"
            self._ask("PUT", place, stream, "application/octet-stream", {"content-length": str(file.stat().st_size)})

    def end(self, run: str, end: End) -> None:
        """Close the run by `runs/update`."""
        body = {"run_id": run, "status": _STATUS[end.state], "end_time": end.ended // 1_000}
        self._post("/api/2.0/mlflow/runs/update", msgspec.json.encode(body))

    def find_done(self, experiment: str, fingerprint: str) -> str:
        """Ask for a finished run of the same fingerprint."""
        query = urlencode({"experiment": experiment, "fingerprint": fingerprint})
        return str(self._ask("GET", f"/api/runs/done?{query}").get("run", ""))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._hang_up()

    def _root(self, run: str) -> str:
        """Return where a run's artifacts lie below the server's own artifacts."""
        if run not in self._roots:
            found = self._ask("GET", f"/api/2.0/mlflow/runs/get?run_id={quote(run)}")
            uri = str(found.get("run", {}).get("info", {}).get("artifact_uri", ""))
            if not uri.startswith("mlflow-artifacts:"):
                raise Invalid(
                    f"the artifacts of run {run} do not go through the server", code="client.artifacts", hint=f"they lie at {uri}"
                )
            self._roots[run] = urlsplit(uri).path.strip("/")
        return self._roots[run]

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        if len(body) < GZIP_FROM:
            return self._ask("POST", path, body)
        return self._ask("POST", path, gzip.compress(body, 1), headers={"content-encoding": "gzip"})

    def _ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        sent = {"user-agent": f"perenne/{perenne.__version__}", "content-type": kind, **(headers or {})}
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        with self._lock:
            status, answer = self._exchange(method, self._base + path, body, sent)
        try:
            said = json.loads(answer) if answer else {}
        except ValueError:
            said = {}
        if status >= 300:
            raise _refusal(status, said if isinstance(said, dict) else {}, f"{method} {path.partition('?')[0]}")
        return said if isinstance(said, dict) else {}

    def _exchange(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Ask once; a connection that the server closed meanwhile is opened again, once."""
        for fresh in (self._connection is None, True):
            try:
                connection = self._connect()
                if hasattr(body, "seek"):
                    body.seek(0)
                connection.request(method, path, body=body, headers=dict(headers))
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                stale = isinstance(error, ConnectionError | http.client.RemoteDisconnected | http.client.CannotSendRequest)
                if fresh or not stale:
                    raise Unavailable(f"{self.url} cannot be reached: {error}", code="client.unreachable") from None
        raise AssertionError

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._tls:
                context = ssl.create_default_context(cafile=os.environ.get("PERENNE_CA") or None)
                made: http.client.HTTPConnection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=TIMEOUT, context=context
                )
            else:
                made = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            self._connection = made
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def begun(begin: Begin) -> dict[str, Any]:
    """Return what `POST /api/runs` reads."""
    said = msgspec.structs.asdict(begin)
    return {name: value for name, value in said.items() if name != "destination"} | {"id": said.pop("run")}


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


def _refusal(status: int, said: Mapping[str, Any], what: str) -> PerenneError:
    message = str(said.get("message") or said.get("error") or f"status {status}")[:500]
    code = str(said.get("error_code") or "client.refused")
    if status in _LATER:
        return Unavailable(f"{what}: {message}", code=code, hint=str(said.get("hint", "")))
    return _REFUSALS.get(status, Invalid)(f"{what}: {message}", code=code, hint=str(said.get("hint", "")))
