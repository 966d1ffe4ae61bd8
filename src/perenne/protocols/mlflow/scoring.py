"""MLflow's scoring protocol: `/invocations`, `/ping`, `/health`, `/version`."""

from collections.abc import Callable
from typing import Any

import msgspec

import perenne
from perenne.auth.roles import Action
from perenne.core.errors import PerenneError
from perenne.formats import scoring
from perenne.inference import Signature
from perenne.net.asgi import JSON, TEXT, Reply, Request, Route
from perenne.net.inbound import Unreadable, check_json, check_text
from perenne.protocols.mlflow.reader import ParquetReader
from perenne.protocols.rows import predictions_of, rows_of
from perenne.serving import Answer, Rows, Runtime
from perenne.stats.columns import FieldKind

JSON_TYPE, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
MAX_PARQUET = 32 * 1024 * 1024
"""How many bytes the columns of a Parquet file may be, decompressed."""

_CODES = {400: "BAD_REQUEST", 404: "RESOURCE_DOES_NOT_EXIST", 413: "BAD_REQUEST", 503: "TEMPORARILY_UNAVAILABLE"}
_CODES |= {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "REQUEST_LIMIT_EXCEEDED"}
_CODES |= {504: "DEADLINE_EXCEEDED", 500: "INTERNAL_ERROR"}
_WIRE_CODES = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}


def routes(runtime: Runtime) -> list[Route]:
    """Return the protocol's routes for a worker."""
    parquet = ParquetReader()
    runtime.at_end.append(parquet.close)

    async def alive(_: Request) -> Reply:
        return Reply(200 if runtime.ready else 503, b"\n")

    async def version(_: Request) -> Reply:
        return Reply(200, perenne.__version__.encode(), JSON)

    async def invocations(request: Request) -> Reply:
        target = runtime.find(runtime.deployment)
        kind = _content_type(request)
        read = _READERS.get(kind) or await _parquet_reader(parquet, request, target.loaded.signature)
        return await runtime.score(request, "invocations", target, read, _write)

    answers = {"/ping": alive, "/health": alive, "/version": version}
    return [Route("GET", path, handler, error_reply, None) for path, handler in answers.items()] + [
        Route("POST", "/invocations", invocations, error_reply, Action.PREDICT, accepts=())
    ]


def error_reply(error: PerenneError) -> Reply:
    """Write an error as MLflow does; its client shows `error_code` and `message`."""
    if error.status == 415:
        return Reply(415, error.message.encode(), TEXT)
    code = error.code if error.code in _WIRE_CODES else _CODES.get(error.status, "BAD_REQUEST")
    return Reply(error.status, msgspec.json.encode({"error_code": code, "message": error.message}))


def _read_json(request: Request, signature: Signature) -> Rows:
    check_json(request.body)
    check_text(request.body)
    whole = any(field.kind is FieldKind.TENSOR for field in signature.fields)
    return rows_of(scoring.decode_json(request.body, whole=whole).table, signature)


def _read_csv(request: Request, signature: Signature) -> Rows:
    check_text(request.body)
    return rows_of(scoring.decode_csv(request.body), signature)


_READERS = {JSON_TYPE: _read_json, CSV: _read_csv}


async def _parquet_reader(parquet: ParquetReader, request: Request, signature: Signature) -> Callable[[Request, Signature], Rows]:
    """Let a Parquet body be read; what is returned gives the rows, or the refusal, in its turn."""
    found: Rows | PerenneError
    try:
        found = await parquet.read(request.body, signature, MAX_PARQUET)
    except PerenneError as error:
        found = error

    def read(_: Request, __: Signature) -> Rows:
        if isinstance(found, PerenneError):
            raise found
        return found

    return read


def _content_type(request: Request) -> str:
    """Return the body's type; a missing one is JSON.

    Raises
    ------
    Unreadable
        For a type that is not read, or another charset than UTF-8.
    """
    header = request.header(b"content-type")
    if not header or header == JSON_TYPE:
        return JSON_TYPE
    kind, *parameters = [part.strip().lower() for part in header.split(";")]
    if any(parameter.replace('"', "") != "charset=utf-8" for parameter in parameters if parameter):
        raise Unreadable("The scoring server only supports UTF-8", code="BAD_REQUEST")
    if kind not in (JSON_TYPE, CSV, PARQUET):
        raise Unreadable(f"the content type must be {JSON_TYPE}, {CSV} or {PARQUET}", code="BAD_REQUEST")
    return kind


def _write(answer: Answer, _: Any) -> Reply:
    return Reply(200, scoring.encode_response(scoring.ScoringResponse(predictions_of(answer), answer.prediction_ids())))
