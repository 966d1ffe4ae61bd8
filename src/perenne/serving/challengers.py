"""Challengers in shadow: they answer the same rows as the champion, in processes of their own, and nobody waits for them."""

import contextlib
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from random import random
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from perenne.core import json
from perenne.inference import Prediction, Signature
from perenne.serving.children import start_process
from perenne.serving.loading import check_inputs
from perenne.serving.messages import Served, pack_columns, unpack_answers
from perenne.serving.model import ReleasedPackage, Role, Variant
from perenne.serving.releases import package_folder
from perenne.serving.shadow import Question, Reply, ShadowOptions, receive, send
from perenne.serving.windows import WindowKey
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Columns, FieldKind, Task

Label: TypeAlias = str | int | float | bool

REFERENCE = "monitor/reference.npz"
MAX_FAILURES = 3
DEATHS_SECONDS = 600.0
MAX_WAITING_BYTES = 32 * 1024 * 1024
ANSWER_SECONDS = 10.0
START_SECONDS = 60.0
_SAME_VALUE = 0.01
_reply = msgspec.msgpack.Decoder(Reply)


class Package(NamedTuple):
    """A version as the observer needs it: what it takes and answers, and the cells it is watched by."""

    signature: Signature
    reference: Reference | None


class _Manifest(msgspec.Struct):
    signature: Signature


def open_package(folder: Path, tree: str) -> Package:
    """Read what a version takes and answers from a release folder; the model itself stays on the disk."""
    package = package_folder(folder, tree)
    signature = json.decode((package / "package.json").read_bytes(), _Manifest, what="package.json").signature
    path = package / REFERENCE
    return Package(signature, Reference.from_bytes(path.read_bytes()) if path.exists() else None)


def labels(signature: Signature, prediction: Prediction) -> list[Label]:
    """Return the answers of a prediction: labels, or numbers for regression; outputs have none."""
    if prediction.outputs is not None:
        return []
    answers = prediction.predictions.tolist()
    return answers if signature.task is Task.REGRESSION else [signature.classes[answer] for answer in answers]


class Asked(NamedTuple):
    """Rows that the champion answered, for a challenger to answer as well.

    Attributes
    ----------
    key : WindowKey
        Of the champion's window.
    champion : Package
        Who answered.
    group : list of Served
        The requests.
    columns : dict
        Their inputs.
    ours : Prediction
        What the champion answered.
    """

    key: WindowKey
    champion: Package
    group: list[Served]
    columns: dict[str, Column]
    ours: Prediction

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return sum(served.rows for served in self.group)

    @property
    def bytes(self) -> int:
        """How much memory they hold, but for texts."""
        return sum(int(column.nbytes) for column in self.columns.values())


class Shadowed(NamedTuple):
    """What became of rows: the challenger's answers and microseconds per row, or None if it failed on them."""

    asked: Asked
    theirs: Prediction | None
    row_us: int


