"""An https server on loopback that remembers what it was told, with a certificate that the tests trust."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it is given, then with 200."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[dict[str, str], str]] = []
        self.statuses: list[int] = []

    @property
    def authority(self) -> str:
        return f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        return f"https://{self.authority}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.seen.append(({name.lower(): text for name, text in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"thanks")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Run a receiver that this process trusts and may tell of things."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    server = Receiver(context)
    monkeypatch.setenv("PERENNE_WEBHOOK_ALLOW", server.authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
