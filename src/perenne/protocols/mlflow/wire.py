"""MLflow's wire: answers as compact JSON, errors with their code, status and words."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from perenne.core.errors import PerenneError
from perenne.net.asgi import JSON, Headers, Reply
from perenne.net.inbound import error_headers

TAIL = " See the API docs for more information about request parameters."
INVALID = "INVALID_PARAMETER_VALUE"
MOST_SHOWN = 1_000
"""Characters of a wrong value that its message repeats."""

STATUS: Mapping[str, int] = {
    **dict.fromkeys((INVALID, "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"), 400),
    **dict.fromkeys(("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"), 401),
    "PERMISSION_DENIED": 403,
    **dict.fromkeys(("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"), 404),
    "METHOD_NOT_ALLOWED": 405,
    **dict.fromkeys(("RESOURCE_CONFLICT", "ALREADY_EXISTS", "ABORTED", "INVALID_STATE"), 409),
    **dict.fromkeys(("RESOURCE_EXHAUSTED", "REQUEST_LIMIT_EXCEEDED"), 429),
    "CANCELLED": 499,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""What a code is answered with; 500 for any other. A wrong state is for the client to mend: it would repeat a 500 for minutes."""

_CODES: Mapping[int, str] = {
    400: INVALID,
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "METHOD_NOT_ALLOWED",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}
_CLASSES = {"RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND", "INTERNAL_ERROR": "CLIENT_INTERNAL_ERROR"}
_LOG_IN: Headers = ((b"www-authenticate", b'Basic realm="mlflow"'),)


class MlflowError(PerenneError):
    """An error in MLflow's words: the code is MLflow's, the message what clients match.

    >>> MlflowError("RESOURCE_ALREADY_EXISTS", "Experiment(name=x) already exists.").code
    'RESOURCE_ALREADY_EXISTS'
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


Words: TypeAlias = Mapping[str, Callable[[Any], MlflowError]]
"""By the dotted code of a domain's error: what MLflow says of it. A group of endpoints has its own as `WORDS`."""


def wrong(message: str) -> MlflowError:
    """Return the error of a parameter that will not do."""
    return MlflowError(INVALID, message)


def missing(name: str) -> MlflowError:
    """Return the error of a field that must be there."""
    return wrong(f"Missing value for required parameter '{name}'.{TAIL}")


def mistyped(name: str, value: object) -> MlflowError:
    """Return the error of a field of the wrong type, or out of range."""
    kind = type(value).__name__
    return wrong(f"Invalid value {shown(value)} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{TAIL}")


def unfit(name: str, value: object, reason: str = "") -> MlflowError:
    """Return the error of a field whose value will not do.

    >>> unfit("run_id", "a b").message
    'Invalid value "a b" for parameter \\'run_id\\' supplied.'
    """
    return wrong(f"Invalid value {shown(value)} for parameter '{name}' supplied" + (f": {reason}" if reason else "."))


def shown(value: object) -> str:
    """Return a value as the messages repeat it: JSON with sorted keys and no spaces.

    >>> shown({"b": 1.5, "a": None})
    '{"a":null,"b":1.5}'
    """
    text = repr(value) if isinstance(value, float) else msgspec.json.encode(value, order="sorted").decode()
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def encode(answer: Any) -> bytes:
    """Write an answer."""
    return b"{}" if answer is None else msgspec.json.encode(answer)


def error_reply(error: PerenneError, words: Words | None = None) -> Reply:
    """Give an error MLflow's form.

    Parameters
    ----------
    words : mapping
        What MLflow says of errors of the domains, where clients match that.
    """
    if words is not None and (say := words.get(error.code)) is not None:
        error = say(error)
    if isinstance(error, MlflowError):
        code, status = error.code, STATUS.get(error.code, 500)
    else:
        status = error.status
        code = _CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    body = {
        "error_code": code,
        "message": error.message,
        "sqlstate": "KAM00" if status < 500 else "XXM00",
        "error_class": _CLASSES.get(code, code),
    }
    if error.hint:
        body["hint"] = error.hint
    return Reply(status, msgspec.json.encode(body), JSON, _LOG_IN if status == 401 else error_headers(error))
