"""A challenger's own process: it answers what it is asked on its wire, and may hang, crash or eat its processor there.

Frames on the wire are a length and MessagePack. The process goes when the wire is closed or the observer dies, also if its model
never returns.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import msgspec

from perenne.inference import load
from perenne.serving.messages import PackedColumn, pack_answers, unpack_columns
from perenne.telemetry import logs

log = logging.getLogger("perenne.challenger")
NICENESS = 5
"""Beside the observer's own, which the process has from the start."""
_LENGTH = struct.Struct("<q")
_PARENT_DIED = 1  # PR_SET_PDEATHSIG
_LOOK_SECONDS = 1.0


class ShadowOptions(msgspec.Struct, frozen=True):
    """What the observer tells the process: the folder of the package and the wire's descriptor, and as what it may be loaded."""

    package: str
    wire: int
    manifest: str = ""
    code: bool = True


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Rows to answer: columns in the order of the model's signature."""

    rows: int
    columns: list[PackedColumn]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What was answered and in how many microseconds, or the kind of error it failed with."""

    predictions: bytes
    scores: bytes
    took_us: int
    error: str = ""


_question = msgspec.msgpack.Decoder(Question)


def run(options: ShadowOptions) -> None:
    """Answer until the wire is closed."""
    logs.configure("perenne-challenger")
    os.nice(NICENESS)
    _go_with_the_observer()
    wire = socket.socket(fileno=options.wire)
    predictor = load(Path(options.package), manifest=options.manifest, code=options.code)
    fields = predictor.signature.fields
    while (data := receive(wire)) is not None:
        question = _question.decode(data)
        start = time.perf_counter_ns()
        try:
            prediction = predictor.predict(unpack_columns([question.columns], fields))
            predictions, scores = pack_answers(prediction)
            reply = Reply(predictions, scores, (time.perf_counter_ns() - start) // 1_000)
        except Exception as error:
            log.warning("the challenger failed on %d rows: %s", question.rows, type(error).__name__)
            reply = Reply(b"", b"", 0, type(error).__name__)
        send(wire, msgspec.msgpack.encode(reply))


def send(wire: socket.socket, data: bytes) -> None:
    """Send a frame. Raises OSError if the other end is gone, or does not take it in time."""
    wire.sendall(_LENGTH.pack(len(data)) + data)


def receive(wire: socket.socket) -> bytes | None:
    """Wait for a frame; None once the other end is gone. Raises TimeoutError if the wire has a time-out that passes."""
    head = _exactly(wire, _LENGTH.size)
    return None if head is None else _exactly(wire, _LENGTH.unpack(head)[0])


def _exactly(wire: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        part = wire.recv(min(left, 1 << 20))
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _go_with_the_observer() -> None:
    """Have the kernel end this process with its parent where it can; elsewhere a thread looks for it."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_look, args=(parent,), daemon=True).start()


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(0)
