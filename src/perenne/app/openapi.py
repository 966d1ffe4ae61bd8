"""The description of the REST API in OpenAPI 3.1, made from what the routes declare: `GET /api/openapi.json`.

Paths and methods come from the routes, roles, bodies and answers from `perenne.auth.access.needs`, words from the docstrings,
shapes from the Structs. A route that does not say what it answers is described with a free form.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import perenne
from perenne.auth.access import Needs, declared, needs
from perenne.auth.roles import PERMISSIONS, Action

Json = dict[str, Any]

OWN = ("/api/", "/v1/", "/health", "/ready", "/version", "/metrics")
"""Where paths of the API begin; all others are of the page."""

_TEMPLATE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_TEXTS = {
    "/api/live": "text/event-stream",
    "/api/model/version/{version}/card": "text/markdown",
    "/health": "text/plain",
    "/metrics": "text/plain",
    "/version": "text/plain",
}
"""Routes whose answer is no JSON."""
_REFUSALS = {
    "400": "The input is wrong; nothing was changed.",
    "401": "A token is asked for, and none that counts was shown.",
    "403": "The caller lacks the role.",
    "404": "There is no such thing, or it may not be seen.",
    "409": "The present state does not allow it.",
    "503": "Something needed is away for the moment; `retry-after` says when to come again.",
}


class Refusal(msgspec.Struct, frozen=True):
    """Why something was not done: `error_code` stays the same for ever, `hint` says what to do."""

    error: str
    error_code: str
    message: str
    hint: str = ""


@needs(Action.READ, filters=True)
async def get_description(request: Request) -> Response:
    """Give the description of this API."""
    return Response(await asyncio.to_thread(request.app.state.description), media_type="application/json")


routes = [Route("/api/openapi.json", get_description, methods=["GET"])]


def described(all_routes: Iterable[Route]) -> list[Route]:
    """Return those routes that belong to the API."""
    return [route for route in all_routes if route.path.startswith(OWN)]


def describe(all_routes: Iterable[Route]) -> Json:
    """Describe the routes of a control plane, as an OpenAPI document.

    Parameters
    ----------
    all_routes : iterable of Route
        Each behind what it declares (`perenne.app.door.guarded`).
    """
    chosen = described(all_routes)
    shapes = _Shapes([kind for route in chosen for kind in (_needs(route).body, _needs(route).returns)])
    paths: dict[str, Json] = {}
    for route in chosen:
        path = _PARAMETER.sub(r"{\1}", route.path)
        for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
            paths.setdefault(path, {})[method.lower()] = _operation(route, method, shapes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perenne",
            "version": perenne.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "schemas": shapes.components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
        "tags": [{"name": name} for name in sorted({_tag(path) for path in paths})],
    }


class _Shapes:
    """The schemas of all types, made together so that each Struct has one name."""

    def __init__(self, kinds: Sequence[Any]) -> None:
        named = [kind for kind in kinds if kind is not None]
        schemas, self.components = msgspec.json.schema_components([*named, Refusal], ref_template=_TEMPLATE, schema_hook=_foreign)
        self._of = {repr(kind): schema for kind, schema in zip(named, schemas, strict=False)}
        self.refusal = schemas[-1]

    def of(self, kind: Any) -> Json:
        return {} if kind is None else self._of[repr(kind)]


def _foreign(_: type) -> Json:
    return {}


def _needs(route: Route) -> Needs:
    found = declared(route.endpoint)
    assert found is not None, route.path  # a server with a route that declares nothing does not start
    return found


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" else "probes"


def _operation(route: Route, method: str, shapes: _Shapes) -> Json:
    declares, text = _needs(route), (route.endpoint.__doc__ or "").strip()
    summary = text.partition("\n")[0]
    operation: Json = {
        "operationId": _identity(method, route.path),
        "summary": summary,
        "tags": [_tag(route.path)],
        "description": f"{text}\n\n{_who(declares)}" if text else _who(declares),
    }
    parameters = [_parameter(name, kind) for name, kind in _PARAMETER.findall(route.path)]
    if parameters:
        operation["parameters"] = parameters
    if declares.body is not None:
        operation["requestBody"] = _body(declares, shapes)
    operation["responses"] = _responses(route.path, declares, shapes)
    if declares.action is None:
        operation["security"] = []
    return operation


def _identity(method: str, path: str) -> str:
    plain = _PARAMETER.sub(r"\1", path)
    return re.sub(r"\W+", "_", f"{method.lower()}{plain}").strip("_")


def _who(declares: Needs) -> str:
    if declares.action is None:
        return "Anybody may ask."
    roles = ", ".join(role.value for role in sorted(PERMISSIONS[declares.action]))
    return f"Needs the right to {declares.action.value}: {roles}."


def _parameter(name: str, kind: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if kind == "int" else "string"}}


def _body(declares: Needs, shapes: _Shapes) -> Json:
    content: Json = {"schema": shapes.of(declares.body)}
    if declares.example is not None:
        content["example"] = declares.example
    return {"required": "" not in declares.accepts, "content": {"application/json": content}}


def _responses(path: str, declares: Needs, shapes: _Shapes) -> Json:
    kind = _TEXTS.get(path, "application/json")
    content: Mapping[str, Json] = {kind: {"schema": {"type": "string"} if path in _TEXTS else shapes.of(declares.returns)}}
    refusal = {"application/json": {"schema": shapes.refusal}}
    said = {str(declares.status): {"description": "Done.", "content": content}}
    asked = _REFUSALS if declares.action is not None else {}
    return {**said, **{status: {"description": text, "content": refusal} for status, text in asked.items()}}
