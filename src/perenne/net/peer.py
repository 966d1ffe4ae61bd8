"""Asking a server that a person named, over one connection that stays open: JSON in, JSON out, files streamed."""

import gzip
import http.client
import json
import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import perenne
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError, Unavailable

TIMEOUT = 60
GZIP_FROM = 1_024
_CHUNK = 1 << 20
_REFUSALS: dict[int, type[PerenneError]] = {404: NotFound, 405: NotFound, 409: Conflict, 501: NotFound}
_LATER = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504, 507})
"""Statuses after which trying again may help: where the token is wrong, another may be set."""


class Peer:
    """A server, asked by one thread at a time.

    Parameters
    ----------
    url : str
        Where it is; checked by `checked_url`.
    token : str
        Shown with every request, if there is one.
    zips : bool
        Whether it takes bodies that are compressed.
    """

    def __init__(self, url: str, token: str = "", *, zips: bool = True) -> None:
        parts = urlsplit(url)
        self.url = url
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._base = parts.path.rstrip("/")
        self._headers = {"user-agent": f"perenne/{perenne.__version__}", "accept": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._zips = zips
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def get(self, path: str) -> dict[str, Any]:
        """Get an object. Raises as `send` does."""
        return self.send("GET", path)

    def post(self, path: str, value: bytes, method: str = "POST") -> dict[str, Any]:
        """Send JSON and return the object that is answered. Raises as `send` does."""
        if len(value) < GZIP_FROM or not self._zips:
            return self.send(method, path, value)
        return self.send(method, path, gzip.compress(value, 1), headers={"content-encoding": "gzip"})

    def put_file(self, path: str, file: Path) -> None:
        """Send a file without holding it in memory. Raises as `send` does."""
        with file.open("rb") as stream:
            self.send("PUT", path, stream, "application/octet-stream", {"content-length": str(file.stat().st_size)})

    def fetch(self, path: str, target: Path) -> None:
        """Write what is answered to a file. Raises as `send` does."""
        with self._lock:
            answer = self._exchange("GET", path, None, self._headers)
            if answer.status >= 300:
                raise _refusal(answer.status, _object(answer.read()), f"GET {path.partition('?')[0]}")
            try:
                with target.open("wb") as stream:
                    while piece := answer.read(_CHUNK):
                        stream.write(piece)
            except http.client.HTTPException as error:
                self._hang_up()
                raise self._unreachable(error) from None

    def send(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Ask for something, and return the object that is answered, empty if it is none.

        Raises
        ------
        Unavailable
            If the server cannot be reached or cannot take it now, or does not know the token.
        PerenneError
            If it refuses.
        """
        with self._lock:
            answer = self._exchange(method, path, body, {**self._headers, "content-type": kind, **(headers or {})})
            try:
                said = _object(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                raise self._unreachable(error) from None
        if answer.status >= 300:
            raise _refusal(answer.status, said, f"{method} {path.partition('?')[0]}")
        return said

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._hang_up()

    def _exchange(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Ask once; a connection that the server closed meanwhile is opened again, once."""
        for fresh in (self._connection is None, True):
            try:
                connection = self._connect()
                if hasattr(body, "seek"):
                    body.seek(0)
                connection.request(method, self._base + path, body=body, headers=dict(headers))
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                stale = isinstance(error, ConnectionError | http.client.RemoteDisconnected | http.client.CannotSendRequest)
                if fresh or not stale:
                    raise self._unreachable(error) from None
        raise AssertionError

    def _unreachable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"{self.url} cannot be reached: {error or type(error).__name__}", code="peer.unreachable", hint="is it running?"
        )

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._tls:
                context = ssl.create_default_context(cafile=os.environ.get("PERENNE_CA") or None)
                made: http.client.HTTPConnection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=TIMEOUT, context=context
                )
            else:
                made = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            self._connection = made
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def checked_url(url: str) -> str:
    """Return a server's URL without a slash at its end.

    Raises
    ------
    Invalid
        If it is no URL of a server, or holds a password, which does not belong there.

    >>> checked_url("http://127.0.0.1:7373/")
    'http://127.0.0.1:7373'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url[:100]!r} is no server's URL", code="peer.url", hint="such as http://127.0.0.1:7373")
    if parts.username or parts.password:
        raise Invalid("the server's URL holds a name or password", code="peer.url", hint="say the token by the environment")
    return url.rstrip("/")


def _object(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data) if data else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(status: int, said: Mapping[str, Any], what: str) -> PerenneError:
    message = str(said.get("message") or said.get("error") or f"status {status}")[:500]
    code, hint = str(said.get("error_code") or "peer.refused"), str(said.get("hint", ""))
    kind = Unavailable if status in _LATER else _REFUSALS.get(status, Invalid)
    return kind(f"{what}: {message}", code=code, hint=hint)
