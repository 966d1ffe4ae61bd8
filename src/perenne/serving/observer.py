"""The observer: one niced process that keeps what the workers answered. It owns the row log, the windows and the challengers.

It may die, hang or be slow at any time: a worker never waits for it, and what is lost is counted and said in the windows.
"""

import contextlib
import logging
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core.errors import PerenneError
from perenne.core.ids import new_id
from perenne.inference import Prediction, Signature
from perenne.serving.challengers import Challenger, Package, agreeing, open_package
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import CONSTANT, Flush, Served, flush_decoder, served_decoder, unpack_columns
from perenne.serving.model import Deployment, Role
from perenne.serving.releases import CURRENT, read_release
from perenne.serving.windows import WindowKey, Windows
from perenne.stats.columns import Column, Task
from perenne.telemetry import logs

if TYPE_CHECKING:
    from perenne.serving.row_log import RowLog

log = logging.getLogger("perenne.observer")
DIGEST_ROWS = 8_192
DIGEST_SECONDS = 0.5
POST_SECONDS = 5.0
ROLL_SECONDS = 10.0
WATCH_SECONDS = 0.2
MAX_WINDOWS = 512
MAX_PACKAGES = 8
NICENESS = 10
_READ_AT_ONCE = 512


class ObserverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells the observer.

    Attributes
    ----------
    folder, logs, spool : str
        The release folder, where the row log goes, and where posts are left.
    wires : tuple of int
        The observer's end of the wire of each worker.
    control, counters : int
        The wire to the parent, and the shared counters.
    """

    folder: str
    logs: str
    spool: str
    wires: tuple[int, ...]
    control: int
    counters: int


def run(options: ObserverOptions) -> None:
    """Be the observer until the parent goes."""
    logs.configure("perenne-observer")
    os.nice(NICENESS)
    Observer(options).run()


class Observer:
    """Reads the wires, and digests what it read a few times a second.

    Parameters
    ----------
    options : ObserverOptions
        See there.

    Attributes
    ----------
    challengers : list of Challenger
        The versions in shadow.
    """

    def __init__(self, options: ObserverOptions) -> None:
        self._folder = Path(options.folder)
        self._logs = Path(options.logs)
        self._boot = new_id()
        self._wires = [_open(handle) for handle in options.wires]
        self._control = _open(options.control)
        self._counters = Counters(options.counters, len(options.wires) + 1, len(options.wires))
        self._windows = Windows(Path(options.spool), socket.gethostname(), self._boot)
        self._row_log: RowLog | None = None
        self._waiting: list[Served] = []
        self._waiting_rows = 0
        self._packages: dict[str, Package] = {}
        self._deployment: Deployment | None = None
        self.challengers: list[Challenger] = []
        self._stat: tuple[int, int] | None = None
        self._selector = selectors.DefaultSelector()
        for end in (*self._wires, self._control):
            self._selector.register(end, selectors.EVENT_READ)
        self._due = {"watch": 0.0, "digest": 0.0, "post": 0.0, "roll": 0.0}
        self._watch()

    def run(self) -> None:
        """Observe until the parent closes its end of the control wire."""
        while self.step(WATCH_SECONDS):
            pass
        self.close()

    def step(self, seconds: float) -> bool:
        """Wait for messages, at most so long, and do what is due; False once the parent is gone."""
        ready = {key.fileobj for key, _ in self._selector.select(seconds)}
        for wire in self._wires:
            if wire in ready:
                self._read(wire, _READ_AT_ONCE)
        self._work()
        return self._control not in ready or self._answer_parent()

    def close(self) -> None:
        """Let go of the wires."""
        self._selector.close()
        for end in (*self._wires, self._control):
            end.close()

    def _work(self) -> None:
        now = time.monotonic()
        if now >= self._due["watch"]:
            self._counters.beat()
            self._due["watch"] = now + WATCH_SECONDS
            self._watch()
        if self._waiting_rows >= DIGEST_ROWS or (self._waiting and now >= self._due["digest"]):
            self._digest()
            self._due["digest"] = time.monotonic() + DIGEST_SECONDS
        if len(self._windows) and (now >= self._due["post"] or len(self._windows) > MAX_WINDOWS):
            self._post(now)
        if self._row_log is not None and self._row_log.bytes:
            from perenne.serving.row_log import ROLL_BYTES

            if now >= self._due["roll"] or self._row_log.bytes >= ROLL_BYTES:
                self._roll(now)

    def _answer_parent(self) -> bool:
        """Flush if asked to; False if the parent is gone."""
        try:
            data = self._control.recv(65_536)
        except BlockingIOError:
            return True
        except ConnectionError:  # the parent went without reading the last reply
            data = b""
        for wire in self._wires:
            self._read(wire, sys.maxsize)
        self._flush()
        if data:
            with contextlib.suppress(OSError):  # gone meanwhile: the next turn notices
                self._control.send(msgspec.msgpack.encode(Flush(flush_decoder.decode(data).token)))
        return bool(data)

    def _flush(self) -> None:
        self._watch()
        self._digest()
        now = time.monotonic()
        self._post(now)
        if self._row_log is not None:
            self._roll(now)

    def _read(self, wire: socket.socket, most: int) -> None:
        """Take what lies on a wire; much at once is digested on the way, so that memory stays bounded."""
        for _ in range(most):
            try:
                data = wire.recv(1 << 20)
            except BlockingIOError:
                return
            if not data:
                return
            try:
                served = served_decoder.decode(data)
            except msgspec.DecodeError:
                log.error("a message of another release was dropped")
                continue
            self._waiting.append(served)
            self._waiting_rows += served.rows
            if self._waiting_rows >= DIGEST_ROWS:
                self._digest()

    def _watch(self) -> None:
        """Follow the release: its challengers, and the length of its windows."""
        try:
            stat = (self._folder / CURRENT).stat()
        except FileNotFoundError:
            return
        if (stat.st_ino, stat.st_mtime_ns) == self._stat:
            return
        self._stat = (stat.st_ino, stat.st_mtime_ns)
        try:
            deployment = read_release(self._folder).deployment
        except PerenneError as error:
            log.error("the release cannot be read: %s", error)
            return
        self._digest()  # what came before belongs to the release before
        self._deployment = deployment
        self.challengers = list(self._load_challengers(deployment))
        self._counters.set(Gauge.GENERATION, deployment.generation)
        self._counters.set(Gauge.READY, 1)

    def _load_challengers(self, deployment: Deployment) -> Iterator[Challenger]:
        for variant in deployment.challengers:
            try:
                yield Challenger.load(self._folder, variant, self._package(variant.tree), self._package(deployment.champion.tree))
            except Exception as error:  # it is not in shadow then; nobody's answer depends on it
                self._counters.add(Gauge.CHALLENGER_ERRORS)
                log.error("challenger %s cannot be loaded: %s", variant.version, error)

    def _package(self, tree: str) -> Package:
        package = self._packages.pop(tree, None) or open_package(self._folder, tree)
        self._packages[tree] = package
        while len(self._packages) > MAX_PACKAGES:
            del self._packages[next(iter(self._packages))]
        return package

    def _digest(self) -> None:
        """Log and count what waits, together where the same version answered in the same role and window."""
        if not self._waiting or self._deployment is None:
            return
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        length = self._deployment.window_length

        def group_of(served: Served) -> tuple[str, str, str, int, bool]:
            return served.version, served.tree, served.role, served.event_time // length * length, bool(served.predictions)

        for (version, tree, role, start, answered), served in groupby(sorted(waiting, key=group_of), group_of):
            group = list(served)
            try:
                self._digest_group(WindowKey(self._deployment.name, role, version, start, length), tree, group, answered)
            except Exception as error:  # one bad group must not cost the others
                log.error("%d requests to %s could not be kept: %s: %s", len(group), version, type(error).__name__, error)

    def _digest_group(self, key: WindowKey, tree: str, group: list[Served], answered: bool) -> None:
        package = self._package(tree)
        watched = package.reference is not None and key.variant != CONSTANT
        window = self._windows.window(key, package.reference) if watched and package.reference else None
        if window is not None:
            window.dropped += sum(served.dropped for served in group)
        group = [served for served in group if served.rows]
        if not group:
            return
        columns = unpack_columns([served.columns for served in group], package.signature.fields)
        prediction = _prediction(group, package.signature) if answered else None
        self._log(package, key, tree, group, columns, prediction)
        if window is not None:
            window.add_requests(group)
            if prediction is not None:
                window.add(columns, prediction, group)
        if key.variant == Role.CHAMPION and prediction is not None:
            for challenger in self.challengers:
                self._challenge(challenger, key, package, group, columns, prediction)

    def _challenge(
        self,
        challenger: Challenger,
        key: WindowKey,
        champion: Package,
        group: list[Served],
        columns: dict[str, Column],
        ours: Prediction,
    ) -> None:
        if challenger.parked:
            return
        variant = challenger.variant
        key = key._replace(variant=Role.CHALLENGER.value, version=variant.version)
        rows = len(ours.predictions)
        theirs = challenger.answer(columns, rows)
        reference = challenger.package.reference
        window = None if reference is None else self._windows.window(key, reference)
        if theirs is None:
            self._counters.add(Gauge.CHALLENGER_ERRORS)
            if window is not None:
                window.errors += len(group)
            return
        shadows = [
            msgspec.structs.replace(served, latency_us=theirs.row_us * served.rows, batch_rows=rows, reason="", status=200)
            for served in group
        ]
        self._log(challenger.package, key, variant.tree, shadows, columns, theirs.prediction)
        if window is not None:
            window.add(columns, theirs.prediction, group)
            window.compare(agreeing(champion.signature, ours, challenger.package.signature, theirs.prediction), rows)

    def _log(
        self,
        package: Package,
        key: WindowKey,
        tree: str,
        group: list[Served],
        columns: dict[str, Column],
        prediction: Prediction | None,
    ) -> None:
        from perenne.serving import row_log

        if self._row_log is None:
            self._row_log = row_log.RowLog(self._logs, self._boot)
        signature = package.signature
        batch = row_log.batch_of(signature, key, tree, group, columns, prediction)
        self._row_log.add(batch, signature.fields, signature.task)

    def _post(self, now: float) -> None:
        self._windows.post()
        self._due["post"] = now + POST_SECONDS

    def _roll(self, now: float) -> None:
        assert self._row_log is not None
        self._counters.add(Gauge.LOGGED_ROWS, self._row_log.roll())
        self._due["roll"] = now + ROLL_SECONDS


def _prediction(group: Iterable[Served], signature: Signature) -> Prediction:
    kind = np.float64 if signature.task is Task.REGRESSION else np.int64
    predictions: NDArray[np.generic] = np.frombuffer(b"".join(served.predictions for served in group), kind)
    if signature.task is Task.REGRESSION:
        return Prediction(predictions, None)
    scores = np.frombuffer(b"".join(served.scores for served in group), np.float64).reshape(-1, len(signature.classes))
    return Prediction(predictions, scores)


def _open(handle: int) -> socket.socket:
    wire = socket.socket(fileno=handle)
    wire.setblocking(False)
    return wire
