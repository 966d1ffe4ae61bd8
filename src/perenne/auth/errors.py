"""Errors of authentication."""

from perenne.core.errors import Denied


class Unauthenticated(Denied):
    """Who calls is not known: no credentials, or none that are valid."""

    status = 401


class SessionEnded(Unauthenticated):
    """A browser shows a session that was good once; that is no guessing."""

    def __init__(self) -> None:
        super().__init__("the session has ended", code="session.ended", hint="log in again with a token")


class TooFast(Denied):
    """A token is used more often than it may be."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__("this token is used too often", code="auth.rate", hint="ask less often, or several rows at a time")
        self.retry_after = seconds


class TooManyFailures(Denied):
    """Somebody at this address has tried too many tokens that are none; it may try again later."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__("too many tokens that are not valid came from this address", code="auth.slow", hint="try again later")
        self.retry_after = seconds
