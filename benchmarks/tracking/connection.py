"""One connection to a server, kept alive: as little between the clock and the server as there can be."""

import json
import socket
from typing import Any
from urllib.parse import urlencode


class Connection:
    """Asks one request after the other.

    Parameters
    ----------
    port : int
        Of a server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb", buffering=1 << 16)
        self._host = f"127.0.0.1:{port}"

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()

    def post(self, path: str, value: Any) -> Any:
        """Send JSON to one of MLflow's 2.0 endpoints and return what it answers."""
        return json.loads(self.send("POST", f"/api/2.0/mlflow/{path}", json.dumps(value).encode()))

    def get(self, path: str, **query: Any) -> Any:
        """Ask one of MLflow's 2.0 endpoints."""
        return json.loads(self.send("GET", f"/api/2.0/mlflow/{path}?{urlencode(query)}"))

    def send(self, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """Send a request and return the body of a 200; anything else ends the benchmark."""
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode())
        if body:
            self._socket.sendall(body)
        status = int(self._stream.readline().split()[1])
        answer = self._read_body()
        if status != 200:
            raise SystemExit(f"{method} {target} answered {status}: {answer[:500]!r}")
        return answer

    def _read_body(self) -> bytes:
        length, chunked = 0, False
        while (line := self._stream.readline().strip().lower()) != b"":
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
            chunked = chunked or (name == b"transfer-encoding" and b"chunked" in value)
        return self._read_chunks() if chunked else self._stream.read(length)

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self._stream.readline(), 16):
            parts.append(self._stream.read(size))
            self._stream.readline()
        self._stream.readline()
        return b"".join(parts)
