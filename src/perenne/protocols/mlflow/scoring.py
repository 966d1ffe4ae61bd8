"""MLflow's scoring protocol: `/invocations`, `/ping`, `/health`, `/version`."""

from typing import Any

import msgspec

import perenne
from perenne.auth.roles import Action
from perenne.core.errors import Invalid, PerenneError
from perenne.formats import scoring
from perenne.inference import Signature
from perenne.net.asgi import JSON, TEXT, Reply, Request, Route
from perenne.net.inbound import Unreadable, check_json
from perenne.protocols.columns import read_values
from perenne.serving import Answer, Rows, Runtime

_CODES = {400: "BAD_REQUEST", 404: "RESOURCE_DOES_NOT_EXIST", 413: "BAD_REQUEST", 503: "TEMPORARILY_UNAVAILABLE"}
_CODES |= {504: "DEADLINE_EXCEEDED", 500: "INTERNAL_ERROR"}
_WIRE_CODES = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}


def routes(runtime: Runtime) -> list[Route]:
    """Return the protocol's routes for a worker."""

    async def alive(_: Request) -> Reply:
        return Reply(200 if runtime.ready else 503, b"\n")

    async def version(_: Request) -> Reply:
        return Reply(200, perenne.__version__.encode(), JSON)

    async def invocations(request: Request) -> Reply:
        target = runtime.find(runtime.deployment)
        return await runtime.score(request, "invocations", target, _read, _write)

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


def _read(request: Request, signature: Signature) -> Rows:
    if _content_type(request) == "text/csv":
        table = scoring.decode_csv(request.body)
    else:
        check_json(request.body)
        table = scoring.decode_json(request.body).table
    return _rows(table, signature)


def _content_type(request: Request) -> str:
    """Return the body's type; a missing one is JSON.

    Raises
    ------
    Unreadable
        For a type that is not read, or another charset than UTF-8.
    """
    kind, *parameters = [part.strip().lower() for part in (request.header(b"content-type") or "application/json").split(";")]
    if any(parameter.replace('"', "") != "charset=utf-8" for parameter in parameters if parameter):
        raise Unreadable("The scoring server only supports UTF-8", code="BAD_REQUEST")
    if kind == "application/vnd.apache.parquet":
        raise Unreadable("Parquet is not supported here, send application/json or text/csv", code="BAD_REQUEST")
    if kind not in ("application/json", "text/csv"):
        raise Unreadable("the content type must be application/json or text/csv", code="BAD_REQUEST")
    return kind


def _rows(table: scoring.Table, signature: Signature) -> Rows:
    if table.names is None:
        if table.rows and len(table.columns) != len(signature.fields):
            raise Invalid(
                f"the rows have {len(table.columns)} values, the model takes {len(signature.fields)}",
                code="INVALID_PARAMETER_VALUE",
            )
        given = dict(zip(signature.names, table.columns or ((),) * len(signature.fields), strict=True))
    else:
        given = dict(zip(table.names, table.columns, strict=True))
        lacking = [name for name in signature.names if name not in given]
        if lacking and (table.rows or table.names):
            raise Invalid(f"Model is missing inputs {lacking}.", code="INVALID_PARAMETER_VALUE")
    return Rows({field.name: read_values(field, given.get(field.name, ())) for field in signature.fields}, table.rows)


def _write(answer: Answer, _: Any) -> Reply:
    return Reply(200, scoring.encode_response(scoring.ScoringResponse(_predictions(answer), answer.prediction_ids())))


def _predictions(answer: Answer) -> list[Any]:
    if answer.outputs is None:
        return answer.labels
    nested = {name: values.tolist() for name, values in answer.outputs.items()}
    return [{name: rows[row] for name, rows in nested.items()} for row in range(len(answer.labels))]
