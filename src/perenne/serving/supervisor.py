"""The parent of a model server's processes: it holds the sockets, so that any child may die and come back."""

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import msgspec

from perenne.auth.keyring import count_valid
from perenne.core.errors import Unavailable
from perenne.core.ids import new_id
from perenne.net.listening import Listening, check_listening
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import Flush, flush_decoder, socket_pair
from perenne.serving.metrics import name_of_block
from perenne.serving.mirror import BACKLOG_BYTES
from perenne.serving.observer import ObserverOptions
from perenne.serving.releases import read_release
from perenne.serving.worker import BODY_BYTES, GRACE_SECONDS, WorkerOptions

log = logging.getLogger("perenne.serving")

BACKLOG = 2_048
_POLL_SECONDS = 0.1
_MAX_PAUSE = 10.0
_STEADY_SECONDS = 30.0
_PACKAGE_ROOT = str(Path(__file__).parents[2])


class _Child:
    """A process that is started again when it dies, after a pause that grows with each early death."""

    def __init__(self, arguments: list[str], handles: tuple[int, ...], block: int) -> None:
        self._arguments = arguments
        self._handles = handles
        self.block = block
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = 0.0
        self._again = 0.0

    def start(self) -> None:
        """Start the process."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _with_package(os.environ.get("PYTHONPATH"))}
        command = [sys.executable, "-P", "-m", "perenne.app.model_server", *self._arguments]
        self.process = subprocess.Popen(
            command,
            pass_fds=self._handles,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
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
        self.process = None
        return True

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


class ModelServer:
    """Serves what a release folder says, until stopped. It reads that folder and nothing else.

    Parameters
    ----------
    folder : Path
        The release folder; new releases in it are taken over without a lost request.
    logs, spool : Path
        Where predictions are logged, and where profiles of windows are left for the control plane.
    host : str
        The address to listen on.
    port : int
        The port; 0 takes a free one.
    workers : int
        Processes that answer: one per core.
    where : Listening, optional
        How it is reached, if otherwise than at `host` without TLS.
    tokens : Path, optional
        The file of the tokens that callers must show one of; without it, everybody may call, and only this machine can.
    token_rate : float
        How often a token may be used in a second, in each worker; 0 for no limit.
    body_bytes : int
        The largest body.
    backlog_bytes : int
        How much may wait in a worker for a slow observer before rows are dropped.
    drain_seconds : float
        How long, once told to stop, it says that it is not ready before it stops accepting.
    """

    def __init__(
        self,
        folder: Path,
        logs: Path,
        spool: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 1,
        *,
        where: Listening | None = None,
        tokens: Path | None = None,
        token_rate: float = 0.0,
        body_bytes: int = BODY_BYTES,
        backlog_bytes: int = BACKLOG_BYTES,
        drain_seconds: float = 0.0,
    ) -> None:
        self._where = where = where or Listening(host=host)
        host = where.host
        check_listening(where, count_valid(tokens))
        self._folder = folder
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise Unavailable(
                f"port {port} on {host} cannot be listened on: {error.strerror}", code="serve.port", hint="choose another port"
            ) from None
        self.port: int = self._listening.getsockname()[1]
        self.counters = Counters.create(workers + 1)
        self._drain_seconds = drain_seconds
        self._wires = [socket_pair() for _ in range(workers)]
        self._control, self._observer_control = socket_pair()
        self._workers = [
            self._worker(
                WorkerOptions(
                    folder=str(folder.absolute()),
                    index=index,
                    workers=workers,
                    listening=self._listening.fileno(),
                    wire=self._wires[index][0].fileno(),
                    counters=self.counters.handle,
                    where=where,
                    port=self.port,
                    tokens="" if tokens is None else str(tokens.absolute()),
                    token_rate=token_rate,
                    body_bytes=body_bytes,
                    backlog_bytes=backlog_bytes,
                    drain_seconds=drain_seconds,
                )
            )
            for index in range(workers)
        ]
        self._observer = self._observe(logs, spool)
        self._stopping = threading.Event()
        self._guard = threading.Thread(target=self._keep_alive, name="perenne-serve", daemon=True)
        self._flushing = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._where.url(self.port)

    def start(self) -> None:
        """Start the processes; `wait_ready` waits until they answer."""
        for child in (self._observer, *self._workers):
            child.start()
        self._guard.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until every process has taken over what the folder says now.

        Raises
        ------
        Unavailable
            If it takes longer, or the release cannot be loaded.
        """
        wanted = read_release(self._folder).deployment.generation
        failures = self.counters.total(Gauge.LOAD_FAILURES)
        deadline = time.monotonic() + timeout
        while not self._is_ready(wanted):
            if self.counters.total(Gauge.LOAD_FAILURES) > failures:
                raise Unavailable("the release cannot be loaded", code="serve.load", hint="the server's log says why")
            if time.monotonic() > deadline or self._stopping.is_set():
                raise Unavailable(f"the model server was not ready within {timeout:g} s", code="serve.not_ready")
            time.sleep(0.01)

    def flush(self, timeout: float = 60.0) -> None:
        """Wait until every row answered so far is in the log and in the posted windows.

        Raises
        ------
        Unavailable
            If the observer does not confirm it in time.
        """
        deadline = time.monotonic() + timeout
        token = new_id()
        with self._flushing:
            while self.counters.total(Gauge.BACKLOG) and time.monotonic() < deadline:
                time.sleep(0.005)
            self._control.send(msgspec.msgpack.encode(Flush(token)))
            while (left := deadline - time.monotonic()) > 0:
                readable, _, _ = select.select([self._control], [], [], left)
                if readable and flush_decoder.decode(self._control.recv(65_536)).token == token:
                    return
        raise Unavailable(f"the observer did not write its rows within {timeout:g} s", code="serve.flush")

    def stop(self) -> None:
        """Finish what is being answered, write what was observed, and end every process. Doing it twice changes nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._guard.is_alive():
            self._guard.join()
        for child in self._workers:
            child.tell(signal.SIGTERM)
        for child in self._workers:
            child.wait(self._drain_seconds + GRACE_SECONDS + 5)
        self._control.close()
        self._observer.tell(signal.SIGCONT)
        self._observer.wait(30)
        for end in (self._listening, self._observer_control, *(end for pair in self._wires for end in pair)):
            end.close()
        os.close(self.counters.handle)

    def __enter__(self) -> "ModelServer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes that run, by `worker-<n>` and `observer`."""
        named = {f"worker-{child.block}": child for child in self._workers} | {"observer": self._observer}
        return {name: child.process.pid for name, child in named.items() if child.process is not None}

    def state(self) -> dict[str, int | float | None]:
        """Return of each process its number, and the seconds since it was well; None if it does not run or was not well yet."""
        running, now = self.pids(), time.time()
        found: dict[str, int | float | None] = {}
        for child in (*self._workers, self._observer):
            name, beat = name_of_block(self.counters, child.block), self.counters.get(Gauge.BEAT_US, child.block) / 1e6
            found[f"{name}.pid"] = running.get(name)
            found[f"{name}.silent_seconds"] = round(max(0.0, now - beat), 1) if beat else None
        return found

    def _worker(self, options: WorkerOptions) -> _Child:
        arguments = ["worker", msgspec.json.encode(options).decode()]
        return _Child(arguments, (options.listening, options.wire, options.counters), options.index)

    def _observe(self, logs: Path, spool: Path) -> _Child:
        options = ObserverOptions(
            folder=str(self._folder.absolute()),
            logs=str(logs.absolute()),
            spool=str(spool.absolute()),
            wires=tuple(ours.fileno() for _, ours in self._wires),
            control=self._observer_control.fileno(),
            counters=self.counters.handle,
        )
        handles = (*options.wires, options.control, options.counters)
        return _Child(["observer", msgspec.json.encode(options).decode()], handles, len(self._wires))

    def _is_ready(self, generation: int) -> bool:
        blocks = range(self.counters.blocks)
        return all(
            self.counters.get(Gauge.READY, block) and self.counters.get(Gauge.GENERATION, block) >= generation for block in blocks
        )

    def _keep_alive(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            for child in (*self._workers, self._observer):
                if child.process is not None and child.gone():
                    self.counters.mark_gone(child.block)
                if child.process is None and child.due():
                    try:
                        child.start()
                    except OSError as error:
                        log.error("a process of the model server cannot be started: %s", error)


def _with_package(path: str | None) -> str:
    return os.pathsep.join([_PACKAGE_ROOT, *([path] if path else [])])