class Challenger:
    """A version in shadow, in a process of its own, asked by a thread of the observer that nobody waits for.

    It has as long for a request as its time-out says, or ten seconds for what is asked at once. After three errors in a row, or
    three crashes or time-outs within ten minutes, it is parked until the deployment changes. What it cannot keep up with is
    dropped and counted.

    Parameters
    ----------
    folder : Path
        The release folder.
    variant : Variant
        Which one.
    package : Package
        What it takes and answers.
    champion : Signature
        What callers send.
    admitted : ReleasedPackage
        As what its package may be loaded.

    Attributes
    ----------
    parked : str
        Why it is no longer asked; empty while it is.
    reported : bool
        Whether the control plane was told that it is to be asked no more.
    dropped : int
        Rows it was not asked, for others waited.
    agreed, compared : int
        Rows on which it answered like the champion, of all that were compared.

    Raises
    ------
    Invalid
        If it takes inputs that callers of the champion do not send.
    """

    def __init__(
        self, folder: Path, variant: Variant, package: Package, champion: Signature, admitted: ReleasedPackage | None = None
    ) -> None:
        check_inputs(champion, package.signature)
        self.variant = variant
        self.package = package
        self.parked = ""
        self.reported = False
        self.dropped = self.agreed = self.compared = 0
        self._folder = package_folder(folder, variant.tree)
        self._admitted = admitted or ReleasedPackage(unpickle=True)
        # A canary's time-out is for its callers: here it runs niced, and its own lateness would not be its fault.
        self._seconds = variant.timeout_ms / 1_000 if variant.role is Role.CHALLENGER else 0.0
        self._failures = 0
        self._deaths: list[float] = []
        self._waiting: SimpleQueue[Asked | None] = SimpleQueue()
        self._done: deque[Shadowed] = deque()
        self._bytes = self._open = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"perenne-{variant.name}", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Tell whether rows wait for it."""
        return self._open > 0 and not self._closing

    def pid(self) -> int | None:
        """Return the number of its process, if it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def offer(self, asked: Asked) -> None:
        """Have rows answered; dropped and counted if too many wait. Never waits."""
        if self.parked or not self._has_all(asked.columns) or not self._drawn():
            return
        with self._lock:
            if self._open and self._bytes + asked.bytes > MAX_WAITING_BYTES:
                self.dropped += asked.rows
                return
            self._open += 1
            self._bytes += asked.bytes
        self._waiting.put(asked)

    def take(self) -> Iterator[Shadowed]:
        """Go through what was answered since."""
        while self._done:
            yield self._done.popleft()

    def is_asked_as(self, variant: Variant) -> bool:
        """Tell whether a variant asks for nothing else than what is done already."""
        return _asking(self.variant) == _asking(variant)

    def compare(self, agreed: int, rows: int) -> None:
        """Note on how many of some rows it answered like the champion."""
        self.agreed += agreed
        self.compared += rows

    def close(self) -> None:
        """Ask no more, and end its process whatever it does."""
        self._closing = True
        self._end()
        self._waiting.put(None)
        self._thread.join(2)
        self._end()

    def _has_all(self, columns: Columns) -> bool:
        """Tell whether the tensors it takes have come: large ones stay with the worker."""
        return all(field.name in columns for field in self.package.signature.fields if field.kind is FieldKind.TENSOR)

    def _drawn(self) -> bool:
        return self.variant.mirror >= 1 or random() < self.variant.mirror

    def _run(self) -> None:
        while (asked := self._waiting.get()) is not None and not self._closing:
            if not self.parked:
                found = self._answer(asked)
                if not self._closing:
                    theirs, row_us = found or (None, 0)
                    self._done.append(Shadowed(asked, theirs, row_us))
            with self._lock:
                self._open -= 1
                self._bytes -= asked.bytes

    def _answer(self, asked: Asked) -> tuple[Prediction, int] | None:
        """Ask the process, which is started if need be; None if it failed, and it is ended if it hangs."""
        if self._process is not None and self._process.poll() is not None:  # while nobody asked it anything
            self._fail("its process died")
            return None
        try:
            reply = self._ask(asked)
        except TimeoutError:
            self._fail("it was not ready in its time")
        except (OSError, EOFError, msgspec.DecodeError):
            self._fail("its process died")
        else:
            if not reply.error:
                self._failures = 0
                like = msgspec.structs.replace(asked.group[0], predictions=reply.predictions, scores=reply.scores)
                return unpack_answers([like], self.package.signature), reply.took_us // max(asked.rows, 1)
            self._fail(f"it failed with {reply.error}", dies=False)
        return None

    def _ask(self, asked: Asked) -> Reply:
        fresh = self._process is None
        wire = self._start() if fresh else self._wire
        assert wire is not None
        seconds = min(self._seconds * len(asked.group), ANSWER_SECONDS) if self._seconds else ANSWER_SECONDS
        wire.settimeout(seconds + (START_SECONDS if fresh else 0.0))
        send(wire, msgspec.msgpack.encode(Question(asked.rows, pack_columns(asked.columns, self.package.signature.fields))))
        data = receive(wire)
        if data is None:
            raise EOFError
        return _reply.decode(data)

    def _fail(self, why: str, *, dies: bool = True) -> None:
        """Count a failure; a process that died or hung is ended, and counts for a while even if others between went well."""
        now = time.monotonic()
        self._failures += 1
        if dies:
            self._end()
            self._deaths = [*(then for then in self._deaths if then > now - DEATHS_SECONDS), now]
        if max(self._failures, len(self._deaths)) >= MAX_FAILURES and not self._closing:
            self.parked = f"{MAX_FAILURES} times {why}"
            self._end()

    def _start(self) -> socket.socket:
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        options = ShadowOptions(str(self._folder), theirs.fileno(), self._admitted.manifest, self._admitted.unpickle)
        self._process = start_process(["challenger", msgspec.json.encode(options).decode()], (theirs.fileno(),))
        theirs.close()
        self._wire = ours
        if self._closing:
            self._end()
        return ours

    def _end(self) -> None:
        process, wire = self._process, self._wire
        self._process = self._wire = None
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()


def _asking(variant: Variant) -> tuple[object, ...]:
    return variant.version, variant.tree, variant.role, variant.mirror, variant.timeout_ms


def agreeing(champion: Signature, ours: Prediction, challenger: Signature, theirs: Prediction) -> int:
    """Count the rows both answer alike: with the same label, or with values (of all outputs) that differ by at most 1 %."""
    if ours.outputs is not None or theirs.outputs is not None:
        return _agreeing_outputs(ours.outputs or {}, theirs.outputs or {})
    if champion.task is Task.REGRESSION or challenger.task is Task.REGRESSION:
        same = np.isclose(theirs.predictions, ours.predictions, rtol=_SAME_VALUE, atol=0.0)
        return int(np.count_nonzero(same))
    return sum(a == b for a, b in zip(labels(champion, ours), labels(challenger, theirs), strict=True))


def _agreeing_outputs(ours: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> int:
    common = [name for name in ours if name in theirs and theirs[name].shape == ours[name].shape]
    if not common or len(common) < len(ours):
        return 0
    same = np.ones(len(ours[common[0]]), np.bool_)
    for name in common:
        a, b = ours[name], theirs[name]
        alike = np.isclose(b, a, rtol=_SAME_VALUE, atol=1e-6, equal_nan=True) if a.dtype.kind == "f" else np.asarray(a == b)
        same &= alike.reshape(len(same), -1).all(axis=1)
    return int(np.count_nonzero(same))
