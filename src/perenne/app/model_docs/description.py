"""A model server in OpenAPI 3.1: every protocol it speaks, with the inputs and answers of what it serves. Pure.

Paths and methods come from the routes themselves; `ABOUT` has a line for each, and a test sees to it that none is forgotten.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

import perenne
from perenne.app.model_docs.calls import tensors_of
from perenne.app.model_docs.form import FormInput
from perenne.inference import Signature
from perenne.net.asgi import Route

Json: TypeAlias = dict[str, Any]
_TYPES = {"number": "number", "whole": "integer", "boolean": "boolean", "text": "string", "time": "string"}
_INFERENCE, _MLFLOW, _KSERVE, _OWN = "Open Inference Protocol v2", "MLflow scoring", "KServe v1", "This server"
_JSON = "application/json"


class About(NamedTuple):
    """What is said of a route: whose protocol, what it does, and the schemas of what it reads and answers."""

    tag: str
    summary: str
    reads: str = ""
    answers: str = ""


ABOUT: dict[tuple[str, str], About] = {
    ("GET", "/v2"): About(_INFERENCE, "Tell name, version and extensions of the server", answers="Server"),
    ("GET", "/v2/"): About(_INFERENCE, "The same", answers="Server"),
    ("GET", "/v2/health/live"): About(_INFERENCE, "Tell whether the process lives", answers="Live"),
    ("GET", "/v2/health/ready"): About(_INFERENCE, "Tell whether requests should come here", answers="Ready"),
    ("GET", "/v2/models"): About(_INFERENCE, "List the models", answers="Models"),
    ("GET", "/v2/models/{}"): About(_INFERENCE, "Describe inputs and outputs", answers="Metadata"),
    ("GET", "/v2/models/{}/ready"): About(_INFERENCE, "Tell whether the model answers", answers="ModelReady"),
    ("GET", "/v2/models/{}/versions/{}"): About(_INFERENCE, "Describe a version", answers="Metadata"),
    ("GET", "/v2/models/{}/versions/{}/ready"): About(_INFERENCE, "Tell whether a version answers", answers="ModelReady"),
    ("POST", "/v2/models/{}/infer"): About(_INFERENCE, "Predict", "InferRequest", "InferResponse"),
    ("POST", "/v2/models/{}/versions/{}/infer"): About(_INFERENCE, "Predict with a version", "InferRequest", "InferResponse"),
    ("POST", "/v2/repository/index"): About(_INFERENCE, "List versions and their states", "Free", "Index"),
    ("POST", "/v2/repository/models/{}/load"): About(_INFERENCE, "Let a model answer again", "Free", "Free"),
    ("POST", "/v2/repository/models/{}/unload"): About(_INFERENCE, "Let a model not answer until it is loaded", "Free", "Free"),
    ("GET", "/v1/models"): About(_KSERVE, "List the models", answers="Models"),
    ("GET", "/v1/models/{}"): About(_KSERVE, "Tell whether the model answers", answers="ModelReady"),
    ("POST", "/v1/models/{}:predict"): About(_KSERVE, "Predict", "Instances", "Predictions"),
    ("POST", "/v1/models/{}:explain"): About(_KSERVE, "Tell what each input did to the answer", "Instances", "Explanations"),
    ("POST", "/invocations"): About(_MLFLOW, "Predict", "Invocation", "Predictions"),
    ("GET", "/ping"): About(_MLFLOW, "Tell whether the server answers", answers="Text"),
    ("GET", "/health"): About(_MLFLOW, "The same", answers="Text"),
    ("GET", "/version"): About(_MLFLOW, "Tell the server's version", answers="Text"),
    ("GET", "/metrics"): About(_OWN, "Metrics in Prometheus' format", answers="Text"),
    ("GET", "/openapi.json"): About(_OWN, "This description", answers="Free"),
    ("GET", "/docs/form"): About(_OWN, "What the page asks for", answers="Free"),
    ("POST", "/docs/calls"): About(_OWN, "A row as calls to copy", "Free", "Free"),
}
PAGES = ("/", "/docs", "/static/")
"""Routes of the page, which are not described."""

_REFUSALS = {
    "400": "The input is wrong; the message names input, expected type and row, never a value.",
    "404": "There is no such model or version here.",
    "413": "The body is too large, as it came or decompressed.",
    "415": "The body is in an encoding or of a type that is not read.",
    "500": "The model failed, and nobody was to step in.",
    "503": "The server is starting, stopping or full; `retry-after` says when to come again.",
    "504": "The answer was not ready in time.",
}


def describe(
    deployment: str, signature: Signature, inputs: Sequence[FormInput], versions: Sequence[str], routes: Iterable[Route]
) -> Json:
    """Describe a model server.

    Parameters
    ----------
    versions : sequence of str
        The versions that are loaded.
    routes : iterable of Route
        All it has.
    """
    paths: dict[str, Json] = {}
    for route in routes:
        about = ABOUT.get((route.method, route.path))
        if about is None:
            continue
        path, several = _path(route.path, deployment)
        operation = _operation(route, about, path)
        if several:
            operation["parameters"] = [
                {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "examples": list(versions)}}
            ]
        paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{deployment}, served by perenne",
            "version": perenne.__version__,
            "description": f"Predicts {signature.target}. Answers carry `x-request-id`, `x-model-version` and `x-variant`.",
        },
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "schemas": _schemas(signature, inputs),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "tags": [{"name": name} for name in (_INFERENCE, _MLFLOW, _KSERVE, _OWN)],
    }


def _path(pattern: str, deployment: str) -> tuple[str, bool]:
    """Put the deployment into a path; tell whether it asks for a version as well."""
    path = pattern.replace("{}", deployment, 1)
    return path.replace("{}", "{version}", 1), "{}" in path


def _operation(route: Route, about: About, path: str) -> Json:
    words = re.sub(r"\W+", "_", f"{route.method.lower()}{route.path.replace('{}', '_model')}").strip("_")
    operation: Json = {
        "operationId": f"{words}_" if path.endswith("/") else words,
        "summary": about.summary,
        "tags": [about.tag],
        "security": [] if route.action is None else [{"token": []}, {}],
    }
    if about.reads:
        operation["requestBody"] = {"required": about.reads != "Free", "content": _contents(about.reads)}
    good = {"description": "Done.", "content": {_kind(about): {"schema": _of(about.answers or "Free")}}}
    refusals = _REFUSALS if route.method == "POST" else {"404": _REFUSALS["404"], "503": _REFUSALS["503"]}
    refused = {"content": {_JSON: {"schema": _of("MlflowRefusal" if about.tag == _MLFLOW else "Refusal")}}}
    operation["responses"] = {"200": good, **{status: {"description": text, **refused} for status, text in refusals.items()}}
    return operation


def _kind(about: About) -> str:
    return "text/plain" if about.answers == "Text" and about.tag == _OWN else _JSON


def _contents(reads: str) -> Json:
    content: Json = {_JSON: {"schema": _of(reads)}}
    if reads == "InferRequest":
        binary = "JSON, then the raw tensors; Inference-Header-Content-Length says where the JSON ends."
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary", "description": binary}}
    if reads == "Invocation":
        content["text/csv"] = {"schema": {"type": "string", "description": "A header line, then a line per row."}}
        content["application/vnd.apache.parquet"] = {"schema": {"type": "string", "format": "binary"}}
    return content


def _of(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(signature: Signature, inputs: Sequence[FormInput]) -> Json:
    row = {item.name: item.example for item in inputs}
    return {**_fixed(), **_rows(inputs, row), **_tensors(signature, inputs, row), **_answers(signature)}


def _rows(inputs: Sequence[FormInput], row: Mapping[str, Any]) -> Json:
    names = [item.name for item in inputs]
    rows = {"type": "array", "items": _of("Row")}
    layouts = {
        "dataframe_records": rows,
        "dataframe_split": _object({"columns": _list("string"), "data": {"type": "array", "items": {"type": "array"}}}, ["data"]),
        "instances": rows,
        "inputs": {"type": ["array", "object"]},
    }
    return {
        "Row": {**_object({item.name: _value(item) for item in inputs}, names), "examples": [row]},
        "Invocation": {
            "type": "object",
            "description": "Exactly one of the four layouts.",
            "properties": {**layouts, "params": {"type": "object"}},
            "oneOf": [{"required": [name]} for name in layouts],
            "examples": [{"dataframe_records": [row]}],
        },
        "Instances": {**_object({"instances": rows}, ["instances"]), "examples": [{"instances": [row]}]},
    }


def _value(item: FormInput) -> Json:
    if item.kind == "tensor":
        return {"type": "array", "description": f"{item.datatype} of shape {item.shape}, without the rows"}
    schema: Json = {"type": [_TYPES[item.kind], "null"]}
    if item.kind == "time":
        schema["format"] = "date-time"
    if item.choices:
        schema["description"] = "Known values are " + ", ".join(item.choices[:20])
    if item.least is not None and item.kind in ("number", "whole"):
        schema["description"] = f"Known from {item.least:g} to {item.most:g}"
    return schema


def _tensors(signature: Signature, inputs: Sequence[FormInput], row: Mapping[str, Any]) -> Json:
    fields = {
        "name": {"type": "string", "enum": [item.name for item in inputs]},
        "shape": _list("integer"),
        "datatype": {"type": "string"},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    }
    outputs = {"type": "array", "items": _object({"name": {"type": "string"}, "parameters": {"type": "object"}}, ["name"])}
    request = {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _of("InputTensor")},
        "outputs": outputs,
    }
    example = [msgspec.to_builtins(tensor) for tensor in tensors_of(signature, row)]
    table = "Or one tensor of all columns, of any other name." if all(item.kind != "tensor" for item in inputs) else ""
    return {
        "InputTensor": {**_object({**fields, "name": {"type": "string"}}, ["name", "shape", "datatype"]), "description": table},
        "InferRequest": {**_object(request, ["inputs"]), "examples": [{"inputs": example}]},
    }


def _answers(signature: Signature) -> Json:
    label: Json = {"type": "number"} if not signature.classes else {"enum": list(signature.classes)}
    if signature.outputs:
        label = {}
    tensor = {"name": {"type": "string"}, "datatype": {"type": "string"}, "shape": _list("integer"), "data": {"type": "array"}}
    return {
        "Predictions": _object(
            {"predictions": {"type": "array", "items": label}, "prediction_ids": _list("string")}, ["predictions"]
        ),
        "OutputTensor": _object({**tensor, "parameters": {"type": "object"}}, ["name", "datatype", "shape"]),
        "InferResponse": _object(
            {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "outputs": {"type": "array", "items": _of("OutputTensor")},
            },
            ["model_name", "outputs"],
        ),
    }


def _fixed() -> Json:
    word = {"type": "string"}
    metadata = _object({"name": word, "datatype": word, "shape": _list("integer")}, ["name", "datatype", "shape"])
    tensors = {"type": "array", "items": metadata}
    effect = {"name": word, "value": {}, "typical": {}, "effect": {"type": "number"}}
    state = _object({"name": word, "version": word, "state": word, "reason": word}, ["name", "state", "reason"])
    return {
        "Free": {"type": "object"},
        "Text": word,
        "Live": _object({"live": {"type": "boolean"}}, ["live"]),
        "Ready": _object({"ready": {"type": "boolean"}, "problem": word}, ["ready"]),
        "ModelReady": _object({"name": word, "ready": {"type": "boolean"}}, ["name", "ready"]),
        "Models": _object({"models": _list("string")}, ["models"]),
        "Server": _object({"name": word, "version": word, "extensions": _list("string")}, ["name", "version"]),
        "Metadata": _object(
            {"name": word, "versions": _list("string"), "platform": word, "inputs": tensors, "outputs": tensors},
            ["name", "platform", "inputs", "outputs"],
        ),
        "Index": {"type": "array", "items": state},
        "Explanations": _object(
            {"explanations": {"type": "array", "items": {"type": "array", "items": _object(effect, list(effect))}}},
            ["explanations"],
        ),
        "Refusal": _object({"error": word, "error_code": word, "message": word, "hint": word, "request_id": word}, ["error"]),
        "MlflowRefusal": _object({"error_code": word, "message": word}, ["error_code", "message"]),
    }


def _object(properties: Json, required: Sequence[str]) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(kind: str) -> Json:
    return {"type": "array", "items": {"type": kind}}
