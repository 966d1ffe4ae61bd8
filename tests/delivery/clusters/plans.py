"""Plans to render in tests, and the strict check of objects against the schemas of Kubernetes and of custom resources."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from perenne.delivery.clusters.model import Object, Plan
from perenne.delivery.clusters.sizing import Measured, sizes

VERSIONS = ("1.35", "1.36", "1.37")
IMAGE = "registry.example.org/acme/churn@sha256:" + "ab" * 32
OTHER_IMAGE = "registry.example.org/acme/churn@sha256:" + "cd" * 32
_SCHEMAS = Path(__file__).parent / "schemas"
_NATIVE = ("v1", "apps/v1", "autoscaling/v2", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1")


def plan(**values: Any) -> Plan:
    size = sizes(Measured(), workers=1)
    defaults = {"deployment": "churn", "project": "churn", "version": "churn@3", "image": IMAGE, "sizes": size}
    return Plan(**{**defaults, **values})


def problems(item: Object, version: str) -> list[str]:
    """Say what a strict API server of a Kubernetes version would refuse in an object."""
    return list(_problems(json.dumps(item), version))


@functools.lru_cache(maxsize=4_096)
def _problems(text: str, version: str) -> tuple[str, ...]:
    item = json.loads(text)
    validator = _native(item["kind"], item["apiVersion"], version) if item["apiVersion"] in _NATIVE else _custom(item["kind"])
    return tuple(f"{item['kind']} {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(item))


@functools.cache
def _native(kind: str, api_version: str, version: str) -> jsonschema.Draft202012Validator:
    """Return what kubernetes-validate validates with; it reads two megabytes for each object, here once for each version."""
    name = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/{kind.lower()}-{name}.json", version)
    registry: Registry[Any] = Resource.from_contents(schema) @ _definitions(version)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _definitions(version: str) -> Registry[Any]:
    contents = schema_contents(f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json", version)
    registry: Registry[Any] = Resource.from_contents(contents) @ Registry()
    return registry.crawl()


@functools.cache
def _custom(kind: str) -> jsonschema.Draft202012Validator:
    schema = _strict(json.loads((_SCHEMAS / f"{kind.lower()}.json").read_text()))
    schema["properties"]["metadata"] = {}
    return jsonschema.Draft202012Validator(schema)


def _strict(schema: Any) -> Any:
    """Turn a structural schema into one that refuses what the API server would prune."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items() if key != "properties" and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        made["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    return made
