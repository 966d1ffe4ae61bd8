"""The routes of the Open Inference Protocol, version 2."""

from typing import Any

import msgspec

import perenne
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.formats import oip
from perenne.inference import Signature
from perenne.net.asgi import Handler, Reply, Request, Route
from perenne.net.inbound import error_reply
from perenne.protocols.columns import WIRE_DATATYPES, expected_datatype
from perenne.protocols.oip.inputs import TensorInputs
from perenne.serving import Answer, Rows, Runtime
from perenne.stats.columns import Task

PREDICTION, PROBABILITIES, PREDICTION_ID = "prediction", "probabilities", "prediction_id"
CONSTANT = "constant"
MAX_SECONDS = 60.0
INFER_TYPES = ("", "application/json", "application/octet-stream")
"""tritonclient sends no type with JSON, and the last one with the binary data that is refused."""

_REMEMBERED = 8


def routes(runtime: Runtime) -> list[Route]:
    """Return the protocol's routes for a worker."""
    models = Models(runtime)
    public: list[tuple[str, Handler]] = [("/v2/health/live", models.live), ("/v2/health/ready", models.ready)]
    get: list[tuple[str, Handler]] = [
        ("/v2", models.server),
        ("/v2/", models.server),
        ("/v2/models", models.listing),
        ("/v2/models/{}", models.metadata),
        ("/v2/models/{}/ready", models.model_ready),
        ("/v2/models/{}/versions/{}", models.metadata),
        ("/v2/models/{}/versions/{}/ready", models.model_ready),
    ]
    infer = ["/v2/models/{}/infer", "/v2/models/{}/versions/{}/infer"]
    return [
        *(Route("GET", path, handler, error_reply, None) for path, handler in public),
        *(Route("GET", path, handler, error_reply, Action.DESCRIBE) for path, handler in get),
        *(Route("POST", path, models.infer, error_reply, Action.PREDICT, INFER_TYPES) for path in infer),
        Route("POST", "/v2/repository/index", models.index, error_reply, Action.DESCRIBE),
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
        self._known: dict[int, _Model] = {}

    async def server(self, _: Request) -> Reply:
        """Say who this is."""
        return _json({"name": "perenne", "version": perenne.__version__, "extensions": []})

    async def live(self, _: Request) -> Reply:
        """Say that the process lives."""
        return _json({"live": True})

    async def ready(self, _: Request) -> Reply:
        """Say whether requests should come here, and what is wrong if something is."""
        problem = self._runtime.problem
        state = {"ready": self._runtime.ready} | ({"problem": problem} if problem else {})
        return _json(state, 200 if self._runtime.ready else 503)

    async def listing(self, _: Request) -> Reply:
        """List the models: one."""
        return _json({"models": [self._runtime.deployment]})

    async def index(self, request: Request) -> Reply:
        """List the models with their versions and states."""
        if request.body:
            _decode_object(request.body)
        lineup = self._runtime.require_lineup()
        loaded = [lineup.champion, *([lineup.previous] if lineup.previous else [])]
        name = lineup.deployment.name
        return _json([{"name": name, "version": version.number, "state": "READY", "reason": ""} for version in loaded])

    async def model_ready(self, request: Request) -> Reply:
        """Say whether a model, or one version of it, answers."""
        self._runtime.find(*request.parts)
        return _json({"name": request.parts[0], "ready": self._runtime.ready}, 200 if self._runtime.ready else 503)

    async def metadata(self, request: Request) -> Reply:
        """Describe a model's inputs and outputs."""
        loaded = self._runtime.find(*request.parts).loaded
        lineup = self._runtime.require_lineup()
        versions = [lineup.champion.number] + ([lineup.previous.number] if lineup.previous else [])
        signature = loaded.signature
        described = oip.ModelMetadata(
            name=request.parts[0],
            versions=versions,
            platform="onnx_onnxv1" if loaded.predictor.manifest.form == "onnx" else "perenne_linear",
            inputs=[oip.TensorMetadata(field.name, expected_datatype(field), [-1, *field.shape]) for field in signature.fields],
            outputs=_outputs(signature),
        )
        return _json(described)

    async def infer(self, request: Request) -> Reply:
        """Answer a request for inference."""
        target = self._runtime.find(*request.parts)
        if request.header(b"inference-header-content-length") is not None:
            raise Invalid("binary tensor data is not supported, send JSON data", code="BAD_REQUEST")
        return await self._runtime.score(request, "infer", target, self._read, self._write)

    def _read(self, request: Request, signature: Signature) -> Rows:
        return self._model(signature).read(request.body)

    def _write(self, answer: Answer, context: oip.InferRequest) -> Reply:
        model = self._model(answer.loaded.signature)
        parameters: dict[str, Any] = {"variant": answer.variant}
        if answer.reason in ("fallback", "stopped"):
            parameters[answer.reason] = True
        response = oip.InferResponse(
            model_name=self._runtime.deployment,
            model_version=answer.loaded.number,
            id=context.id,
            parameters=parameters,
            outputs=model.tensors(answer, [output.name for output in context.outputs] if context.outputs else model.names),
        )
        return Reply(200, oip.encode_response(response))

    def _model(self, signature: Signature) -> "_Model":
        known = self._known.get(id(signature))
        if known is None or known.signature is not signature:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[id(signature)] = _Model(signature)
        return known


class _Model:
    """What answering for one signature needs, worked out once."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.inputs = TensorInputs(signature)
        self.outputs = _outputs(signature)
        self.names = [output.name for output in self.outputs]

    def read(self, body: bytes) -> Rows:
        request = oip.decode_request(body)
        for output in request.outputs or ():
            if output.name not in self.names:
                raise Invalid(f"unknown output, this model has {', '.join(self.names)}", code="INVALID_PARAMETER_VALUE")
            if "classification" in (output.parameters or ()):
                raise Invalid(f"output {output.name!r}: classification is not supported", code="INVALID_PARAMETER_VALUE")
        return self.inputs.read(request, _seconds(request.parameters))

    def tensors(self, answer: Answer, asked: list[str]) -> list[oip.Tensor]:
        return [self._tensor(answer, self.outputs[self.names.index(name)]) for name in asked]

    def _tensor(self, answer: Answer, output: oip.TensorMetadata) -> oip.Tensor:
        rows = len(answer.labels)
        if output.name == PREDICTION_ID:
            return oip.Tensor(PREDICTION_ID, "BYTES", [rows], answer.prediction_ids())
        if answer.outputs is not None and output.name in answer.outputs:
            values = answer.outputs[output.name]
            return oip.Tensor(output.name, output.datatype, list(values.shape), values.ravel().tolist())
        if output.name == PROBABILITIES and answer.scores is not None:
            return oip.Tensor(PROBABILITIES, "FP64", [rows, answer.scores.shape[1]], answer.scores.ravel().tolist())
        datatype = _datatype(answer.labels) if answer.variant == CONSTANT and rows else output.datatype
        labels = [str(label) for label in answer.labels] if datatype == "BYTES" else answer.labels
        return oip.Tensor(PREDICTION, datatype, [rows], labels)


def _outputs(signature: Signature) -> list[oip.TensorMetadata]:
    if signature.task is Task.OUTPUTS:
        named = [oip.TensorMetadata(out.name, WIRE_DATATYPES[out.datatype], [-1, *out.shape]) for out in signature.outputs]
        return [*named, oip.TensorMetadata(PREDICTION_ID, "BYTES", [-1])]
    prediction = "FP64" if signature.task is Task.REGRESSION else _datatype(signature.classes)
    outputs = [oip.TensorMetadata(PREDICTION, prediction, [-1])]
    if signature.task is not Task.REGRESSION:
        outputs.append(oip.TensorMetadata(PROBABILITIES, "FP64", [-1, len(signature.classes)]))
    return [*outputs, oip.TensorMetadata(PREDICTION_ID, "BYTES", [-1])]


def _datatype(labels: "list[Any] | tuple[Any, ...]") -> str:
    kinds = set(map(type, labels))
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"


def _seconds(parameters: oip.Parameters | None) -> float:
    timeout = (parameters or {}).get("timeout")
    if timeout is None:
        return MAX_SECONDS
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise Invalid("parameter timeout: expected microseconds", code="INVALID_PARAMETER_VALUE")
    return min(timeout / 1e6, MAX_SECONDS) if timeout else MAX_SECONDS


def _decode_object(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("the body must be empty or a JSON object", code="BAD_REQUEST") from None


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value))
