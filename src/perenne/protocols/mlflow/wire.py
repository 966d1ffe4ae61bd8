"""MLflow's wire: requests as proto2 JSON or a query, answers as compact JSON, errors with their code and status."""

from typing import Any
from urllib.parse import parse_qs

import msgspec

from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.net.asgi import JSON, Reply
from perenne.net.inbound import error_headers

TAIL = " See the API docs for more information about request parameters."

_STATUS = {"INVALID_PARAMETER_VALUE": 400, "BAD_REQUEST": 400, "RESOURCE_ALREADY_EXISTS": 400, "UNAUTHENTICATED": 401}
_STATUS |= {"PERMISSION_DENIED": 403, "RESOURCE_DOES_NOT_EXIST": 404, "ENDPOINT_NOT_FOUND": 404, "RESOURCE_CONFLICT": 409}
_STATUS |= {"RESOURCE_EXHAUSTED": 429, "NOT_IMPLEMENTED": 501, "TEMPORARILY_UNAVAILABLE": 503}
_KINDS: tuple[tuple[type[PerenneError], str], ...] = (
    (NotFound, "RESOURCE_DOES_NOT_EXIST"),
    (Conflict, "RESOURCE_CONFLICT"),
    (Denied, "PERMISSION_DENIED"),
    (Unavailable, "TEMPORARILY_UNAVAILABLE"),
    (Invalid, "INVALID_PARAMETER_VALUE"),
)
_CLASSES = {"RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND", "INTERNAL_ERROR": "CLIENT_INTERNAL_ERROR"}


class MlflowError(PerenneError):
    """An error in MLflow's words: the code is MLflow's, the message what clients match.

    >>> MlflowError("RESOURCE_ALREADY_EXISTS", "Experiment(name=x) already exists.").code
    'RESOURCE_ALREADY_EXISTS'
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


def missing(name: str) -> MlflowError:
    """Return the error of a field that must be there."""
    return MlflowError("INVALID_PARAMETER_VALUE", f"Missing value for required parameter '{name}'.{TAIL}")


def decode(body: bytes, query: bytes, kind: Any) -> Any:
    """Read a request into its Struct: the body if there is one, otherwise the query.

    Raises
    ------
    MlflowError
        400 that names the field.
    """
    try:
        if body:
            return msgspec.json.decode(body, type=kind, strict=False)
        return msgspec.convert(_from_query(query, kind), kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MlflowError("INVALID_PARAMETER_VALUE", str(error)) from None


def _from_query(query: bytes, kind: Any) -> dict[str, Any]:
    lists = {field.name for field in msgspec.structs.fields(kind) if getattr(field.type, "__origin__", None) in (list, tuple)}
    found = parse_qs(query.decode(), keep_blank_values=True)
    return {name: values if name in lists else values[-1] for name, values in found.items()}


def encode(answer: Any) -> bytes:
    """Write an answer."""
    return b"{}" if answer is None else msgspec.json.encode(answer)


def error_reply(error: PerenneError) -> Reply:
    """Give an error MLflow's form."""
    code = error.code if isinstance(error, MlflowError) else _code_of(error)
    status = _STATUS.get(code, 500)
    body = {
        "error_code": code,
        "message": error.message,
        "sqlstate": "KAM00" if status < 500 else "XXM00",
        "error_class": _CLASSES.get(code, code),
    }
    return Reply(status, msgspec.json.encode(body), JSON, error_headers(error))


def _code_of(error: PerenneError) -> str:
    return next((code for kind, code in _KINDS if isinstance(error, kind)), "INTERNAL_ERROR")
