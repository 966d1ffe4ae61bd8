"""The page beside the demo: the real control plane on the demo's workspace, in a thread of the same process."""

import os
import socket
import sys
import threading
import time
import webbrowser
from contextlib import ExitStack
from types import TracebackType

from perenne.app.control import application
from perenne.core.errors import Unavailable
from perenne.net.asgi import Application, Receive, Scope, Send
from perenne.net.connections import BoundedServer, bounded_config
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat
from perenne.telemetry.pulse import Pulse

START_SECONDS = 30.0
AWAY_SECONDS = 10.0
LIVE = "/api/live"


class Page:
    """Serves the control plane while the demo plays; use as a context manager.

    Parameters
    ----------
    workspace : Workspace
        The demo's, with its replayed clock.
    pulse : Pulse
        Of the loop beside it.
    port : int or None
        Where to listen; None takes the usual port, or a free one if that is taken.

    Attributes
    ----------
    url : str
        Where it answers.
    """

    def __init__(self, workspace: Workspace, pulse: Pulse, port: int | None) -> None:
        settings = workspace.settings
        self._socket = _listen(settings.host, settings.port, port)
        bound: int = self._socket.getsockname()[1]
        self.url = f"http://{settings.host}:{bound}"
        self._readers = _Readers(application(workspace, port=bound, pulse=pulse))
        self._server = BoundedServer(bounded_config(self._readers))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="perenne-demo-page", daemon=True
        )
        self._beat = Heartbeat(settings.home, "control-plane", address=self.url)
        self._open = ExitStack()

    def __enter__(self) -> "Page":
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise Unavailable("the page did not start", code="demo.page", hint="the demo's log says why: .perenne/demo.log")
            time.sleep(0.01)
        self._open.enter_context(self._beat)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()
        self._server.should_exit = True
        self._thread.join()

    @property
    def read(self) -> bool:
        """Whether somebody has a page open: each keeps a connection that listens for news."""
        return self._readers.present

    def show(self) -> None:
        """Open a browser, without waiting for it."""
        threading.Thread(target=webbrowser.open, args=(self.url,), name="perenne-demo-browser", daemon=True).start()


def has_display() -> bool:
    """Tell whether a browser that is opened here could be seen."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class _Readers:
    """Counts the pages that listen, and remembers when the last one left: a reload is no leaving."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._listening = 0
        self._left = -AWAY_SECONDS

    @property
    def present(self) -> bool:
        return self._listening > 0 or time.monotonic() - self._left < AWAY_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != LIVE:
            await self._inner(scope, receive, send)
            return
        self._listening += 1
        try:
            await self._inner(scope, receive, send)
        finally:
            self._listening -= 1
            self._left = time.monotonic()


def _listen(host: str, usual: int, asked: int | None) -> socket.socket:
    """Listen where asked, or at the usual port, or at a free one."""
    wanted = (usual, 0) if asked is None else (asked,)
    for port in wanted:
        try:
            return socket.create_server((host, port), backlog=512)
        except OSError as error:
            problem = error.strerror
    raise Unavailable(
        f"port {wanted[-1]} on {host} cannot be listened on: {problem}", code="demo.port", hint="leave --port out for a free one"
    )
