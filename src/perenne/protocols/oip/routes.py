"""The routes of the Open Inference Protocol, version 2."""

from typing import Any, NamedTuple

import msgspec

import perenne
from perenne.auth.roles import Action
from perenne.core.errors import Invalid
from perenne.formats import oip, oip_binary
from perenne.inference import Signature
from perenne.net.asgi import Handler, Reply, Request, Route
from perenne.net.inbound import check_json, check_text, error_reply
from perenne.protocols.columns import expected_datatype
from perenne.protocols.oip import repository
from perenne.protocols.oip.inputs import TensorInputs
from perenne.protocols.oip.outputs import TensorOutputs
from perenne.serving import Answer, Rows, Runtime

MAX_SECONDS = 60.0
PLATFORMS = {
    "linear": "perenne_linear",
    "onnx": "onnx_onnxv1",
    "xgboost": "xgboost_ubj",
    "lightgbm": "lightgbm_txt",
    "sklearn": "sklearn_skops",
}
OCTETS = b"application/octet-stream"
_LENGTH = oip_binary.HEADER.encode()
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
        *(Route("POST", path, models.infer, error_reply, Action.PREDICT, accepts=()) for path in infer),
        *repository.routes(runtime),
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
        extensions = ["binary_tensor_data", *(["model_repository"] if self._runtime.switches else [])]
        return _json({"name": "perenne", "version": perenne.__version__, "extensions": extensions})

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

    async def model_ready(self, request: Request) -> Reply:
        """Say whether a model, or one version of it, answers."""
        target = self._runtime.find(*request.parts)
        ready = self._runtime.ready and not self._runtime.off.covers(target.loaded.version)
        return _json({"name": request.parts[0], "ready": ready}, 200 if ready else 503)

    async def metadata(self, request: Request) -> Reply:
        """Describe a model's inputs and outputs."""
        loaded = self._runtime.find(*request.parts).loaded
        lineup = self._runtime.require_lineup()
        versions = [version.number for version in lineup.loaded]
        signature = loaded.signature
        described = oip.ModelMetadata(
            name=request.parts[0],
            versions=versions,
            platform=PLATFORMS.get(loaded.predictor.manifest.form, "perenne_python"),
            inputs=[oip.TensorMetadata(field.name, expected_datatype(field), [-1, *field.shape]) for field in signature.fields],
            outputs=self._model(signature).outputs.described,
            parameters={"forms": loaded.calibration.sentence},
        )
        return _json(described)

    async def infer(self, request: Request) -> Reply:
        """Answer a request for inference. Whether raw data follows the JSON is told by a header alone, never by the type."""
        target = self._runtime.find(*request.parts)
        return await self._runtime.score(request, "infer", target, self._read, self._write)

    def _read(self, request: Request, signature: Signature) -> Rows:
        text, data = request.body, None
        length = request.header(_LENGTH)
        if length is not None:
            text, data = oip_binary.split_body(request.body, length)
        check_json(text)
        check_text(text)
        asked = oip.decode_request(text)
        model = self._model(signature)
        model.outputs.check(asked)
        seconds = _seconds(asked.parameters)
        return (
            model.inputs.read(asked, seconds)
            if data is None
            else model.inputs.read(asked, seconds, oip_binary.attach(asked, data))
        )

    def _write(self, answer: Answer, asked: oip.InferRequest) -> Reply:
        parameters: dict[str, Any] = {"variant": answer.variant}
        if answer.reason in ("fallback", "stopped", "late"):
            parameters |= {answer.reason: True} | ({"fallback": True} if answer.reason == "late" else {})
        tensors, raw = self._model(answer.loaded.signature).outputs.write(answer, asked)
        response = oip.InferResponse(
            model_name=self._runtime.deployment,
            model_version=answer.loaded.number,
            id=asked.id,
            parameters=parameters,
            outputs=tensors,
        )
        if not raw:
            return Reply(200, oip.encode_response(response))
        body, length = oip_binary.encode_binary(response, raw)
        return Reply(200, body, OCTETS, ((_LENGTH, b"%d" % length),))

    def _model(self, signature: Signature) -> "_Model":
        known = self._known.get(id(signature))
        if known is None or known.signature is not signature:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[id(signature)] = _Model(signature, TensorInputs(signature), TensorOutputs(signature))
        return known


class _Model(NamedTuple):
    """What reading and writing for one signature needs, worked out once."""

    signature: Signature
    inputs: TensorInputs
    outputs: TensorOutputs


def _seconds(parameters: oip.Parameters | None) -> float:
    timeout = (parameters or {}).get("timeout")
    if timeout is None:
        return MAX_SECONDS
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise Invalid("parameter timeout: expected microseconds", code="INVALID_PARAMETER_VALUE")
    return min(timeout / 1e6, MAX_SECONDS) if timeout else MAX_SECONDS


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value))
