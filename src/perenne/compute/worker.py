"""A child process that carries out calls: `python -m perenne.compute.worker`.

Frames of length and MessagePack travel over its standard input and output; what the called functions print goes to standard
error instead. The parent's death closes the input, and the worker ends at once, in the middle of a call if need be.
"""

import importlib
import os
import queue
import struct
import sys
import threading
import traceback
from typing import Any, BinaryIO

import msgspec

from perenne.core.errors import PerenneError
from perenne.telemetry import logs

_LENGTH = struct.Struct("<Q")


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A function by name, and plain arguments."""

    module: str
    name: str
    arguments: tuple[Any, ...]


class Raised(msgspec.Struct, frozen=True, array_like=True):
    """An exception on its way back: the parent raises its own kind again, and others as it can."""

    module: str
    name: str
    message: str
    code: str
    hint: str
    text: str
    arguments: tuple[Any, ...] | None = None


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What a worker sends: a report while it works, then a value or what was raised."""

    report: Any = None
    value: Any = None
    raised: Raised | None = None
    final: bool = False


def send(stream: BinaryIO, value: msgspec.Struct) -> None:
    """Write one frame."""
    data = msgspec.msgpack.encode(value)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Read one frame; None at the end, also if that comes in the middle of a frame."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


_replies: BinaryIO | None = None


def report(value: Any) -> None:
    """Send a plain value to whoever handed out the call; does nothing outside a worker."""
    if _replies is not None:
        send(_replies, Answer(report=value))


def carry_out(call: Call) -> Answer:
    """Call the function; whatever it raises becomes part of the answer."""
    try:
        function = getattr(importlib.import_module(call.module), call.name)
        return Answer(value=function(*call.arguments), final=True)
    except BaseException as error:  # also SystemExit: a call may not end the worker silently
        return Answer(raised=_raised(error), final=True)


def _raised(error: BaseException) -> Raised:
    code, hint = (error.code, error.hint) if isinstance(error, PerenneError) else ("", "")
    plain = all(isinstance(argument, str | int | float | None) for argument in error.args)
    kind, text = type(error), "".join(traceback.format_exception(error))
    return Raised(kind.__module__, kind.__qualname__, str(error), code, hint, text, error.args if plain else None)


def main() -> None:
    """Carry out one call after the other until the input ends."""
    global _replies
    logs.configure("perenne-step", level="warning")
    requests, _replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(os.devnull)  # noqa: SIM115  (stays open for good)
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()

    def read() -> None:
        while (data := receive(requests)) is not None:
            calls.put(msgspec.msgpack.decode(data, type=Call))
        os._exit(0)

    threading.Thread(target=read, name="perenne-parent", daemon=True).start()
    while True:
        answer = carry_out(calls.get())
        try:
            send(_replies, answer)
        except (TypeError, OverflowError) as error:
            send(_replies, Answer(raised=_raised(TypeError(f"the result cannot travel: {error}")), final=True))


if __name__ == "__main__":
    # The module that called functions import is another one than `__main__`, and its `report` must be the one that works.
    importlib.import_module("perenne.compute.worker").main()
