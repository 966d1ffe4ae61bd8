"""Running the commands of stages: in a shell as DVC does it, output apart for each stage, and an end to all when asked."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from perenne.core.errors import PerenneError
from perenne.protocols.dvc.rwlock import Claimed
from perenne.protocols.dvc.stages import Stage

GRACE = 3.0
"""Seconds between asking a command to end and ending it."""

_SHELL_OPTIONS = {"zsh": ["--no-rcs"], "bash": ["--noprofile", "--norc"], "fish": ["--no-config"]}


class CommandFailed(PerenneError):
    """A command of a stage ended with another code than 0."""

    def __init__(self, message: str, *, code: str = "dvc.command_failed", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)


class Stopped(PerenneError):
    """The run was interrupted."""


class Commands:
    """Runs commands, and knows which are running.

    Parameters
    ----------
    output : file
        Where what they print goes.
    apart : bool
        Whether several stages may run at once: each line then begins with the name of its stage. Otherwise a command has the
        terminal to itself.
    """

    def __init__(self, root: str, output: IO[str], *, apart: bool) -> None:
        self._root = root
        self._output = output
        self._apart = apart
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._saying = threading.Lock()
        self.stopping = False

    def run(self, stage: Stage, claimed: Claimed, say: Callable[[str], None]) -> None:
        """Run the commands of a stage in order, up to the first that fails.

        Raises
        ------
        CommandFailed
            If one ends with another code than 0.
        Stopped
            If all were asked to end.
        """
        for command in commands_of(stage):
            say(f"> {command}")
            code = self._run(stage, command, claimed)
            if self.stopping:
                raise Stopped(f"stage '{stage.address}' was interrupted", code="dvc.stopped")
            if code:
                raise CommandFailed(f"failed to run: {command}, exited with {code}")

    def _run(self, stage: Stage, command: str, claimed: Claimed) -> int:
        process = self._start(stage, command)
        claimed.hand_to(process.pid)
        try:
            if self._apart:
                self._pass_on(stage.address, process)
            return process.wait()
        except BaseException:
            self.stop()  # it was we who were interrupted, not the command
            raise
        finally:
            with self._lock:
                self._running.pop(process.pid, None)
            claimed.hand_to(os.getpid())

    def _start(self, stage: Stage, command: str) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self.stopping:
                raise Stopped(f"stage '{stage.address}' was not begun", code="dvc.stopped")
            call = shell_call(command)
            process = subprocess.Popen(
                call,
                cwd=stage.wdir,
                env={"DVC_ROOT": self._root, **os.environ, "DVC_STAGE": stage.said(os.getcwd())},
                stdin=subprocess.DEVNULL if self._apart else None,
                stdout=subprocess.PIPE if self._apart else self._output,
                stderr=subprocess.STDOUT if self._apart else None,
                start_new_session=self._apart or not sys.stdin.isatty(),
            )
            self._running[process.pid] = process
            return process

    def _pass_on(self, address: str, process: "subprocess.Popen[bytes]") -> None:
        """Pass lines on until the command has ended; what it left running in the background may go on printing."""
        reader = threading.Thread(target=self._read, args=(address, process), daemon=True)
        reader.start()
        process.wait()
        reader.join(0.5)

    def _read(self, address: str, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                self.undisturbed(self._write, f"{address} | {line.decode(errors='replace').rstrip()}")

    def undisturbed(self, say: Callable[[str], object], line: str) -> None:
        """Have a line said while nobody else says one."""
        with self._saying:
            say(line)

    def _write(self, line: str) -> None:
        self._output.write(f"{line}\n")
        self._output.flush()

    def stop(self) -> None:
        """Ask everything that runs to end, and after a while end it."""
        with self._lock:
            self.stopping = True
            running = list(self._running.values())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            left = [process for process in running if process.poll() is None]
            for process in left:
                _signal(process, number)
            deadline = time.monotonic() + GRACE
            while any(process.poll() is None for process in left) and time.monotonic() < deadline:
                time.sleep(0.02)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except ProcessLookupError:
        return


def commands_of(stage: Stage) -> list[str]:
    """Return the commands of a stage, one after the other; a text with several lines is several commands."""
    return stage.cmd if isinstance(stage.cmd, list) else (stage.cmd or "").splitlines()


def shell_call(command: str) -> list[str]:
    """Return how a command is given to the shell that the user has, without that shell's settings.

    >>> shell_call("echo a")[-2:]
    ['-c', 'echo a']
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    return [shell, *_SHELL_OPTIONS.get(os.path.basename(shell).lower(), []), "-c", command]
