"""The routes of KServe's protocol, version 1."""

from typing import Any

import msgspec
from msgspec import to_builtins

from perenne.auth.roles import Action
from perenne.core.errors import Unavailable
from perenne.formats import scoring
from perenne.inference import Attribution, Signature
from perenne.net.asgi import Handler, Reply, Request, Route
from perenne.net.inbound import check_json, check_text, error_reply
from perenne.protocols.rows import predictions_of, rows_of
from perenne.serving import Answer, Rows, Runtime
from perenne.stats.columns import FieldKind


def routes(runtime: Runtime) -> list[Route]:
    """Return the protocol's routes for a worker."""
    models = Models(runtime)
    post: dict[str, tuple[Handler, Action]] = {
        "/v1/models/{}:predict": (models.predict, Action.PREDICT),
        "/v1/models/{}:explain": (models.explain, Action.PREDICT),
    }
    get: dict[str, Handler] = {"/v1/models": models.listing, "/v1/models/{}": models.ready}
    return [
        *(Route("POST", path, handler, error_reply, action, accepts=()) for path, (handler, action) in post.items()),
        *(Route("GET", path, handler, error_reply, Action.DESCRIBE) for path, handler in get.items()),
    ]


class Models:
    """Answers the protocol's requests.

    Parameters
    ----------
    runtime : Runtime
        The worker.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def listing(self, _: Request) -> Reply:
        """List the models: one."""
        return _json({"models": [self._runtime.deployment]})

    async def ready(self, request: Request) -> Reply:
        """Say that a model answers."""
        self._runtime.find(request.parts[0])
        if not self._runtime.ready:
            raise Unavailable("the model is not ready", code="TEMPORARILY_UNAVAILABLE")
        return _json({"name": request.parts[0], "ready": True})

    async def predict(self, request: Request) -> Reply:
        """Answer a request for predictions."""
        target = self._runtime.find(request.parts[0])
        return await self._runtime.score(request, "predict", target, _read, _write)

    async def explain(self, request: Request) -> Reply:
        """Tell for each row what each input did to the answer, the strongest first."""
        target = self._runtime.find(request.parts[0])
        table = _read(request, target.loaded.signature)
        found = await self._runtime.explainer.explain(target.loaded, table.columns, table.size)
        answer = {"explanations": [[_line(item) for item in row] for row in found]}
        return _json(answer)._replace(headers=self._runtime.headers(request, target))


def _read(request: Request, signature: Signature) -> Rows:
    check_json(request.body)
    check_text(request.body)
    whole = any(field.kind is FieldKind.TENSOR for field in signature.fields)
    return rows_of(scoring.decode_instances(request.body, whole=whole), signature)


def _write(answer: Answer, _: Any) -> Reply:
    return _json({"predictions": predictions_of(answer), "prediction_ids": answer.prediction_ids()})


def _line(item: Attribution) -> dict[str, Any]:
    line: dict[str, Any] = to_builtins(item)
    return line


def _json(value: Any) -> Reply:
    return Reply(200, msgspec.json.encode(value))
