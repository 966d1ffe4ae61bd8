"""By what a request is found again: its id and its trace, the same for both servers."""

import re

from perenne.formats.trace_context import parse_trace_parent
from perenne.net.asgi import Headers

_REQUEST_ID, _TRACE = b"x-request-id", b"traceparent"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id(headers: Headers, otherwise: str) -> str:
    """Return the id the caller gave the request if it is a plain one, else ours.

    >>> request_id([(b"x-request-id", b"order-7")], "ours"), request_id([(b"x-request-id", b"a b")], "ours")
    ('order-7', 'ours')
    """
    given = _first(headers, _REQUEST_ID)
    return given if given is not None and _SAFE_ID.fullmatch(given) else otherwise


def trace_parent(headers: Headers) -> str | None:
    """Return the trace the request belongs to, if its header is a valid one."""
    given = _first(headers, _TRACE)
    return given if given is not None and parse_trace_parent(given) else None


def identity_headers(headers: Headers, otherwise: str) -> list[tuple[bytes, bytes]]:
    """Return the headers by which a caller finds its request again: its own id if it is a plain one, else ours; and its trace."""
    answered = [(_REQUEST_ID, request_id(headers, otherwise).encode())]
    trace = trace_parent(headers)
    return answered if trace is None else [*answered, (_TRACE, trace.encode())]


def _first(headers: Headers, name: bytes) -> str | None:
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None
