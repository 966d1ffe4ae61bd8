"""The parent of a model server's processes: it holds the sockets, so that any child may die, come back or be replaced.


There are twice as many places as workers, each with a wire to the observer and a block of counters. A worker that is told to go
keeps its place until it has gone, and its successor starts in a free one beside it.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from msgspec.structs import replace

from perenne.auth.keyring import count_valid
from perenne.core.clock import SECOND, SystemClock
from perenne.core.errors import PerenneError, Unavailable
from perenne.core.ids import new_id
from perenne.net.listening import Listening, check_listening
from perenne.serving.admission import Board, Verifier
from perenne.serving.children import Child
from perenne.serving.counters import Counters, Gauge, name_of_block
from perenne.serving.diet import Diet
from perenne.serving.guarding import Guard
from perenne.serving.handover import Handover
from perenne.serving.options import (
    BACKLOG_BYTES,
    BODY_BYTES,
    GRACE_SECONDS,
    Flush,
    ObserverOptions,
    WorkerOptions,
    flush_decoder,
    socket_pair,
)
from perenne.serving.releases import find_release
from perenne.serving.status import ServerStatus, remove_status, write_status
from perenne.serving.switches import Switches

log = logging.getLogger("perenne.serving")

BACKLOG = 2_048
_POLL_SECONDS = 0.1
_ASK_AGAIN_SECONDS = 1.0
_REPORT = 5 * SECOND
_REPORT_TURNS = 3


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
    repository : bool
        Whether callers who may deploy can take versions out of service, by the repository extension of the inference protocol.
    body_bytes : int
        The largest body.
    backlog_bytes : int
        How much may wait in a worker for a slow observer before rows are dropped.
    drain_seconds : float
        How long, once told to stop, it says that it is not ready before it stops accepting.
    memory_bytes : int
        A process that holds more is replaced, a worker by one that answers before it goes; 0 for no such limit.
    listening : socket, optional
        A socket that listens already, from a predecessor; see `handover`.
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
        repository: bool = False,
        body_bytes: int = BODY_BYTES,
        backlog_bytes: int = BACKLOG_BYTES,
        drain_seconds: float = 0.0,
        memory_bytes: int = 0,
        listening: socket.socket | None = None,
    ) -> None:
        self._where = where = where or Listening(host=host)
        check_listening(where, count_valid(tokens))
        self._folder, self._spool = folder, spool
        self._listening = _listen(where.host, port) if listening is None else listening
        self.port: int = self._listening.getsockname()[1]
        places = 2 * workers
        self.counters = Counters.create(places + 1)
        self._verifier = Verifier(folder, Board.create())
        self._drain_seconds, self._diet = drain_seconds, Diet(memory_bytes)
        self._switches = Switches.create() if repository else None
        self._wires = [socket_pair() for _ in range(places)]
        self._control, self._observer_control = socket_pair()
        self._options = self._worker_options(
            places,
            tokens,
            token_rate=token_rate,
            body_bytes=body_bytes,
            backlog_bytes=backlog_bytes,
            drain_seconds=drain_seconds,
            succeeds=listening is not None,
        )
        self._wanted, self._free = workers, list(range(places))
        self._workers: list[Child] = []
        self._leaving: list[Child] = []
        self._changing, self._flushing = threading.RLock(), threading.Lock()
        self._id = new_id()
        self._observer = self._observe(logs, spool)
        self.guard = Guard(self.counters, spool, self._id)
        self._handover: Handover | None = None
        self._status: ServerStatus | None = None
        self._stopping = threading.Event()
        self._guard = threading.Thread(target=self._keep_alive, name="perenne-serve", daemon=True)

    def _worker_options(self, places: int, tokens: Path | None, **limits: Any) -> WorkerOptions:
        """Return what workers are told: what they inherit, where they listen, and limits."""
        return WorkerOptions(
            folder=str(self._folder.absolute()),
            index=0,
            workers=places,
            listening=self._listening.fileno(),
            wire=-1,
            counters=self.counters.handle,
            where=self._where,
            port=self.port,
            switches=-1 if self._switches is None else self._switches.handle,
            tokens="" if tokens is None else str(tokens.absolute()),
            verdicts=self._verifier.board.handle,
            spool=str(self._spool.absolute()),
            **limits,
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._where.url(self.port)

    def start(self) -> None:
        """Start the processes; `wait_ready` waits until they answer."""
        self._observer.start()
        for _ in range(self._wanted):
            self._add_worker()
        self._guard.start()

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until every process has taken over what the folder says now.

        Raises
        ------
        Unavailable
            If it takes longer, or the release cannot be loaded.
        """
        release, _ = find_release(self._folder)
        wanted = release.deployment.generation
        deadline = time.monotonic() + timeout
        while (waiting := self._unready(wanted)) or len(self._workers) < self._wanted:
            if any(self._has_failed(block, wanted) for block in waiting):
                raise Unavailable(
                    self.problem() or "the release cannot be loaded", code="serve.load", hint="the server's log says more"
                )
            if time.monotonic() > deadline or self._stopping.is_set():
                raise Unavailable(
                    f"the model server was not ready within {timeout:g} s",
                    code="serve.not_ready",
                    hint="its log tells why; `perenne deploy show NAME` what it should serve",
                )
            time.sleep(0.01)
        self._options = replace(self._options, succeeds=False)

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
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):  # it hangs, and has been asked often enough
                    self._control.send(msgspec.msgpack.encode(Flush(token)))
                if self._confirmed(token, min(deadline, time.monotonic() + _ASK_AGAIN_SECONDS)):
                    return
        raise Unavailable(
            f"the observer did not write its rows within {timeout:g} s",
            code="serve.flush",
            hint="is the disk full, or the machine busy? the log tells",
        )

    def restart_workers(self, timeout: float = 60.0) -> None:
        """Replace the workers one at a time, each once its successor answers. No request is lost.

        Raises
        ------
        Unavailable
            If a successor does not get ready; the worker it was to replace stays.
        """
        with self._changing:
            for old in list(self._workers):
                if self._stopping.is_set():
                    break
                self._replace(old, time.monotonic() + timeout)

    def wait_for_successor(self, leave: Callable[[], None]) -> None:
        """Let another server take over the port (`handover.find_predecessor`); `leave` is called when it answers."""
        try:
            self._handover = Handover(self._folder, self._listening, leave)
        except OSError as error:
            log.warning("no other server can take over from this one: %s", error.strerror or error)

    def problem(self) -> str:
        """Say what could not be loaded, in a line; empty if nothing."""
        return "; ".join(sorted(set(self.counters.notes().values())))

    def stop(self) -> None:
        """Finish what is being answered, write what was observed, and end every process. Doing it twice changes nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._guard.is_alive():
            self._guard.join()
        if self._handover is not None:
            self._handover.close()
        self._listening.close()  # so that nobody is kept waiting for a worker that does not come
        with self._changing:
            children = [*self._workers, *self._leaving]
        for child in children:
            if not child.told:
                child.tell(signal.SIGTERM)
        for child in children:
            child.wait(self._drain_seconds + 2 * GRACE_SECONDS + 5)
        self._control.close()
        self._observer.tell(signal.SIGCONT)
        self._observer.wait(30)
        for end in (self._observer_control, *(end for pair in self._wires for end in pair)):
            end.close()
        if self._status is not None:
            remove_status(self._spool, self._status.deployment, self._id)
        self._verifier.board.close()
        os.close(self.counters.handle)
        if self._switches is not None:
            os.close(self._switches.handle)

    def __enter__(self) -> "ModelServer":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes that run and are to stay, by `worker-<place>` and `observer`."""
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

    def _add_worker(self) -> Child:
        """Start a worker in a free place."""
        place = self._free.pop(0)
        options = replace(self._options, index=place, wire=self._wires[place][0].fileno())
        arguments = ["worker", msgspec.json.encode(options).decode()]
        handles = (options.listening, options.wire, options.counters, options.verdicts)
        child = Child(arguments, handles if options.switches < 0 else (*handles, options.switches), place)
        self.counters.mark_running(place, True)
        self._workers.append(child)
        self._revive(child)
        return child

    def _replace(self, old: Child, deadline: float) -> None:
        """Start a worker beside another one; once it answers, tell that one to go, and wait until it has gone."""
        while not self._free and time.monotonic() < deadline and not self._stopping.is_set():
            self._look_after()
            time.sleep(0.01)
        if old not in self._workers:  # it was told to go by somebody else meanwhile
            return
        if not self._free:
            raise Unavailable("workers that were told to go are still answering", code="serve.restart", hint="try again later")
        new = self._add_worker()
        generation = self.counters.get(Gauge.GENERATION, old.block)
        while not self._is_ready(new.block, generation):
            failed = self._has_failed(new.block, generation)
            if failed or time.monotonic() > deadline or self._stopping.is_set():
                problem = self.problem() if failed else "it took too long"
                self._let_go(new)
                raise Unavailable(
                    f"a new worker is not ready, the old one stays: {problem}", code="serve.restart", hint="its log tells why"
                )
            self._look_after()
            time.sleep(0.01)
        if old in self._workers:
            self._let_go(old)
        while old in self._leaving and not self._stopping.is_set():
            self._look_after()
            time.sleep(0.01)

    def _let_go(self, child: Child) -> None:
        """Tell a worker to go; it keeps its place until it has."""
        self._workers.remove(child)
        self._leaving.append(child)
        child.told = True
        child.tell(signal.SIGTERM)

    def _confirmed(self, token: str, until: float) -> bool:
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([self._control], [], [], left)
            if readable and flush_decoder.decode(self._control.recv(65_536)).token == token:
                return True
        return False

    def _observe(self, logs: Path, spool: Path) -> Child:
        options = ObserverOptions(
            folder=str(self._folder.absolute()),
            logs=str(logs.absolute()),
            spool=str(spool.absolute()),
            wires=tuple(ours.fileno() for _, ours in self._wires),
            control=self._observer_control.fileno(),
            counters=self.counters.handle,
            server=self._id,
            verdicts=self._verifier.board.handle,
        )
        handles = (*options.wires, options.control, options.counters, options.verdicts)
        return Child(["observer", msgspec.json.encode(options).decode()], handles, len(self._wires))

    def _blocks(self) -> list[int]:
        """Return the blocks of the processes that are to be ready: the workers that stay, and the observer."""
        return [*(child.block for child in list(self._workers)), self._observer.block]

    def _has_failed(self, block: int, generation: int) -> bool:
        tried = self.counters.get(Gauge.TRIED, block) >= generation
        return tried and self.counters.get(Gauge.GENERATION, block) < generation

    def _unready(self, generation: int) -> list[int]:
        """Return the blocks of processes that are to be ready and are not, and of those that still answer by another release."""
        staying = [*list(self._workers), self._observer]
        behind = [child.block for child in staying if not (child.running and self._is_ready(child.block, generation))]
        leaving = [child.block for child in list(self._leaving) if child.running]
        return behind + [block for block in leaving if self.counters.get(Gauge.TRIED, block) < generation]

    def _is_ready(self, block: int, generation: int) -> bool:
        return bool(self.counters.get(Gauge.READY, block)) and self.counters.get(Gauge.GENERATION, block) >= generation

    def _keep_alive(self) -> None:
        turn = 0
        self._verifier.refresh()
        while not self._stopping.wait(_POLL_SECONDS):
            turn += 1
            self._verifier.refresh()
            if self._changing.acquire(blocking=False):  # whoever replaces workers looks after them
                try:
                    self._look_after()
                finally:
                    self._changing.release()
            self._revive(self._observer)
            if turn % _REPORT_TURNS == 0:
                self._report()
                self._relieve()

    def _relieve(self) -> None:
        """Replace a process that holds more memory than it may, and say so."""
        for child in (*list(self._workers), self._observer):
            held = self.counters.get(Gauge.RESIDENT_BYTES, child.block)
            if not child.running or not self._diet.is_due(child.block, held):
                continue
            self.counters.mark_over(child.block)
            log.warning("%s holds %s and is replaced", name_of_block(self.counters, child.block), self._diet.describe(held))
            if child is self._observer:
                child.tell(signal.SIGTERM)  # it writes what it has, and comes back
            else:
                threading.Thread(target=self._replace_heavy, args=(child,), name="perenne-relieve", daemon=True).start()

    def _replace_heavy(self, child: Child) -> None:
        try:
            with self._changing:
                if child in self._workers:
                    self._replace(child, time.monotonic() + 60.0)
        except Unavailable as error:
            log.warning("%s", error.message)

    def _report(self) -> None:
        """Leave word of what is served when it changes, and now and then."""
        try:
            deployment = find_release(self._folder)[0].deployment
        except PerenneError:
            return
        self.guard.look(deployment)
        generations = [self.counters.get(Gauge.GENERATION, block) for block in self._blocks()[:-1] if self._is_ready(block, 0)]
        status = ServerStatus(
            deployment=deployment.name,
            server=self._id,
            url=self.url,
            generation=min(generations, default=0),
            wanted=deployment.generation,
            ready=len(generations),
            workers=self._wanted,
            dropped=self.counters.total(Gauge.DROPPED),
            problem=self.problem(),
            seen=SystemClock().now(),
            signatures={tree: found.signed.detail for tree, found in self._verifier.verdicts.packages.items()},
        )
        before = self._status
        if before and status == replace(before, seen=status.seen, dropped=status.dropped) and status.seen < before.seen + _REPORT:
            return
        self._status = status
        try:
            write_status(self._spool, status)
        except OSError as error:
            log.warning("the status of the server cannot be written: %s", error.strerror)

    def _look_after(self) -> None:
        """Start what died, and start a successor for each worker that was told to go."""
        for child in list(self._leaving):
            if child.gone():
                self._leaving.remove(child)
                self.counters.mark_gone(child.block, died=False)
                self.counters.mark_running(child.block, False)
                self._free.append(child.block)
        for child in list(self._workers):
            if self.counters.get(Gauge.DRAINING, child.block) and not child.gone():
                self._workers.remove(child)
                self._leaving.append(child)
                child.told = True
            else:
                self._revive(child)
        while len(self._workers) < self._wanted and self._free:
            self._add_worker()

    def _revive(self, child: Child) -> None:
        if child.process is not None and child.gone():
            held = self.counters.get(Gauge.RESIDENT_BYTES, child.block)
            log.warning("%s %s, holding %.0f MB", name_of_block(self.counters, child.block), child.end, held / 1e6)
            self.counters.mark_gone(child.block)
        if child.process is None and child.due():
            try:
                child.start()
            except OSError as error:
                log.error("a process of the model server cannot be started: %s", error)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Unavailable(
            f"port {port} on {host} cannot be listened on: {error.strerror}",
            code="serve.port",
            hint="choose another port, or take it over with `perenne serve --take-over`",
        ) from None
