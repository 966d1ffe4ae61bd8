"""Errors of authentication."""

from perenne.core.errors import Denied


class Unauthenticated(Denied):
    """Who calls is not known: no credentials, or none that are valid."""

    status = 401


class TooManyFailures(Denied):
    """Somebody at this address has tried too many tokens that are none; it may try again later."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__("too many tokens that are not valid came from this address", code="auth.slow", hint="try again later")
        self.retry_after = seconds
