"""A worker in an event loop of its own, which lasts for a module: for tests that ask it many things one after the other."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from tests.serving.worker import Worker


class Target:
    """Asks a worker of a release folder; more arguments go to `Worker`."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self._runner = asyncio.Runner()
        self.worker = self._runner.run(self._make(folder, more))

    async def _make(self, folder: Path, more: dict[str, Any]) -> Worker:
        return Worker(folder, **more)

    def post(self, path: str, body: bytes, headers: dict[str, Any] | None = None) -> httpx.Response:
        """Post a body."""
        return self._runner.run(self.worker.client.post(path, content=body, headers=headers or {}))

    def close(self) -> None:
        """End the worker and its loop."""
        self.worker.close()
        self._runner.close()
