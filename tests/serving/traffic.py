"""Callers that keep asking, each over a connection of its own, and remember every answer."""

import http.client
import json
import socket
import threading
from typing import Any

from tests.serving.packages import as_tensors, flights


def ask(port: int, body: bytes, path: str = "/v2/models/delays/infer", **headers: str) -> tuple[int, dict[str, Any]]:
    """Ask once over a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def infer_body(rows: int, seed: int = 0) -> bytes:
    return json.dumps({"inputs": as_tensors(flights(rows, seed))}).encode()


def exchange(port: int, sent: bytes, *, shut: bool = False) -> bytes:
    """Send raw bytes and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while data := connection.recv(65_536):
            parts.append(data)
        return b"".join(parts)


class Traffic:
    """Several callers at once, each with a pause of some seconds after an answer; use as a context manager.

    Attributes
    ----------
    answers : list of (int, dict)
        Every status and body.
    lost : list of str
        Requests that got no whole answer.
    """

    def __init__(self, port: int, callers: int = 4, rows: int = 2, pause: float = 0.0) -> None:
        self._port = port
        self._body = infer_body(rows, seed=1)
        self._pause = pause
        self._done = threading.Event()
        self._answered = threading.Condition()
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.lost: list[str] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more requests were answered."""
        with self._answered:
            goal = len(self.answers) + more
            assert self._answered.wait_for(lambda: len(self.answers) >= goal or bool(self.lost), timeout=60)

    def _call(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._done.wait(self._pause):
            try:
                connection.request("POST", "/v2/models/delays/infer", self._body)
                response = connection.getresponse()
                answer = response.status, json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self._answered:
                    self.lost.append(repr(error))
                    self._answered.notify_all()
                connection.close()
                continue
            with self._answered:
                self.answers.append(answer)
                self._answered.notify_all()
        connection.close()
