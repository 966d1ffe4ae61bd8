"""W3C Trace Context: the header `traceparent`, by which a request is followed from one service to the next.

Source: https://www.w3.org/TR/trace-context/.
"""

import re
from typing import NamedTuple

HEADER = "traceparent"
_SHAPE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class TraceParent(NamedTuple):
    """Which trace and span a request belongs to, and whether they are recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    def text(self) -> str:
        """Return the header's value.

        >>> TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True).text()
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
        """
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse_trace_parent(text: str) -> TraceParent | None:
    """Read the header; None if it is not one.

    >>> parse_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").sampled
    True
    >>> parse_trace_parent("00-" + "0" * 32 + "-00f067aa0ba902b7-01") is None
    True
    """
    match = _SHAPE.fullmatch(text)
    return None if match is None else TraceParent(match[1], match[2], bool(int(match[3], 16) & 1))
