"""Handing the listening socket to a successor, so that a model server can be replaced as a whole and no connection is refused.

The successor asks at a socket in the release folder, `.serve-<port>.sock`, which only the same user can open. It gets the
listening socket, starts its workers beside the old ones on it, and says so once they answer; then the old server goes.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_SECONDS = 10.0
_GO = b"go"


class Handover:
    """Waits for a successor.

    Parameters
    ----------
    folder : Path
        The release folder.
    listening : socket
        What is handed over.
    leave : callable
        Called once the successor answers.
    """

    def __init__(self, folder: Path, listening: socket.socket, leave: Callable[[], None]) -> None:
        self._folder = folder
        self._name = _name(listening.getsockname()[1])
        self._listening = listening
        self._leave = leave
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(folder, self._name) as address:
            Path(address).unlink(missing_ok=True)  # of a server that was killed: the port is ours
            before = os.umask(0o177)
            try:
                self._door.bind(address)
            finally:
                os.umask(before)
        self._door.listen(1)
        threading.Thread(target=self._wait, name="perenne-handover", daemon=True).start()

    def close(self) -> None:
        """Wait no longer."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _wait(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:  # closed
                return
            with caller, contextlib.suppress(OSError):
                socket.send_fds(caller, [_GO], [self._listening.fileno()])
                if caller.recv(len(_GO)) == _GO:
                    (self._folder / self._name).unlink(missing_ok=True)
                    caller.sendall(_GO)
                    self._leave()
                    return


class Predecessor:
    """The server that is to be replaced: its listening socket, and the way to tell it to go."""

    def __init__(self, line: socket.socket, listening: socket.socket) -> None:
        self._line = line
        self.listening = listening

    def let_go(self) -> None:
        """Tell it that its successor answers; it goes, and no longer waits for one."""
        with self._line, contextlib.suppress(OSError):
            self._line.sendall(_GO)
            self._line.settimeout(_SECONDS)
            self._line.recv(len(_GO))


def find_predecessor(folder: Path, port: int) -> Predecessor | None:
    """Ask the server that serves a release folder at a port for its listening socket; None if there is none."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_SECONDS)
    try:
        with _short(folder, _name(port)) as address:
            line.connect(address)
        _, handles, _, _ = socket.recv_fds(line, len(_GO), 1)
    except OSError:
        line.close()
        return None
    if not handles:
        line.close()
        return None
    line.settimeout(None)
    return Predecessor(line, socket.socket(fileno=handles[0]))


def _name(port: int) -> str:
    return f".serve-{port}.sock"


@contextlib.contextmanager
def _short(folder: Path, name: str) -> Iterator[str]:
    """Give an address that fits: the kernel takes a hundred bytes of path, and folders may lie deep."""
    if not Path("/proc/self/fd").is_dir():
        yield str(folder / name)
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)
