"""The worker's end of the wire to the observer: every answered row goes there, and nothing ever waits for it."""

import asyncio
import contextlib
import socket
from collections import deque

import msgspec

from perenne.inference import Signature
from perenne.serving.counters import Counters, Gauge
from perenne.serving.messages import MAX_MESSAGE, MOST_AT_ONCE, Served, pack_message, rows_of, served_encoder
from perenne.serving.options import BACKLOG_BYTES


class Mirror:
    """Sends what was answered; what does not fit is counted, and reported as a gap as soon as there is room again.

    What is answered in one turn of the event loop goes in one message, right after it. The kernel's buffer is the queue; a burst
    beyond it waits in this process up to a limit, and is sent when there is room.

    Parameters
    ----------
    wire : socket
        This worker's end.
    counters : Counters
        Where sent messages and dropped rows are counted.
    backlog : int
        How many bytes may wait in this process.
    """

    def __init__(self, wire: socket.socket, counters: Counters, backlog: int = BACKLOG_BYTES) -> None:
        self._wire = wire
        self._counters = counters
        self._limit = backlog
        self._waiting: deque[tuple[bytes, Served]] = deque()
        self._bytes = self._rows = 0
        self._gap: Served | None = None
        self._scheduled = self._blocked = False

    def send(self, served: Served, signature: Signature) -> None:
        """Send the rows of a request, in as many parts as they need."""
        data = served_encoder.encode(served)
        if len(data) <= MAX_MESSAGE:
            self._put(data, served)
        elif served.rows == 1:
            self._drop(served)
        else:
            step = max(1, served.rows // -(-len(data) // (MAX_MESSAGE // 2)))
            for start in range(0, served.rows, step):
                self.send(rows_of(served, signature, start, min(start + step, served.rows)), signature)

    def pump(self) -> None:
        """Send what waits, as far as there is room."""
        self._scheduled = False
        if self._gap is not None and not self._blocked:
            self._report()
        while self._waiting:
            if not self._try():
                if not self._blocked:
                    self._blocked = True
                    asyncio.get_running_loop().add_writer(self._wire, self.pump)
                return
        if self._blocked:
            self._blocked = False
            asyncio.get_running_loop().remove_writer(self._wire)
            self._report()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, or the time is up."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    def _put(self, data: bytes, served: Served) -> None:
        if self._bytes + len(data) > self._limit and self._waiting:
            if not self._blocked:
                self.pump()
            if self._waiting:
                self._drop(served)
                return
        self._waiting.append((data, served))
        self._bytes += len(data)
        self._rows += served.rows
        self._note()
        if not (self._scheduled or self._blocked):
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.pump)

    def _note(self) -> None:
        """Note how many rows wait, so that they are counted if this process is killed."""
        self._counters.set(Gauge.BACKLOG_ROWS, self._rows)
        self._counters.set(Gauge.BACKLOG, len(self._waiting))

    def _try(self) -> bool:
        """Send as much of what waits as fits in a message; False if there is no room just now."""
        parts: list[bytes] = []
        rows = size = 0
        for data, served in self._waiting:
            if parts and (size + len(data) > MAX_MESSAGE or len(parts) == MOST_AT_ONCE):
                break
            parts.append(data)
            rows += served.rows
            size += len(data)
        try:
            self._wire.send(pack_message(self._counters.own(Gauge.SENT_ROWS), *parts))
            sent = True
        except BlockingIOError:
            return False
        except OSError:  # this message can never be sent: it is lost, the answers are not
            sent = False
        gone = [self._waiting.popleft()[1] for _ in parts]
        self._bytes -= size
        self._rows -= rows
        self._note()
        if sent:
            self._counters.add(Gauge.SENT_ROWS, rows)
            self._counters.add(Gauge.SENT)
        else:
            for served in gone:
                self._drop(served)
        return True

    def _drop(self, served: Served) -> None:
        """Count rows that are lost; the gap takes the place of the last of them."""
        lost = served.rows + (0 if self._gap is None else self._gap.dropped)
        self._gap = msgspec.structs.replace(served, rows=0, dropped=lost, columns=[], predictions=b"", scores=b"")
        self._counters.add(Gauge.DROPPED, served.rows)

    def _report(self) -> None:
        """Tell the observer what it never got."""
        if self._gap is None:
            return
        with contextlib.suppress(OSError):
            self._wire.send(pack_message(self._counters.own(Gauge.SENT_ROWS), served_encoder.encode(self._gap)))
            self._gap = None
