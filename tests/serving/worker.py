"""A worker without its process: the real application, runtime, batcher and wire, in the test's own event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np

from perenne.app.model_server import build_routes
from perenne.net.inbound import Limits
from perenne.serving import metrics
from perenne.serving.application import Application
from perenne.serving.batching import Batcher
from perenne.serving.counters import Counters
from perenne.serving.lineup import load_lineup
from perenne.serving.messages import PackedColumn, Served, unpack_message
from perenne.serving.mirror import Mirror
from perenne.serving.options import socket_pair
from perenne.serving.releases import read_release
from perenne.serving.runtime import Runtime
from perenne.serving.switches import Switches

T = TypeVar("T")


class Worker:
    """What a test asks, and what the observer would have read."""

    def __init__(self, folder: Path, queue_rows: int = 100_000, body: int = 1 << 25, *, repository: bool = False) -> None:
        self._ours, self.wire = socket_pair()
        self.counters = Counters.create(2)
        switches = Switches.create() if repository else None
        self.runtime = Runtime(Batcher(queue_rows), Mirror(self._ours, self.counters), self.counters, switches)
        self.folder = folder
        self.reload()
        routes = [*build_routes(self.runtime), *metrics.routes(self.runtime)]
        self.application = Application(routes, self.runtime, Limits(hosts=frozenset(["test"]), body=body))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.application), base_url="http://test")

    def reload(self) -> None:
        self.runtime.lineup = load_lineup(self.folder, read_release(self.folder), self.runtime.lineup)

    def close(self) -> None:
        self.runtime.close()
        self._ours.close()
        self.wire.close()

    def observed(self) -> list[Served]:
        """Take what was sent to the observer so far."""
        self.runtime.mirror.pump()
        return [served for data in received(self.wire) for served in unpack_message(data)[1]]


def numbers_of(column: PackedColumn) -> list[float]:
    """Read a packed column of numbers."""
    assert isinstance(column, bytes)
    return [float(value) for value in np.frombuffer(column)]


def received(wire: socket.socket) -> list[bytes]:
    messages = []
    while True:
        try:
            messages.append(wire.recv(1 << 20))
        except BlockingIOError:
            return messages


def with_worker(folder: Path, work: Callable[[Worker], Awaitable[T]], queue_rows: int = 100_000, **more: Any) -> T:
    """Run a coroutine with a worker of a release folder."""

    async def run() -> T:
        worker = Worker(folder, queue_rows, **more)
        try:
            return await work(worker)
        finally:
            worker.close()

    return asyncio.run(run())
