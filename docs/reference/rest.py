"""The page of the REST API, from the same document that the control plane gives at `/api/openapi.json`."""

import json
from collections.abc import Iterator
from typing import Any

from docs.reference.markdown import code, escape, table

from perenne.app.control import control_routes
from perenne.app.openapi import describe

Json = dict[str, Any]

HEAD = """# REST

The control plane describes itself in [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.0) at `GET /api/openapi.json`; this page
is made from that. Bodies and answers are JSON. Times are whole microseconds since 1970, UTC. `null` means unknown. Where a server
[asks for tokens](../governance.md#tokens), send `Authorization: Bearer …`. What the model server answers is on the page about
[serving](../serving.md#asking).

Errors have one form, `{"error": …, "error_code": …, "message": …, "hint": …}`, under the status of their kind: 400 the input is
wrong, 401 and 403 who are you and you may not, 404 not there, 409 not in this state, 413, 415 and 429 limits, 503 come again. The
codes are listed [here](errors.md). What is under `/api/view/` is what the page shows; it changes with the page, without notice.
"""


def document() -> Json:
    """Return the document itself."""
    return describe(control_routes())


def page() -> str:
    """Write the page."""
    found = document()
    parts = [HEAD]
    for tag in (item["name"] for item in found["tags"]):
        parts.append(f"## {tag}\n")
        for path, methods in found["paths"].items():
            for method, operation in methods.items():
                if tag in operation["tags"]:
                    parts += _operation(method.upper(), path, operation)
    parts.append("## Shapes\n")
    for name, schema in sorted(found["components"]["schemas"].items()):
        parts += _shape(name, schema)
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"### `{method} {path}`\n"
    yield from (escape(text) + "\n" for text in operation["description"].split("\n\n"))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        yield f"Body: {kind(content['schema'])}" + ("" if operation["requestBody"]["required"] else ", may be left out") + "\n"
        if "example" in content:
            yield f"```json\n{json.dumps(content['example'], ensure_ascii=False)}\n```\n"
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            (schema,) = (content["schema"] for content in response["content"].values())
            yield f"Answer: {status}, {kind(schema)}\n"


def _shape(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n"
    text = schema.get("description", "").split("\n\n")[0].split("\nAttributes\n")[0]
    yield escape(text.strip()) + "\n"
    if "enum" in schema:
        yield ", ".join(code(str(value)) for value in schema["enum"]) + "\n"
    needed = set(schema.get("required", ()))
    rows = ((code(field), kind(what), "" if field in needed else "no") for field, what in schema.get("properties", {}).items())
    yield table(["field", "type", "always there"], rows)


def kind(schema: Json) -> str:
    """Write a schema as a few words, with links to named shapes."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        anchor = name.lower().replace(".", "")
        return f"[{name}](#{anchor})"
    if "anyOf" in schema:
        return " or ".join(kind(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"list of {kind(inner)}" if inner else "list"
    if schema.get("type") == "object" and schema.get("additionalProperties"):
        return f"map to {kind(schema['additionalProperties'])}" if schema["additionalProperties"] is not True else "object"
    return str(schema.get("type", "any"))
