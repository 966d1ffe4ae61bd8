"""The error tree. Five kinds carry an HTTP status and an exit code; the edge maps them to each protocol's own form.

::

    PerenneError
    ├── NotFound      404, exit 3
    ├── Conflict      409, exit 5
    ├── Invalid       400, exit 1
    ├── Denied        403, exit 4
    └── Unavailable   503, exit 1
"""

from typing import ClassVar


class PerenneError(Exception):
    """The root of every error perenne raises on purpose.

    Parameters
    ----------
    message : str
        What went wrong and where, in one sentence, without secrets or paths of the server.
    code : str
        A dotted name that stays the same for ever, such as ``model.not_found``.
    hint : str
        What the person can do about it, or an empty text.

    Attributes
    ----------
    retry_after : int
        Seconds after which trying again makes sense; told with a status of 429 or 503.
    request_id : str
        By what the request that failed is found again; empty where that is not known.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retry_after: int = 1
    request_id: str = ""

    def __init__(self, message: str, *, code: str = "internal", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that the error survives the way back from a worker process."""
        return _rebuild, (type(self), self.message, self.code, self.hint)


def _rebuild(kind: type[PerenneError], message: str, code: str, hint: str) -> PerenneError:
    error = kind.__new__(kind)
    PerenneError.__init__(error, message, code=code, hint=hint)
    return error


class NotFound(PerenneError):
    """Something named does not exist, or may not be seen."""

    status = 404
    exit_code = 3


class Conflict(PerenneError):
    """The state of the thing does not allow this, or somebody else was first."""

    status = 409
    exit_code = 5


class Invalid(PerenneError):
    """The input is wrong; nothing was changed."""

    status = 400
    exit_code = 1


class Denied(PerenneError):
    """The caller lacks the permission."""

    status = 403
    exit_code = 4


class Unavailable(PerenneError):
    """Something needed is not there for the moment; trying again may help."""

    status = 503
    exit_code = 1
