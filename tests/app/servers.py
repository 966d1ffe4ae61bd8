"""Both servers on real sockets: the control plane in a thread of the test, the model server as its own processes."""

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.serving.packages import ReleaseFolder
from tests.serving.worker import Worker, with_worker

from perenne import registry, serving
from perenne.app.control import application, control_routes
from perenne.app.door import Guarded
from perenne.app.model_server import build_routes
from perenne.auth.principals import Principal
from perenne.auth.publishing import publish
from perenne.auth.roles import Action, Role
from perenne.auth.tokens import Token, create_token
from perenne.core.clock import SystemClock
from perenne.core.config import load_settings
from perenne.net.connections import BoundedServer, bounded_config
from perenne.net.listening import LOOPBACK, Listening
from perenne.registry import Evidence, GatePolicy, Verdict
from perenne.serving import ModelServer, metrics
from perenne.storage.workspace import Workspace
from perenne.web.pages import PAGES

ROOT = Principal("root", roles=frozenset(Role), solo=True)
NAMES = {"project": "churn", "model": "churn", "version": "churn@1", "deployment": "churn", "event": "1"}


class RouteAsked(NamedTuple):
    """A route of a running server, with names in its path that exist, and what it asks for."""

    method: str
    path: str
    action: Action | None


class Answered(NamedTuple):
    """An answer as it came over the wire, and whatever came after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def open_workspace(home: Path, empty_database: Path, auth: str = "", rate: str = "0") -> Workspace:
    """Open a workspace by the real clock, for tokens expire by it."""
    settings = load_settings(home, {"PERENNE_AUTH": auth, "PERENNE_TOKEN_RATE": rate})
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "perenne.db").write_bytes(empty_database.read_bytes())
    return Workspace(settings, SystemClock())


def fill(workspace: Workspace) -> None:
    """Register a version that waits for approval and deploy another one, of the project `churn`."""

    def work(tx: Any) -> None:
        for tree, approve_by in (("a", "ops"), ("b", "")):
            version = registry.register(
                tx, ROOT, model="churn", project="churn", run="run", tree=tree * 64, reference="b" * 64, snapshot="c" * 64,
                policy=GatePolicy(("auc",), approve_by), evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
            )  # fmt: skip
        serving.service.deploy(tx, ROOT, "churn", version.id)

    workspace.database.write(work)


def token(workspace: Workspace, *roles: Role, name: str = "laptop", **more: Any) -> tuple[Token, str]:
    """Make a token and tell the model servers."""
    now = workspace.clock.now()
    made = workspace.database.write(lambda tx: create_token(tx, ROOT, name, frozenset(roles), now=now, **more))
    publish(workspace.database, workspace.settings.keyring, now)
    return made


@contextmanager
def control_plane(workspace: Workspace, listening: Listening = LOOPBACK) -> Iterator[int]:
    """Run a control plane and give its port."""
    with socket.create_server((listening.host, 0), backlog=512) as listener:
        port: int = listener.getsockname()[1]
        server = BoundedServer(bounded_config(application(workspace, port=port, listening=listening), listening))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started)
            yield port
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def model_server(release: ReleaseFolder, home: Path, **more: Any) -> Iterator[ModelServer]:
    """Run a model server."""
    with ModelServer(release.folder, home / "logs", home / "spool", **more) as running:
        running.wait_ready()
        yield running


def until(met: Any, seconds: float = 20.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def is_page(path: str) -> bool:
    """Tell whether an address opens the page, which takes the rest of it apart: its shell holds nothing of anybody's."""
    return path == "/" or path.startswith(tuple(f"/{name}/" for name in PAGES)) or path[1:] in PAGES


def routes_of_control_plane() -> list[RouteAsked]:
    """Walk the router of the control plane."""
    found = []
    for route in control_routes():
        assert isinstance(route.endpoint, Guarded)
        path = re.sub(r"\{(\w+)[^}]*\}", lambda part: NAMES.get(part[1], "01ARZ3NDEKTSV4RRFFQ69G5FAV-0"), route.path)
        found += [RouteAsked(method, path, route.endpoint.needs.action) for method in sorted(route.methods or ())]
    return found


def routes_of_model_server(release: ReleaseFolder) -> list[RouteAsked]:
    """Walk the router of a worker."""

    async def work(worker: Worker) -> list[RouteAsked]:
        await asyncio.sleep(0)
        found = []
        for route in [*build_routes(worker.runtime), *metrics.routes(worker.runtime)]:
            path = route.path.replace("{}", release.name, 1).replace("{}", "1", 1)
            found.append(RouteAsked(route.method, path, Action(route.action) if route.action else None))
        return found

    return with_worker(release.folder, work)


def send(port: int, sent: bytes, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> bytes:
    """Send raw bytes and return all that comes back until the server closes, of a stream of events the beginning."""
    with socket.create_connection((address, port), timeout=30) as plain:
        connection = context.wrap_socket(plain, server_hostname=address) if context else plain
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered already
            connection.sendall(sent)
        parts = []
        while data := connection.recv(65_536):
            parts.append(data)
            if b"content-type: text/event-stream" in parts[0]:
                break
        connection.close()
        return b"".join(parts)


def read(answer: bytes) -> Answered:
    """Take an answer apart."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), answer[:200]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", len(rest)))
    return Answered(int(lines[0].split()[1]), headers, rest[:length], rest[length:])


def request(method: str, path: str, port: int, body: bytes = b"", /, **headers: str) -> bytes:
    """Write a request that closes its connection; `host=""` leaves the header out."""
    lines = {"host": f"127.0.0.1:{port}", "connection": "close"}
    if body or method in ("POST", "PUT", "PATCH"):
        lines |= {"content-type": "application/json", "content-length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1") + body


def ask(method: str, path: str, port: int, body: bytes = b"", /, **headers: str) -> Answered:
    """Ask once over a new connection."""
    return read(send(port, request(method, path, port, body, **headers)))


def bearer(text: str) -> str:
    return f"Bearer {text}"
