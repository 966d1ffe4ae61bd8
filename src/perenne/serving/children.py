"""The processes of a model server, as their parent holds them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_FRUGAL = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What was freed is given back: a fifth less memory, measured under load; who starts the server may say otherwise."""

_MAX_PAUSE = 10.0
_STEADY_SECONDS = 30.0
_PACKAGE_ROOT = str(Path(__file__).parents[2])
COMMAND = (sys.executable, "-P", "-m", "perenne.app.model_server")


def start_process(
    arguments: Sequence[str], handles: tuple[int, ...], command: Sequence[str] = COMMAND
) -> "subprocess.Popen[bytes]":
    """Start a process of the model server, which inherits some descriptors."""
    environment = {**_FRUGAL, **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _with_package(os.environ.get("PYTHONPATH"))}
    return subprocess.Popen(
        [*command, *arguments],
        pass_fds=handles,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


class Child:
    """A process that is started again when it dies, after a pause that grows with each early death."""

    def __init__(self, arguments: list[str], handles: tuple[int, ...], block: int) -> None:
        self.command: Sequence[str] = COMMAND
        self._arguments = arguments
        self._handles = handles
        self.block = block
        self.process: subprocess.Popen[bytes] | None = None
        self.told = False
        self.status: int | None = None
        self._started = 0.0
        self._pause = 0.0
        self._again = 0.0

    def start(self) -> None:
        """Start the process."""
        self.process = start_process(self._arguments, self._handles, self.command)
        self._started = time.monotonic()

    def gone(self) -> bool:
        """Tell whether the process has died; the first call after its death also decides when it may start again."""
        if self.process is None:
            return True
        if self.process.poll() is None:
            return False
        early = time.monotonic() - self._started < _STEADY_SECONDS
        self._pause = min(_MAX_PAUSE, max(0.2, 2 * self._pause)) if early else 0.0
        self._again = time.monotonic() + self._pause
        self.status = self.process.returncode
        self.process = None
        return True

    @property
    def end(self) -> str:
        """How it ended the last time, in a few words."""
        if self.status is None or self.status >= 0:
            return f"ended with status {self.status}"
        name = signal.Signals(-self.status).name
        return f"was killed by {name}" + (", as the kernel does where memory runs out" if name == "SIGKILL" else "")

    @property
    def running(self) -> bool:
        """Whether the process lives, also before anybody noticed that it died."""
        process = self.process
        return process is not None and process.poll() is None

    def due(self) -> bool:
        """Tell whether a dead process may start again."""
        return time.monotonic() >= self._again

    def tell(self, number: int) -> None:
        """Send a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for the process to end; after the time is up, end it."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _with_package(path: str | None) -> str:
    return os.pathsep.join([_PACKAGE_ROOT, *([path] if path else [])])
