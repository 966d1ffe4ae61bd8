"""A command at a pseudo-terminal: what it prints is read as it comes, what is typed goes to it."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

DEADLINE_SECONDS = 120.0

_COMMAND = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('perenne', run_name='__main__')"
)
"""Whoever sits at a terminal can interrupt; tests in the background of a shell would hand down that they cannot."""


class Terminal:
    """Runs `perenne` at a terminal; use as a context manager.

    Parameters
    ----------
    folder : Path
        Where it is called.
    arguments : str
        What stands behind `perenne`.
    environment : str
        Variables beside the present ones.
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *arguments],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(Path("src").resolve()), "NO_COLOR": "1", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.wait()
        os.close(self._ours)

    def expect(self, text: str) -> str:
        """Read until a text comes after what was expected before; return the rest of its line."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := self.shown.find(text, self._seen)) < 0 or "\n" not in self.shown[found:]:
            assert time.monotonic() < deadline and self._read(), f"{text!r} did not come after:\n{self.shown[self._seen :]}"
        self._seen = found + len(text)
        return self.shown[self._seen :].partition("\n")[0].strip()

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal tells the process in front of it."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"it does not end:\n{self.shown[-2_000:]}"
        return self.process.wait(DEADLINE_SECONDS)

    def _read(self) -> bool:
        """Read what is there, for a second at most; False once nobody can write any more."""
        if not select.select([self._ours], [], [], 1.0)[0]:
            return self.process.poll() is None
        try:
            part = os.read(self._ours, 65_536)
        except OSError:  # Linux says so when the last writer has gone
            return False
        self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        return bool(part)
