"""By what a request is found again: its id and its trace, the same for both servers."""

import re

from perenne.formats.trace_context import parse_trace_parent
from perenne.net.asgi import Headers

_REQUEST_ID, _TRACE = b"x-request-id", b"traceparent"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def given_identity(headers: Headers) -> tuple[str | None, str | None]:
    """Return the id the caller gave the request, if it is a plain one, and the trace it belongs to, if that header is valid.

    >>> given_identity([(b"x-request-id", b"order-7")]), given_identity([(b"x-request-id", b"a b")])
    (('order-7', None), (None, None))
    """
    identity = trace = None
    for name, value in headers:
        if name == _REQUEST_ID and identity is None:
            identity = value.decode("latin-1")
        elif name == _TRACE and trace is None:
            trace = value.decode("latin-1")
    if identity is not None and not _SAFE_ID.fullmatch(identity):
        identity = None
    if trace is not None and parse_trace_parent(trace) is None:
        trace = None
    return identity, trace


def trace_parent(headers: Headers) -> str | None:
    """Return the trace the request belongs to, if its header is a valid one."""
    return given_identity(headers)[1]


def identity_headers(headers: Headers, otherwise: str) -> list[tuple[bytes, bytes]]:
    """Return the headers by which a caller finds its request again: its own id if it is a plain one, else ours; and its trace."""
    identity, trace = given_identity(headers)
    return answered_identity(identity or otherwise, trace)


def answered_identity(identity: str, trace: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell a request's id and trace."""
    answered = [(_REQUEST_ID, identity.encode())]
    if trace is not None:
        answered.append((_TRACE, trace.encode()))
    return answered
