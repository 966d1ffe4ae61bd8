"""Parquet bodies, read in a process of their own, which starts with the first: what ends it costs one request its answer.

A worker never imports Arrow. The process gets a body and what the model takes, gives columns or a refusal, and goes when its
worker goes.
"""

import contextlib
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec
import numpy as np

from perenne.core.errors import Invalid, PerenneError
from perenne.inference import Signature
from perenne.net.aside import Aside
from perenne.net.inbound import TooLarge
from perenne.serving import Rows
from perenne.stats.columns import Column

log = logging.getLogger("perenne.serving")
FRAME = struct.Struct("<QQ")
"""Lengths of what follows: of what is asked and of the body; of an answer, and nothing."""

ADDRESS_SPACE = 4 << 30
READ_SECONDS = 30.0


class Asked(msgspec.Struct):
    """What a body is read for, and how many bytes it may be, decompressed."""

    signature: Signature
    limit: int


class Packed(msgspec.Struct, array_like=True):
    """A column: its dtype and shape, and its bytes, or its values if they are texts."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes | list[str | None]


class Answered(msgspec.Struct, omit_defaults=True):
    """Columns in the order of the signature, or why there are none."""

    rows: int = 0
    columns: list[Packed] = []
    refusal: str = ""
    code: str = ""
    status: int = 400


class TookTooLong(PerenneError):
    """The body was not read in time."""

    status = 504


_answers = msgspec.msgpack.Decoder(Answered)


class ParquetReader:
    """Asks the process, one body after the other, from a thread beside the event loop."""

    def __init__(self) -> None:
        self._aside = Aside("perenne-parquet")
        self._process: subprocess.Popen[bytes] | None = None

    async def read(self, body: bytes, signature: Signature, limit: int) -> Rows:
        """Read a body.

        Raises
        ------
        PerenneError
            As `parquet.read_rows`; Invalid too if it ends the process, Unavailable if too many others wait.
        """
        asked = msgspec.msgpack.encode(Asked(signature, limit))
        answer = await self._aside.run(lambda: self._ask(asked, body))
        if answer.status == TooLarge.status:
            raise TooLarge(limit)
        if answer.refusal:
            raise Invalid(answer.refusal, code=answer.code)
        return Rows(dict(zip(signature.names, map(_unpack, answer.columns), strict=True)), answer.rows)

    def close(self) -> None:
        """End the process and the thread."""
        self._aside.close()
        self._end()

    def _ask(self, asked: bytes, body: bytes) -> Answered:
        process = self._running()
        start, late = time.monotonic(), threading.Timer(READ_SECONDS, process.kill)
        late.start()
        try:
            return _answers.decode(_exchange(process, asked, body))
        except (OSError, EOFError):
            self._end()
            if time.monotonic() - start >= READ_SECONDS:
                raise TookTooLong("the body was not read in time", code="DEADLINE_EXCEEDED") from None
            log.warning("a Parquet body ended the process that read it")
            raise Invalid("the body is not Parquet that can be read", code="BAD_REQUEST") from None
        finally:
            late.cancel()

    def _running(self) -> "subprocess.Popen[bytes]":
        """Return the process, started if need be; Arrow must not reserve more than it is allowed."""
        if self._process is None:
            command = (sys.executable, "-P", "-m", "perenne.protocols.mlflow.parquet")
            environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
            pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it had not read yet
                    pipe.close()


def _exchange(process: "subprocess.Popen[bytes]", asked: bytes, body: bytes) -> bytes:
    """Ask, and wait for the answer. Raises OSError or EOFError if the process ends."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(FRAME.pack(len(asked), len(body)) + asked)
    process.stdin.write(body)
    process.stdin.flush()
    head = process.stdout.read(FRAME.size)
    if len(head) < FRAME.size:
        raise EOFError
    size, _ = FRAME.unpack(head)
    answer = process.stdout.read(size)
    if len(answer) < size:
        raise EOFError
    return answer


def pack(column: Column) -> Packed:
    """Write a column."""
    if column.dtype == object:
        return Packed("O", column.shape, column.ravel().tolist())
    return Packed(column.dtype.str, column.shape, np.ascontiguousarray(column).tobytes())


def _unpack(packed: Packed) -> Column:
    if isinstance(packed.data, list):
        texts: Any = np.empty(len(packed.data), object)
        texts[:] = packed.data
        found: Column = texts.reshape(packed.shape)
        return found
    return np.frombuffer(packed.data, np.dtype(packed.dtype)).reshape(packed.shape)
