"""Which request and trace is being worked on: every log line says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import NamedTuple


class Work(NamedTuple):
    """What the present thread or task works on; empty texts for what it is not part of."""

    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""

    def fields(self) -> dict[str, str]:
        """Return it as ECS fields."""
        return {"http.request.id": self.request_id, "trace.id": self.trace_id, "span.id": self.span_id}


_NONE = Work()
_current: ContextVar[Work] = ContextVar("perenne_work", default=_NONE)


def current() -> Work:
    """Return what is being worked on."""
    return _current.get()


def work_on(work: Work) -> Token[Work]:
    """Say what is worked on from now on; `go_back` ends it. For what counts microseconds: `working_on` is easier."""
    return _current.set(work)


def go_back(before: Token[Work]) -> None:
    """Say again what was said before `work_on`."""
    _current.reset(before)


@contextmanager
def working_on(*, request_id: str | None = None, trace_id: str | None = None, span_id: str | None = None) -> Iterator[None]:
    """Say what is worked on in the block; what is not given stays as it is around it."""
    given = {"request_id": request_id, "trace_id": trace_id, "span_id": span_id}
    token = _current.set(_current.get()._replace(**{name: text for name, text in given.items() if text is not None}))
    try:
        yield
    finally:
        _current.reset(token)
