"""A worker process: loads what the release folder says, answers, follows the folder's generation, drains when told to go.

No request is lost on the way in or out: it accepts connections only when it can answer, and before it goes each connection that
is still used gets an answer that says that it is the last.

It imports nothing of the control plane: no SQLAlchemy, DuckDB, Arrow, scikit-learn or Starlette.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from perenne.auth.doorman import Doorman
from perenne.auth.keyring import Keyring
from perenne.net.asgi import Route
from perenne.net.connections import BoundedProtocol, BoundedServer, bounded_config
from perenne.net.direct import DirectProtocol
from perenne.net.inbound import Limits, allowed_hosts
from perenne.net.traced import traced
from perenne.serving import metrics
from perenne.serving.admission import Admission, Board
from perenne.serving.application import Application
from perenne.serving.batching import Batcher
from perenne.serving.counters import Counters, Gauge
from perenne.serving.lineup import load_lineup
from perenne.serving.loading import reason_of
from perenne.serving.mirror import Mirror
from perenne.serving.options import GRACE_SECONDS, WorkerOptions
from perenne.serving.releases import CURRENT, find_release
from perenne.serving.runtime import Runtime
from perenne.serving.shares import SHARES, Shares, read_shares
from perenne.serving.switches import Switches
from perenne.telemetry import logs, tracing

log = logging.getLogger("perenne.serving")
WATCH_SECONDS = 0.2
IDLE_SECONDS = 2.0
PATIENCE_SECONDS = 10.0
RETRY_SECONDS = 10.0


def run(options: WorkerOptions, build_routes: Callable[[Runtime], list[Route]]) -> None:
    """Be a worker until told to go."""
    logs.configure("perenne-model-server")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tracing.traced_process("perenne-model-server"), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(options, build_routes))


def _loop_factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop


async def _serve(options: WorkerOptions, build_routes: Callable[[Runtime], list[Route]]) -> None:
    counters = Counters(options.counters, options.workers + 1, options.index)
    wire = socket.socket(fileno=options.wire)
    wire.setblocking(False)
    mirror = Mirror(wire, counters, options.backlog_bytes)
    switches = Switches(options.switches) if options.switches >= 0 else None
    runtime = Runtime(Batcher(options.queue_rows), mirror, counters, switches)
    where, keyring = options.where, Keyring(Path(options.tokens)) if options.tokens else None
    limits = Limits(hosts=allowed_hosts(where.host, options.port, where.names), body=options.body_bytes)
    doorman = Doorman(keyring.verify, _refuse, options.token_rate) if keyring else None
    runtime.asks_for_tokens = doorman is not None
    runtime.spool = Path(options.spool) if options.spool else None
    routes = [*build_routes(runtime), *metrics.routes(runtime)]
    plain = Application(routes, runtime, limits, doorman)
    application = traced(plain)
    between = application is not plain or bool(where.trusted_proxies)
    protocol = BoundedProtocol if between else DirectProtocol
    config = bounded_config(application, where, protocol, timeout_graceful_shutdown=GRACE_SECONDS)
    server = _Server(config, runtime, options.drain_seconds)
    loader = _Loader(Path(options.folder), runtime, Admission(Board(options.verdicts) if options.verdicts >= 0 else None))
    watcher = asyncio.create_task(_watch(loader, server, keyring))
    try:
        await loader.settled(others=options.succeeds)
        await server.serve(sockets=[socket.socket(fileno=options.listening)])
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
        counters.set(Gauge.READY, 0)
        await mirror.drain(2.0)
        runtime.close()


def _refuse(address: str, failures: int) -> None:
    log.warning("%s shows tokens that are not valid, %s so far", address, failures)


class _Server(BoundedServer):
    """A server that, told to go, first says that it is not ready, then stops accepting, then finishes what it has."""

    def __init__(self, config: "object", runtime: Runtime, drain_seconds: float) -> None:
        super().__init__(config)  # type: ignore[arg-type]
        self.runtime = runtime
        self._loop = asyncio.get_running_loop()
        self._drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; the second one ends it at once."""
        if self.runtime.draining:
            self.force_exit = self.should_exit = True
            return
        self.runtime.draining = True
        self.runtime.counters.set(Gauge.READY, 0)
        self.runtime.counters.set(Gauge.DRAINING, 1)
        self._loop.call_soon_threadsafe(self._leave_later)

    def leave(self) -> None:
        """Go as if told so by a signal."""
        self.handle_exit(signal.SIGTERM, None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let each connection have the answer that is its last, and end."""
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()
        deadline = time.monotonic() + GRACE_SECONDS
        while not self.force_exit and (now := time.monotonic()) < deadline and self._used(now):
            self.close_overdue(now)
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _used(self, now: float) -> bool:
        """Tell whether a connection waits for an answer, or had one so lately that its next request may be on the way."""
        connections = (item for item in self.server_state.connections if isinstance(item, BoundedProtocol))
        return any(now - connection.heard < IDLE_SECONDS or connection.answering() for connection in connections)

    def _leave_later(self) -> None:
        self._loop.call_later(self._drain_seconds, setattr, self, "should_exit", True)


class _Seen:
    """What of the folder's `current.json` was loaded, or tried, last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stat: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Tell whether the file is another one than the last time; costs one `stat`."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return False
        present = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        changed = present != self._stat
        self._stat = present
        return changed


class _Loader:
    """Follows the release folder.

    Parameters
    ----------
    folder : Path
        The release folder.
    runtime : Runtime
        What answers by it.
    admission : Admission
        Says which packages may be loaded.
    """

    def __init__(self, folder: Path, runtime: Runtime, admission: Admission) -> None:
        self._folder = folder
        self._runtime = runtime
        self._admission = admission
        self._seen = _Seen(folder / CURRENT)
        self._shares_seen = _Seen(folder / SHARES)
        self._shares: Shares | None = None
        self._again = 0.0
        self._problem = ""

    async def settled(self, *, others: bool) -> None:
        """Wait until there is something to answer with; not for ever, unless others or another worker answer meanwhile."""
        start, counters = time.monotonic(), self._runtime.counters
        while self._runtime.lineup is None and not self._runtime.draining:
            failed = bool(self._problem) or time.monotonic() - start > PATIENCE_SECONDS
            if failed and not others and not any(counters.get(Gauge.READY, block) for block in range(counters.blocks - 1)):
                break
            await asyncio.sleep(0.02)

    async def follow(self) -> None:
        """Take over what is new in the folder; what could not be loaded is tried again after a while."""
        due = bool(self._problem) and time.monotonic() >= self._again
        if self._seen.changed() or due:
            await self._reload()
            self._again = time.monotonic() + RETRY_SECONDS
        self._rule_out()

    def _rule_out(self) -> None:
        """Ask those no more who failed on this server, and take over what a bandit has learnt."""
        lineup = self._runtime.lineup
        if lineup is None:
            return
        trees = self._runtime.counters.ruled_out(version.tree for version in lineup.loaded)
        if self._shares_seen.changed():
            self._shares = read_shares(self._folder)
        shares = None if self._shares is None else self._shares.of(lineup.deployment)
        if trees != lineup.ruled_out or shares != lineup.shares:
            lineup.rule_out(trees, shares)

    async def _reload(self) -> None:
        """Load the release beside the loop and take it over between two turns; what cannot be loaded changes nothing."""
        start = time.perf_counter()
        counters = self._runtime.counters
        generation = 0
        try:
            release, damage = await asyncio.to_thread(find_release, self._folder)
            generation = release.deployment.generation
            lineup = await asyncio.to_thread(load_lineup, self._folder, release, self._runtime.lineup, self._admission)
        except Exception as error:
            self._say(f"the release cannot be loaded{self._remaining()}: {reason_of(error)}", error)
            counters.add(Gauge.LOAD_FAILURES)
            counters.set(Gauge.TRIED, generation)
            return
        self._runtime.lineup = lineup
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what a release loads stays: the collector need not look through it again
        counters.add(Gauge.LOADS)
        counters.set(Gauge.LOAD_US, int((time.perf_counter() - start) * 1e6))
        counters.set(Gauge.STANDS_IN, int(lineup.stand_in))
        counters.set(Gauge.GENERATION, generation)
        counters.set(Gauge.TRIED, generation)
        problem = "; ".join(filter(None, (damage, lineup.problem)))
        counters.add(Gauge.LOAD_FAILURES, int(bool(problem)))
        self._say(problem)

    def _remaining(self) -> str:
        lineup = self._runtime.lineup
        return "" if lineup is None else f", generation {lineup.deployment.generation} stays"

    def _say(self, problem: str, error: Exception | None = None) -> None:
        """Say what is wrong to whoever looks; in the log only what is new."""
        if problem and problem != self._problem:
            log.error("%s%s", problem, "" if error is None else f" ({type(error).__name__}: {error})")
        elif self._problem and not problem:
            log.warning("everything that is released is loaded again")
        self._problem = problem
        self._runtime.counters.note(problem)


async def _watch(loader: _Loader, server: _Server, keyring: Keyring | None) -> None:
    parent = os.getppid()
    runtime = server.runtime
    while True:
        runtime.counters.beat()
        if keyring is not None:
            keyring.refresh()
        runtime.follow_switches()
        await loader.follow()
        _gauge(runtime)
        runtime.batcher.expire()
        if os.getppid() != parent and not runtime.draining:
            server.leave()
        await asyncio.sleep(WATCH_SECONDS)


def _gauge(runtime: Runtime) -> None:
    counters = runtime.counters
    counters.set(Gauge.READY, int(runtime.ready))
    counters.set(Gauge.IN_FLIGHT, runtime.in_flight)
    counters.set(Gauge.QUEUE_ROWS, runtime.batcher.rows)
    counters.set(Gauge.BATCHES, runtime.batcher.batches)
    counters.set_batch_sizes(runtime.batcher.sizes)
