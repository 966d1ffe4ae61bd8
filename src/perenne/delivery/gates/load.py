"""Load on the real model server: several callers at once, each with the next of many distinct rows, warm-up left out.

Every caller waits for its answer before it asks again, so that the server is never asked more than `concurrency` things at once.
The callers are one thread of this process, which costs what it costs: on a machine with one core it takes part of it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import msgspec
import numpy as np

from perenne.core import json
from perenne.core.clock import format_time
from perenne.delivery.gates.trial import NAME, serve_trial
from perenne.formats.oip import FLOATS, INTEGERS
from perenne.inference import Signature
from perenne.registry import Version
from perenne.stats.columns import Columns, Field, FieldKind, row_count, take
from perenne.storage.workspace import Workspace
from perenne.telemetry.process import cpu_seconds_of, resident_bytes_of

WARM_UP = 50
"""Requests left out for each caller: connections, caches and the choice of a form settle in them."""

LEAST = 200
"""Answers below which nothing is said of a 99th percentile."""

PATIENCE = 60.0
"""Seconds after which a run ends, however little it has seen."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What callers saw, and what it cost; None where the system does not tell.

    Attributes
    ----------
    requests, errors : int
        Answers counted, and those that were none.
    rows : int
        Distinct rows that were asked in turn.
    cpu_us : float or None
        Processor time of the workers for each request, in microseconds.
    start_seconds : float
        From the start of the server's processes until they answered.
    resident_mb : float or None
        Memory of the largest worker after the run, in megabytes.
    """

    concurrency: int
    workers: int
    requests: int
    errors: int
    rows: int
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    rps: float
    cpu_us: float | None
    start_seconds: float
    resident_mb: float | None
    problem: str = ""


def measure(
    workspace: Workspace, version: Version, signature: Signature, rows: Columns, *, concurrency: int, workers: int, seconds: float
) -> Load:
    """Start a model server over a version, ask it for some time, and stop it.

    Raises
    ------
    Unavailable
        If it does not get ready.
    """
    with serve_trial(workspace, version, workers=workers) as served:
        requests = [_request(served.server.port, body) for body in bodies(signature, rows)]
        callers = Callers(served.server.port, requests, concurrency, seconds, lambda: _cpu(served.workers))
        asyncio.run(callers.run())
        memory = [used for pid in served.workers.values() if (used := resident_bytes_of(pid)) is not None]
    took = np.array(callers.taken, np.float64) / 1e6
    enough = len(took) >= LEAST
    return Load(
        concurrency=concurrency,
        workers=workers,
        requests=len(took),
        errors=callers.errors,
        rows=len(requests),
        seconds=callers.seconds,
        p50_ms=float(np.quantile(took, 0.5)) if enough else None,
        p99_ms=float(np.quantile(took, 0.99)) if enough else None,
        rps=len(took) / callers.seconds if callers.seconds else 0.0,
        cpu_us=callers.cpu / len(took) * 1e6 if callers.cpu is not None and len(took) else None,
        start_seconds=served.start_seconds,
        resident_mb=max(memory) / 1e6 if memory else None,
        problem=callers.problem,
    )


def _cpu(workers: Mapping[str, int]) -> float | None:
    spent = [cpu_seconds_of(pid) for pid in workers.values()]
    return None if None in spent or not spent else sum(value for value in spent if value is not None)


class Callers:
    """Some callers of one server, until enough was seen.

    Attributes
    ----------
    taken : list of int
        Nanoseconds of each answer that counts.
    errors : int
        Answers with another status than 200, and connections that broke.
    cpu : float or None
        Processor seconds of the workers while it counted.
    """

    def __init__(self, port: int, requests: list[bytes], concurrency: int, seconds: float, cpu: Any) -> None:
        self._port = port
        self._next = cycle(requests)
        self._concurrency = concurrency
        self._wanted = seconds
        self._cpu = cpu
        self._warm = WARM_UP * concurrency
        self._seen = 0
        self._began = self._stop = 0.0
        self._cpu_before: float | None = None
        self._left = concurrency
        self._ended = asyncio.Event()
        self.taken: list[int] = []
        self.errors = 0
        self.problem = ""
        self.seconds = 0.0
        self.cpu: float | None = None

    async def run(self) -> None:
        """Ask until the time is over."""
        loop = asyncio.get_running_loop()
        self._stop = time.perf_counter() + PATIENCE
        made = [await loop.create_connection(lambda: _Caller(self), "127.0.0.1", self._port) for _ in range(self._concurrency)]
        try:
            await asyncio.wait_for(self._ended.wait(), PATIENCE + self._wanted)
        except TimeoutError:
            self.problem = f"not every caller got an answer within {PATIENCE:g} s"
            self.errors += self._left
        for transport, _ in made:
            transport.abort()
        if self._began:
            self.seconds = time.perf_counter() - self._began
            after = self._cpu()
            self.cpu = None if after is None or self._cpu_before is None else after - self._cpu_before

    def request(self) -> bytes:
        """Return the next request."""
        return next(self._next)

    def note(self, nanoseconds: int, status: int, body: bytes) -> bool:
        """Count an answer; tell whether to go on."""
        self._seen += 1
        if status != 200:
            self.errors += 1
            self.problem = self.problem or f"status {status}: {body[:200].decode('utf-8', 'replace')}"
        now = time.perf_counter()
        if self._began:
            if status == 200:
                self.taken.append(nanoseconds)
        elif self._seen >= self._warm or now > self._stop - PATIENCE / 2:
            self._began, self._cpu_before = now, self._cpu()
            self._stop = min(self._stop, now + self._wanted)
        few = len(self.taken) < LEAST and now < self._stop + PATIENCE / 2 and not self.errors
        return now < self._stop or (bool(self._began) and few)

    def leave(self, problem: str = "") -> None:
        """Hear that a caller is done, or why it broke off."""
        if problem:
            self.errors += 1
            self.problem = self.problem or problem
        self._left -= 1
        if self._left == 0:
            self._ended.set()


class _Caller(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._buffer = b""
        self._began = 0
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def _ask(self) -> None:
        self._buffer = b""
        self._began = time.perf_counter_ns()
        self._transport.write(self._callers.request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        taken = time.perf_counter_ns() - self._began
        if self._callers.note(taken, int(head[9:12]), body):
            self._ask()
        else:
            self._leave("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave("the server closed a connection" + (f": {exc}" if exc else ""))

    def _leave(self, problem: str) -> None:
        if not self._done:
            self._done = True
            self._callers.leave(problem)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _request(port: int, body: bytes) -> bytes:
    return (
        f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def bodies(signature: Signature, rows: Columns) -> list[bytes]:
    """Write each row as a request of its own by the Open Inference Protocol."""
    return [json.encode({"inputs": list(_tensors(signature, take(rows, slice(at, at + 1))))}) for at in range(row_count(rows))]


def _tensors(signature: Signature, row: Columns) -> Iterator[dict[str, Any]]:
    for field in signature.fields:
        column = row.get(field.name)
        if field.kind is FieldKind.TENSOR and column is not None:
            yield {
                "name": field.name, "shape": list(column.shape), "datatype": _datatype(field), "data": column.ravel().tolist(),
            }  # fmt: skip
            continue
        datatype, values = _written(field, [None] if column is None else column.tolist())
        yield {"name": field.name, "shape": [1], "datatype": datatype, "data": values}


def _datatype(field: Field) -> str:
    """Return the protocol's word for the values of a tensor."""
    names = {dtype.name: name for name, dtype in {**INTEGERS, **FLOATS}.items()}
    return {**names, "bool": "BOOL"}.get(field.datatype, "BYTES")


def _written(field: Field, values: list[Any]) -> tuple[str, list[Any]]:
    """Return a column as the protocol has it: times as text, for there may be none."""
    match field.kind:
        case FieldKind.NUMBER:
            return "FP64", values
        case FieldKind.TIME:
            return "BYTES", [None if value is None or value != value else format_time(int(value * 1e6)) for value in values]
        case _:
            return "BYTES", values
