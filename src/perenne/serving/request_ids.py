"""Ids of requests: those of `perenne.core.ids`, made without asking the system for random bytes each time."""

import os
import time

from perenne.core.ids import encode_id

_PAIRS = [encode_id(number)[-2:] for number in range(1024)]


class RequestIds:
    """Makes ids that sort by time: 48 bits of milliseconds, 40 random bits of this process, 40 bits of a counter.

    >>> from perenne.core.ids import is_id
    >>> ids = RequestIds()
    >>> first, second = ids.next(1_700_000_000_000_000), ids.next(1_700_000_000_000_000)
    >>> is_id(first) and is_id(second) and first < second
    True
    """

    def __init__(self) -> None:
        self._process = encode_id(int.from_bytes(os.urandom(5)))[-8:]
        self._count = 0
        self._millisecond = -1
        self._prefix = ""

    def next(self, now: int | None = None) -> str:
        """Return an id of this instant (microseconds since 1970)."""
        millisecond = time.time_ns() // 1_000_000 if now is None else now // 1_000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._prefix = encode_id(millisecond << 80)[:10] + self._process
        count = self._count = self._count + 1 & 0xFF_FFFF_FFFF
        return (
            f"{self._prefix}{_PAIRS[count >> 30]}{_PAIRS[count >> 20 & 1023]}{_PAIRS[count >> 10 & 1023]}{_PAIRS[count & 1023]}"
        )
