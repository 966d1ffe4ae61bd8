"""Predictions as lines of Elastic Common Schema JSON, for Filebeat: names of ECS, and ours under `ml.`.

::

    logs/ecs/<deployment>-<server>.ndjson       the newest lines
    logs/ecs/<deployment>-<server>.<n>.ndjson   those before; a few of a deployment are kept

A line is written whole. A file of 64 MiB gets its number and another one begins; readers that hold it open go on reading it.
"""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import perenne
from perenne.core.clock import format_time
from perenne.formats import ecs
from perenne.serving.redaction import FEATURE, MASKED

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("perenne.observer")

MAX_BYTES = 64 * 1024 * 1024
KEPT_FILES = 5
DATASET = "perenne.inference"


class EcsLog:
    """Writes lines.

    Parameters
    ----------
    logs : Path
        The folder of logs.
    deployment, server : str
        Whose lines, of which server.
    most : int
        Bytes after which a file is full.
    """

    def __init__(self, logs: Path, deployment: str, server: str, most: int = MAX_BYTES) -> None:
        self._folder = logs / "ecs"
        self._name = f"{deployment}-{server}"
        self._deployment = deployment
        self._most = most
        self._stream: int | None = None
        self._size = 0
        self._refused = False

    def write(self, table: "pa.Table", sample: float) -> int:
        """Write the rows of the log as lines; return how many the disk refused."""
        lines = [ecs.encode(record) for record in records(table, self._deployment, sample)]
        try:
            self._append(b"".join(lines))
        except OSError as error:
            if not self._refused:
                log.error("lines of ECS cannot be written: %s", error.strerror)
            self._refused = True
            return len(lines)
        self._refused = False
        return 0

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def _append(self, data: bytes) -> None:
        if self._stream is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._stream = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            self._size = os.fstat(self._stream).st_size
        written = 0
        while written < len(data):  # a disk that fills up takes a part: the rest of the line follows, or the file ends there
            written += os.write(self._stream, data[written:])
        self._size += len(data)
        if self._size >= self._most:
            self._rotate()

    def _rotate(self) -> None:
        self.close()
        os.replace(self._path(), self._folder / f"{self._name}.{time.time_ns()}.ndjson")
        full = [path for path in self._folder.glob("*.*.ndjson") if path.name.startswith(f"{self._deployment}-")]
        for path in sorted(full, key=lambda path: path.stat().st_mtime_ns)[:-KEPT_FILES]:
            path.unlink(missing_ok=True)

    def _path(self) -> Path:
        return self._folder / f"{self._name}.ndjson"


def records(table: "pa.Table", deployment: str, sample: float) -> Iterator[dict[str, Any]]:
    """Go through rows of the log as records of ECS."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in _TAKEN}
    inputs = {name[2:]: table.column(name).to_pylist() for name in table.column_names if name.startswith((FEATURE, MASKED))}
    arrivals: list[Any] = table.column("arrival").cast(pa.int64()).to_pylist()
    numbers = table.schema.field("prediction").type == "double"
    ingested = format_time(time.time_ns() // 1_000)
    common = _common(deployment, ingested, sample)
    for row, arrival in enumerate(arrivals):
        values = {name: column[row] for name, column in columns.items()}
        features = {name: column[row] for name, column in inputs.items()}
        yield {"@timestamp": format_time(arrival), **common, **_fields(values, numbers=numbers), "ml.features": features}


_TAKEN = ("prediction_id", "request_id", "variant", "version", "prediction", "score", "scores", "latency_us", "status", "reason")


def _common(deployment: str, ingested: str, sample: float) -> dict[str, Any]:
    return {
        "log.level": "info",
        "message": f"{deployment} answered",
        "ecs.version": ecs.VERSION,
        "log.logger": DATASET,
        "event.ingested": ingested,
        "event.kind": "event",
        "event.category": ["api"],
        "event.type": ["info"],
        "event.dataset": DATASET,
        "event.module": "perenne",
        "event.action": "predict",
        "data_stream.type": "logs",
        "data_stream.dataset": DATASET,
        "data_stream.namespace": "default",
        "service.name": deployment,
        "service.version": perenne.__version__,
        "service.node.name": socket.gethostname(),
        "ml.sample.rate": sample,
    }


def _fields(values: Mapping[str, Any], *, numbers: bool) -> dict[str, Any]:
    """Return the fields of one row; what is not known is left out."""
    model, _, number = values["version"].rpartition("@")
    failed = values["status"] >= 500
    fields = {
        "event.id": values["prediction_id"],
        "event.outcome": "failure" if failed else "success",
        "event.duration": values["latency_us"] * 1_000,
        "http.request.id": values["request_id"],
        "http.response.status_code": values["status"],
        "ml.model.name": model,
        "ml.model.version": number,
        "ml.model.variant": values["variant"],
        "ml.prediction.value" if numbers else "ml.prediction.label": values["prediction"],
        "ml.prediction.score": values["score"],
        "ml.prediction.proba": values["scores"],
        "ml.reason": values["reason"] or None,
    }
    if failed:
        fields |= {
            "log.level": "error",
            "error.type": "ModelFailed",
            "error.message": "model failed",
            "error.code": "INTERNAL_ERROR",
        }
    return {name: value for name, value in fields.items() if value is not None}
