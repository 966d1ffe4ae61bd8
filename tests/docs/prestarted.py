"""A process that has imported what commands need, and becomes one by forking: the pages' two hundred commands spare imports.

What a page shows runs in full, in a process of its own with its own folder, environment and streams; only the imports were made
before. `launcher` writes the small program that stands for `perenne` and hands its call over.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = (
    "perenne.cli.root", "perenne.cli.output", "perenne.storage.workspace", "perenne.storage.database", "perenne.data.fields",
    "perenne.data.snapshots", "perenne.data.commands", "perenne.registry.commands", "perenne.labels.commands", "sqlalchemy",
    "numpy", "pyarrow", "pyarrow.parquet", "duckdb", "rich.table", "rich.console", "yaml", "concurrent.futures",
)  # fmt: skip
LAUNCHER = """#!{python} -ISE
import json, os, signal, socket, sys
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
    line.connect({address!r})
    socket.send_fds(line, [len(call).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(call)
    pid = int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    said = line.recv(1)
os._exit(said[0] if said else 137)
"""


@contextmanager
def prestarted(folder: Path) -> Iterator[str]:
    """Start the process; give the address at which it waits for calls."""
    address = str(folder / "calls")
    command = [sys.executable, "-m", "tests.docs.prestarted", address]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield address
        process.terminate()


def write_launcher(path: Path, address: str) -> None:
    """Write the program that stands for `perenne`."""
    path.write_text(LAUNCHER.format(python=sys.executable, address=address))
    path.chmod(0o755)


def write_plain_launcher(path: Path) -> None:
    """Write a program that starts `perenne` as anybody does."""
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m perenne "$@"\n')
    path.chmod(0o755)


def serve(address: str) -> None:
    """Wait for calls, and fork for each."""
    for name in PRELOADED:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            line, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                answer(line)
            line.close()


def answer(line: socket.socket) -> None:
    """Be the command that was called; never returns."""
    head, handles, _, _ = socket.recv_fds(line, 4, 3)
    call = line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    line.sendall(os.getpid().to_bytes(4, "big"))
    for place, handle in enumerate(handles):
        os.dup2(handle, place)
        os.close(handle)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    arguments, folder, environment = json.loads(call)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [str(ROOT / "src"), *(place for place in sys.path if place not in (str(ROOT), str(ROOT / "src")))]
    code = run(arguments)
    line.sendall(bytes([code]))
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line as `python -m perenne` does, its last words included."""
    import atexit
    import threading

    from perenne.cli import main

    sys.argv = ["perenne", *arguments]
    code: Any = 1
    try:
        code = main()
    except SystemExit as error:
        code = error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    serve(sys.argv[1])
