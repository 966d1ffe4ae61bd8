"""Errors of authentication."""

from perenne.core.errors import Denied


class Unauthenticated(Denied):
    """Who calls is not known: no credentials, or none that are valid."""

    status = 401
