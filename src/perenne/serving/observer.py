"""The observer: one niced process that keeps what the workers answered. It owns the row log, the windows and the challengers.

It may die, hang or be slow at any time, and the disk may be full: a worker never waits for it, and what is lost is counted and
said in the windows. Each message says how many rows were sent on its wire before, so that a later life knows what an earlier one
took with it.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perenne.core.errors import PerenneError
from perenne.core.ids import new_id
from perenne.inference import Prediction
from perenne.serving.admission import Admission, Board
from perenne.serving.challengers import Asked, Package, open_package
from perenne.serving.checkpoints import Checkpoints, Staged, discard
from perenne.serving.compaction import Compactor
from perenne.serving.counters import Account, Counters, Gauge
from perenne.serving.messages import (
    CONSTANT,
    HOLDOUT,
    Served,
    shapes_of,
    unpack_answers,
    unpack_columns,
    unpack_message,
)
from perenne.serving.model import Deployment, Role
from perenne.serving.options import Flush, ObserverOptions, flush_decoder
from perenne.serving.outlets import Outlets
from perenne.serving.releases import CURRENT, find_release
from perenne.serving.retention import Retention
from perenne.serving.shadows import Shadows
from perenne.serving.windows import WindowKey, Windows
from perenne.stats.columns import Column
from perenne.telemetry import logs

if TYPE_CHECKING:
    from perenne.serving.row_log import RowLog

log = logging.getLogger("perenne.observer")
DIGEST_ROWS = 8_192
DIGEST_SECONDS = 0.5
CHECKPOINT_SECONDS = 5.0
CHECKPOINT_BYTES = 8 * 1024 * 1024
KEEP_BYTES = 64 * 1024 * 1024
WATCH_SECONDS = 0.2
MAX_WINDOWS = 512
MAX_PACKAGES = 8
NICENESS = 10
SHADOW_SECONDS = 20.0
_READ_AT_ONCE = 512
_READ_ALL = 65_536  # more messages than the kernel's buffer holds


def run(options: ObserverOptions) -> None:
    """Be the observer until the parent goes."""
    logs.configure("perenne-observer")
    os.nice(NICENESS)
    observer = Observer(options)
    compactor = Compactor(Path(options.logs), Retention(Path(options.logs), observer.kept).work)
    compactor.start()
    signal.signal(signal.SIGTERM, lambda *_: observer.leave())
    observer.run()
    compactor.stop()


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
        self._server = options.server or new_id()
        self._admission = Admission(Board(options.verdicts) if options.verdicts >= 0 else None)
        self._wires = [_open(handle) for handle in options.wires]
        self._control = _open(options.control)
        self._counters = Counters(options.counters, len(options.wires) + 1, len(options.wires))
        self._spool = Path(options.spool)
        self._windows = Windows(self._spool, socket.gethostname(), self._server, new_id())
        self._outlets = Outlets(self._folder, self._logs, self._server, self._counters)
        self._row_log: RowLog | None = None
        self._waiting: list[Served] = []
        self._waiting_rows = 0
        self._packages: dict[str, Package] = {}
        self._deployment: Deployment | None = None
        self.shadows = Shadows(self._folder, self._spool, self._server, self._counters, self._package, self._admission)
        self._stat: tuple[int, int] | None = None
        self._selector = selectors.DefaultSelector()
        for place, wire in enumerate(self._wires):
            self._selector.register(wire, selectors.EVENT_READ, place)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._due = {"watch": 0.0, "digest": 0.0, "checkpoint": 0.0}
        self._leaving = self._refused = False
        self._checkpoints = Checkpoints(self._logs, self._server, self._counters.ledger)
        self._account = self._checkpoints.recover()
        self._windows.sweep([file.hidden for file in self._checkpoints.open])
        self._positions = list(self._account.positions)
        self._kept = self._lost = 0
        self._untold = self._account.untold
        self._publish()
        self._watch()
        self._take_all()

    def run(self) -> None:
        """Observe until told to go, or until the parent closes its end of the control wire."""
        while not self._leaving and self.step(WATCH_SECONDS):
            pass
        if self._leaving:
            self._flush()
        self.close()

    def leave(self) -> None:
        """Write everything and end after what is being done now."""
        self._leaving = True

    def kept(self) -> tuple[str, int]:
        """Tell the deployment, and for how many microseconds its rows are kept; 0 for good."""
        deployment = self._deployment
        return ("", 0) if deployment is None else (deployment.name, deployment.log.keep)

    def step(self, seconds: float) -> bool:
        """Wait for messages, at most so long, and do what is due; False once the parent is gone."""
        ready = [key for key, _ in self._selector.select(seconds)]
        for key in ready:
            if key.fileobj is not self._control:
                self._read(key.data, _READ_AT_ONCE)
        self._work()
        return all(key.fileobj is not self._control for key in ready) or self._answer_parent()

    def close(self) -> None:
        """Let go of the wires, the challengers and of what is open."""
        self._outlets.close()
        self.shadows.close()
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
        self._take_shadows()
        if now >= self._due["checkpoint"] or (self._is_full() and not self._refused):
            self._checkpoint()

    def _answer_parent(self) -> bool:
        """Flush if asked to; False if the parent is gone."""
        try:
            data = self._control.recv(65_536)
        except BlockingIOError:
            return True
        except ConnectionError:  # the parent went without reading the last reply
            data = b""
        kept = self._flush()
        if data and kept:
            with contextlib.suppress(OSError):  # gone meanwhile: the next turn notices
                self._control.send(msgspec.msgpack.encode(Flush(flush_decoder.decode(data).token)))
        return bool(data)

    def _flush(self) -> bool:
        """Write everything that was sent so far, and what challengers make of it in time; False if the disk refuses it."""
        self._take_all()
        self._watch()
        self._digest()
        self.shadows.wait(SHADOW_SECONDS)
        self._take_shadows()
        return self._checkpoint()

    def _take_all(self) -> None:
        """Take what was sent so far; what should lie on a wire and does not was lost with an earlier life."""
        for place in range(len(self._wires)):
            sent = self._counters.get(Gauge.SENT_ROWS, place)
            self._read(place, _READ_ALL)
            self._miss(place, sent)

    def _miss(self, place: int, position: int) -> None:
        """Count the rows before a position of a wire that never came."""
        if position > self._positions[place]:
            self._lose(position - self._positions[place])
            self._positions[place] = position

    def _lose(self, rows: int) -> None:
        self._lost += rows
        self._untold += rows

    def _read(self, place: int, most: int) -> None:
        """Take what lies on a wire; much at once is digested on the way, so that memory stays bounded."""
        for _ in range(most):
            try:
                data = self._wires[place].recv(1 << 20)
            except BlockingIOError:
                return
            if not data:
                return
            try:
                position, served = unpack_message(data)
            except msgspec.DecodeError:
                log.error("a message of another release was dropped")  # the next one's position tells how many rows
                continue
            self._miss(place, position)
            rows = sum(part.rows for part in served)
            self._positions[place] = position + rows
            self._waiting += served
            self._waiting_rows += rows
            if self._waiting_rows >= DIGEST_ROWS:
                self._digest()
                if self._is_full():
                    self._checkpoint()

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
            release, _ = find_release(self._folder)
        except PerenneError as error:
            log.error("the release cannot be read: %s", error)
            return
        self._digest()  # what came before belongs to the release before
        self._take_shadows()
        self._deployment = release.deployment
        self._outlets.follow(release.deployment)
        self.shadows.follow(release)
        self._counters.set(Gauge.GENERATION, release.deployment.generation)
        self._counters.set(Gauge.READY, 1)

    def _package(self, tree: str) -> Package:
        package = self._packages.pop(tree, None) or open_package(self._folder, tree)
        self._packages[tree] = package
        while len(self._packages) > MAX_PACKAGES:
            del self._packages[next(iter(self._packages))]
        return package

    def _digest(self) -> None:
        """Log and count what waits, together where the same version answered in the same role and window."""
        if not self._waiting:
            return
        waiting, rows = self._waiting, self._waiting_rows
        self._waiting, self._waiting_rows = [], 0
        if self._deployment is None:  # nothing is known of what they answer
            self._lose(rows)
            return
        length = self._deployment.window_length

        def group_of(served: Served) -> tuple[str, str, str, int, bool, str]:
            start, answered = served.event_time // length * length, bool(served.predictions)
            return served.version, served.tree, served.role, start, answered, self._shapes(served)

        for (version, tree, role, start, answered, _), served in groupby(sorted(waiting, key=group_of), group_of):
            group = list(served)
            rows, kept = sum(served.rows for served in group), self._kept
            try:
                self._digest_group(WindowKey(self._deployment.name, role, version, start, length), tree, group, answered)
            except Exception as error:  # one bad group must not cost the others
                log.error("%d requests to %s could not be kept: %s: %s", len(group), version, type(error).__name__, error)
                self._lose(rows - (self._kept - kept))

    def _shapes(self, served: Served) -> str:
        """Tell messages apart whose tensors do not fit together; those of a package that cannot be read fail later."""
        try:
            return str(shapes_of(served, self._package(served.tree).signature))
        except Exception:
            return ""

    def _digest_group(self, key: WindowKey, tree: str, group: list[Served], answered: bool) -> None:
        package = self._package(tree)
        watched = package.reference is not None and key.variant != CONSTANT and (key.variant != HOLDOUT or answered)
        window = self._windows.window(key, package.reference) if watched and package.reference else None
        if window is not None:
            window.dropped += sum(served.dropped for served in group) + self._untold
            self._untold = 0
        group = [served for served in group if served.rows]
        if not group:
            return
        columns = unpack_columns([served.columns for served in group], package.signature.fields)
        prediction = unpack_answers(group, package.signature) if answered else None
        self._log(package, key, tree, group, columns, prediction)
        self._kept += sum(served.rows for served in group)
        if window is not None:
            window.add_requests(group)
            if prediction is not None:
                window.add(columns, prediction, group)
        if key.variant == Role.CHAMPION and prediction is not None:
            self.shadows.offer(Asked(key, package, group, columns, prediction))

    def _take_shadows(self) -> None:
        """Log and count what challengers answered since."""
        self.shadows.take(self._windows, self._log)

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
            self._row_log = row_log.RowLog(self._logs, self._server)
        signature = package.signature
        batch = row_log.batch_of(signature, key, tree, group, columns, prediction)
        table = self._outlets.put(row_log.to_table(batch, signature.fields, signature.task), key.variant)
        if table.num_rows:
            self._row_log.add(key.version, table)

    def _is_full(self) -> bool:
        """Tell whether so much waits that it is not to wait for its time."""
        from_log = 0 if self._row_log is None else self._row_log.bytes
        return from_log >= CHECKPOINT_BYTES or len(self._windows) > MAX_WINDOWS

    def _checkpoint(self) -> bool:
        """Write the rows and windows that wait, and the account; False if the disk refuses.

        What it refuses waits for the next time, up to a limit; beyond it, it is dropped and counted.
        """
        self._digest()
        self._due["checkpoint"] = time.monotonic() + CHECKPOINT_SECONDS
        files: list[Staged] = []
        before = self._account
        try:
            self._checkpoints.settle()
            if self._is_settled():
                return True
            for staged in self._stage():
                files.append(staged)
            self._commit(files)
            self._checkpoints.settle()
        except Exception as error:
            if self._account is before:
                discard(files)
            self._refuse(error)
            return False
        if self._refused:
            log.warning("the log can be written again")
            self._refused = False
        return True

    def _is_settled(self) -> bool:
        return not (self._kept or self._lost or len(self._windows)) and tuple(self._positions) == self._account.positions

    def _stage(self) -> Iterator[Staged]:
        if self._row_log is not None:
            yield from self._row_log.stage(self._account.sequence + 1)
        yield from self._windows.stage()

    def _commit(self, files: list[Staged]) -> None:
        before = self._account
        account = Account(
            sequence=before.sequence + 1,
            logged=before.logged + (0 if self._row_log is None or not files else self._row_log.rows),
            dropped=before.dropped + self._lost,
            untold=self._untold,
            positions=tuple(self._positions),
        )
        self._checkpoints.commit(files, account)
        self._account = account
        self._kept = self._lost = 0
        self._windows.clear()
        if self._row_log is not None:
            self._row_log.clear()
        self._publish()

    def _refuse(self, error: Exception) -> None:
        """Keep what the disk did not take; drop it if it is too much, or cannot be written at all."""
        if not self._refused:
            log.error("the log cannot be written: %s", getattr(error, "strerror", None) or f"{type(error).__name__}: {error}")
        self._refused = True
        bytes_kept = 0 if self._row_log is None else self._row_log.bytes
        if isinstance(error, OSError) and bytes_kept < KEEP_BYTES and len(self._windows) <= MAX_WINDOWS:
            return
        if self._kept:
            log.error("%d rows are dropped, for the log cannot be written", self._kept)
        self._untold += self._windows.clear()
        self._lose(self._kept)
        self._commit([])

    def _publish(self) -> None:
        self._counters.set(Gauge.LOGGED_ROWS, self._account.logged)
        self._counters.set(Gauge.DROPPED, self._account.dropped)


def _open(handle: int) -> socket.socket:
    wire = socket.socket(fileno=handle)
    wire.setblocking(False)
    return wire
