"""A relay between a client and a server, which can be told to misbehave as networks do."""

import contextlib
import socket
import threading


class Relay:
    """Passes bytes on between its own port and another one on loopback.

    Attributes
    ----------
    allowance : int or None
        How many bytes may still pass; then every connection is cut. None for no limit.
    silent : bool
        Whether what arrives is taken and nothing passed on or answered.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self.allowance: int | None = None
        self.silent = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            if not self.silent:
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open.add(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not self._allows(len(data)):
                    self._cut()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _allows(self, size: int) -> bool:
        with self._lock:
            if self.allowance is not None:
                self.allowance -= size
            return self.allowance is None or self.allowance >= 0

    def _cut(self) -> None:
        with self._lock:
            sockets, self._open = self._open, set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
