"""A relay in front of a database server that cuts the line at a chosen word: real sockets, real protocol."""

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import Literal

Cut = Literal["before", "after"]


class CuttingProxy:
    """Passes everything on, until it is told to cut the line when the next COMMIT comes by.

    `before` drops the COMMIT, so that the server never hears it; `after` passes it on and waits for the server's answer, which
    the client never gets.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self.folder = Path(tempfile.mkdtemp(prefix="perenne-cut-"))
        self.cuts: list[Cut] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / ".s.PGSQL.5432"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            threading.Thread(target=self._to_client, args=(server, client), daemon=True).start()
            threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()

    def _to_client(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                client.sendall(data)
        self._hang_up(client, server)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                if self.cuts and b"COMMIT\0" in data:
                    cut = self.cuts.pop(0)
                    self._hang_up(client)
                    if cut == "after":
                        server.sendall(data)
                        server.settimeout(10)
                        server.recv(65_536)
                    break
                server.sendall(data)
        self._hang_up(client, server)

    def _hang_up(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
