"""The control plane's application in the test's own event loop, as `perenne up` builds it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from perenne.app.control import application
from perenne.storage.workspace import Workspace
from perenne.telemetry.pulse import Pulse

Ask = Callable[..., httpx.Response]


@pytest.fixture
def pulse() -> Pulse:
    pulse = Pulse()
    with pulse.turn():
        pass
    return pulse


@pytest.fixture
def ask(workspace: Workspace, pulse: Pulse) -> Ask:
    """Ask the application something and wait for the answer."""
    app = application(workspace, port=7373, pulse=pulse)

    async def answer(method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7373") as client:
            return await client.request(method, path, **more)

    return lambda method, path, **more: asyncio.run(answer(method, path, **more))
