"""A child process that carries out calls: `python -m perenne.compute.worker`.

Frames of length and MessagePack travel over its standard input and output; what the called functions print goes to standard
error instead. The parent's death closes the input, and the worker ends at once, in the middle of a call if need be.
"""

import os
import queue
import struct
import sys
import threading
from typing import BinaryIO

import msgspec

from perenne.compute.calls import Answer, Call, carry_out, encoded, reporting_to
from perenne.telemetry import logs

_LENGTH = struct.Struct("<Q")


def send(stream: BinaryIO, data: bytes) -> None:
    """Write one frame."""
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


def main() -> None:
    """Carry out one call after the other until the input ends."""
    logs.configure("perenne-step", level="warning")
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(os.devnull)  # noqa: SIM115  (stays open for good)
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()

    def read() -> None:
        while (data := receive(requests)) is not None:
            calls.put(msgspec.msgpack.decode(data, type=Call))
        os._exit(0)

    threading.Thread(target=read, name="perenne-parent", daemon=True).start()
    with reporting_to(lambda said: send(replies, msgspec.msgpack.encode(Answer(report=said)))):
        while True:
            send(replies, encoded(carry_out(calls.get())))


if __name__ == "__main__":
    main()
