"""A job in a process of its own, which can be asked to stop, and killed: the parent's side and the child's."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import msgspec

from perenne.automation.worker import Handler, carry_out
from perenne.core.config import Settings
from perenne.storage.jobs import Job
from perenne.storage.workspace import Workspace
from perenne.telemetry import logs, tracing
from perenne.telemetry.heartbeats import Heartbeat

STOPPED = 130
"""The exit status of a child that stopped because it was asked to."""


class JobProcess:
    """A child process that does one job.

    Parameters
    ----------
    command : sequence of str
        A program that calls `run_child`.
    settings : Settings
        Of the installation the job belongs to.
    """

    def __init__(self, command: Sequence[str], settings: Settings, job: Job) -> None:
        places = {
            "PERENNE_HOME": str(settings.home),
            "PERENNE_DATABASE": settings.database,
            "PERENNE_OBJECTS": settings.objects,
        }
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the terminal is for the parent to handle
            env={**os.environ, **places},
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended at once: its status tells
            self._process.stdin.write(msgspec.json.encode(job) + b"\n")
            self._process.stdin.flush()

    def wait(self, seconds: float) -> int | None:
        """Wait for the end; return the exit status, None if it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def ask(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once, with what it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the pipe to a process that has ended, and end what it left running."""
        self.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def run_child(handlers: Callable[[Workspace], Mapping[str, Handler]]) -> None:
    """Be the child: do the job that comes on standard input, in the workspace of the environment, and end.

    It ends at once if the parent dies: another worker takes the job over, and two need not do the work.
    """
    _die_with_the_parent()
    signal.signal(signal.SIGTERM, _interrupt)
    logs.configure("perenne-trainer")
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_watch_the_parent, name="perenne-parent", daemon=True).start()
    try:
        with (
            tracing.traced_process("perenne-trainer"),
            Workspace() as workspace,
            Heartbeat(workspace.settings.home, "trainer", job.kind),
        ):
            carry_out(workspace, handlers(workspace)[job.kind], job)
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _die_with_the_parent() -> None:
    """Have Linux kill this process when its parent's thread ends, also while native code holds the interpreter."""
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _watch_the_parent() -> None:
    """End when the parent closes the pipe, which its death does: where there is no such signal, or it died before it was set."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
