"""Requests and answers as CloudEvents, sent as KServe's logger does: a request and its answer are two events of one id.

The bodies are written anew, in the inference protocol, from the rows as they are logged: sampled, and without what is hidden. A
thread sends them; what waits is bounded, and what finds no room, or is refused, is counted and forgotten.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from perenne.core.clock import format_time
from perenne.core.errors import PerenneError
from perenne.formats import cloudevents
from perenne.formats.cloudevents import CloudEvent
from perenne.serving.redaction import FEATURE, MASKED

if TYPE_CHECKING:
    import pyarrow as pa

    from perenne.net.egress import Egress

log = logging.getLogger("perenne.observer")

MOST_EVENTS = 20_000
MOST_BYTES = 16 * 1024 * 1024
AT_ONCE = 100
LONGEST_PAUSE = 30.0


class EventSender:
    """Sends events.

    Parameters
    ----------
    url : str
        Where to.
    mode : str
        `binary`, `structured` or `batch`.
    egress : Egress
        Who asks others.
    count : callable
        Is told how many events were sent, and how many were dropped.
    """

    def __init__(self, url: str, mode: str, egress: "Egress", count: Callable[[int, int], None]) -> None:
        self._url = url
        self._mode = mode
        self._egress = egress
        self._count = count
        self._waiting: deque[CloudEvent] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._pause = 0.0
        self._thread = threading.Thread(target=self._run, name="perenne-events", daemon=True)
        self._thread.start()

    def put(self, table: "pa.Table", deployment: str) -> None:
        """Queue the events of rows of the log; those that find no room are dropped and counted."""
        for event in events(table, deployment):
            with self._changed:
                if len(self._waiting) >= MOST_EVENTS or self._bytes + len(event.data) > MOST_BYTES:
                    self._count(0, 1)
                    continue
                self._waiting.append(event)
                self._bytes += len(event.data)
                self._changed.notify()

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, for so long; drop and count the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            self._count(0, len(self._waiting))
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE if self._mode == "batch" else 1))]
                self._bytes -= sum(len(event.data) for event in taken)
            self._send(taken)

    def _send(self, taken: list[CloudEvent]) -> None:
        try:
            headers, body = self._written(taken)
            status = self._egress.request("POST", self._url, body, headers).status
            problem = "" if 200 <= status < 300 else f"status {status}"
        except PerenneError as error:
            problem = error.message
        if not problem:
            self._pause = 0.0
            self._count(len(taken), 0)
            return
        self._count(0, len(taken))
        if not self._pause:
            log.error("events cannot be sent: %s", problem)
        self._pause = min(LONGEST_PAUSE, max(0.5, 2 * self._pause))
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._pause)

    def _written(self, taken: list[CloudEvent]) -> tuple[dict[str, str], bytes]:
        if self._mode == "batch":
            return cloudevents.write_batch(taken)
        return (cloudevents.write_structured if self._mode == "structured" else cloudevents.write_binary)(taken[0])


def events(table: "pa.Table", deployment: str) -> Iterator[CloudEvent]:
    """Go through the requests in rows of the log: of each, what was asked, then what was answered."""
    columns: dict[str, list[Any]] = {name: _plain(table.column(name)) for name in _TAKEN}
    kinds = {name: _datatype(table.schema.field(name).type) for name in table.column_names if name.startswith((FEATURE, MASKED))}
    inputs = {name: _plain(table.column(name)) for name in kinds}
    kinds["prediction"] = _datatype(table.schema.field("prediction").type)
    start = 0
    for request_id, group in groupby(columns["request_id"]):
        rows = slice(start, start + sum(1 for _ in group))
        start = rows.stop
        first = columns["row"][rows.start]
        identity = request_id if first == 0 else f"{request_id}.{first}"  # a large request comes in parts
        version = columns["version"][rows.start]
        asked = [_tensor(name[2:], kinds[name], values[rows]) for name, values in inputs.items()]
        answered = [_tensor("prediction", kinds["prediction"], columns["prediction"][rows])]
        if columns["scores"][rows.start] is not None:
            answered.append(_probabilities(columns["scores"][rows]))
        answer = {"model_name": deployment, "model_version": version.rpartition("@")[2], "id": identity, "outputs": answered}
        about = {"inferenceservicename": deployment, "component": "predictor", "endpoint": columns["variant"][rows.start]}
        when = format_time(columns["arrival"][rows.start])
        for kind, body in ((cloudevents.REQUEST, {"id": identity, "inputs": asked}), (cloudevents.RESPONSE, answer)):
            yield CloudEvent(
                id=identity,
                source=f"/perenne/deployments/{deployment}",
                type=kind,
                time=when,
                data=msgspec.json.encode(body),
                extensions=about,
            )


_TAKEN = ("request_id", "row", "variant", "version", "prediction", "scores", "arrival")


def _plain(column: "pa.ChunkedArray[Any]") -> list[Any]:
    import pyarrow as pa

    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()


def _datatype(kind: "pa.DataType") -> str:
    import pyarrow as pa

    if pa.types.is_timestamp(kind) or pa.types.is_integer(kind):
        return "INT64"
    if pa.types.is_list(kind):
        return _datatype(kind.value_type)
    return "FP64" if pa.types.is_floating(kind) else "BOOL" if pa.types.is_boolean(kind) else "BYTES"


def _tensor(name: str, datatype: str, values: list[Any]) -> dict[str, Any]:
    """Write a column as a tensor; one of lists, flat, with their length as its second dimension."""
    if values and isinstance(values[0], list):
        flat = [value for row in values for value in row or ()]
        return {"name": name, "shape": [len(values), len(flat) // len(values)], "datatype": datatype, "data": flat}
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def _probabilities(scores: list[list[float]]) -> dict[str, Any]:
    flat = [value for row in scores for value in row]
    return {"name": "probabilities", "shape": [len(scores), len(scores[0])], "datatype": "FP64", "data": flat}
