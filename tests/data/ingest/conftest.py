"""A web server with files of ours, and sources that read them."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from perenne.auth.principals import Principal
from perenne.data.ingest.model import Mode, Refreshed, Source
from perenne.data.ingest.refreshing import ingest
from perenne.storage.workspace import Workspace

Ingest = Callable[..., Refreshed]


class Site:
    """Files by path; answers that were asked for otherwise by path too. Remembers what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.cut = False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "Site":
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        status, headers = self.answers.get(path, (200 if path in self.files else 404, {}))
        body = self.files.get(path, b"") if status == 200 else b""
        tag = f'"{hash(body)}"'
        if status == 200 and request.headers.get("If-None-Match") == tag:
            status, body = 304, b""
        self.asked.append((path, str(status)))
        request.send_response(status)
        for name, value in {"ETag": tag, "Content-Length": str(len(body) + (5 if self.cut else 0)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = True


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as opened:
        yield opened


@pytest.fixture
def read(workspace: Workspace, actor: Principal) -> Ingest:
    """Declare a source of the dataset `rows` and read it."""

    def declare(uri: str, *, replace: bool = False, accept: bool = False, **given: Any) -> Refreshed:
        given["mode"] = Mode(given.get("mode", "full"))
        return ingest(workspace, actor, Source(given.pop("dataset", "rows"), uri, **given), replace=replace, accept=accept)

    return declare
