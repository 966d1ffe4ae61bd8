"""What an image says of itself: labels, and its bill of materials in CycloneDX, the same bytes for the same content."""

from typing import Any

import perenne
from perenne.core import json
from perenne.core.clock import SECOND
from perenne.delivery.images.model import Component, Layer

LIBRARIES_PATH = "usr/share/perenne/libraries.cdx.json"
"""Where the bill of materials of the libraries lies in an image, in the layer that they are in."""

_TITLE = "org.opencontainers.image"


def bill(name: str, version: str, tree: str, components: tuple[Component, ...]) -> dict[str, Any]:
    """Return the bill of materials of an image: CycloneDX 1.6 without serial number and time, which would differ each time."""
    model = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{name}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": tree}],
    }
    parts = [_part(one) for one in sorted(set(components), key=lambda one: (one.kind, one.name, one.version))]
    own = Component("perenne", perenne.__version__, "pypi", "Apache-2.0")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": f"image:{name}@{version}", "name": name, "version": version},
            "tools": {"components": [{"type": "application", "name": "perenne", "version": perenne.__version__}]},
        },
        "components": [model, _part(own), *parts],
        "dependencies": [
            {
                "ref": f"image:{name}@{version}",
                "dependsOn": [model["bom-ref"], own.purl, *sorted({_ref(one) for one in components})],
            }
        ],
    }


def libraries_bill(components: tuple[Component, ...]) -> dict[str, Any]:
    """Return the bill of materials of the libraries alone: it is the same whatever model they answer for."""
    parts = [_part(one) for one in sorted(set(components), key=lambda one: (one.kind, one.name, one.version))]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}


def _ref(one: Component) -> str:
    return one.purl if one.version else f"file:{one.name}"


def _part(one: Component) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "library" if one.version else "file", "bom-ref": _ref(one), "name": one.name}
    if one.version:
        part |= {"version": one.version, "purl": one.purl}
    if one.licence:
        part["licenses"] = [{"expression": one.licence}] if _is_expression(one.licence) else [{"license": {"name": one.licence}}]
    if one.digest:
        part["hashes"] = [{"alg": "SHA-256", "content": one.digest}]
    return part


def _is_expression(text: str) -> bool:
    """Tell whether a licence is stated in SPDX's identifiers, which have no spaces but around their operators.

    >>> _is_expression("BSD-3-Clause AND MIT"), _is_expression("Apache Software License")
    (True, False)
    """
    words = [word for word in text.replace("(", " ").replace(")", " ").split() if word not in ("AND", "OR", "WITH")]
    operators = sum(word in ("AND", "OR", "WITH") for word in text.split())
    return len(words) == operators + 1


def labels(
    *,
    name: str,
    version: str,
    tree: str,
    created: int,
    commit: str,
    signature: str,
    base: str,
    base_digest: str,
    layers: tuple[Layer, ...],
) -> dict[str, str]:
    """Return the labels of an image; what is not known is left out."""
    found = {
        f"{_TITLE}.title": name,
        f"{_TITLE}.description": f"Answers for {version} by the Open Inference Protocol and MLflow's scoring protocol",
        f"{_TITLE}.version": version.rpartition("@")[2],
        f"{_TITLE}.created": timestamp(created),
        f"{_TITLE}.revision": commit,
        f"{_TITLE}.base.name": base,
        f"{_TITLE}.base.digest": base_digest,
        f"{_TITLE}.licenses": "Apache-2.0",
        "dev.perenne.version": perenne.__version__,
        "dev.perenne.model": version,
        "dev.perenne.model.tree": tree,
        "dev.perenne.model.signature": signature,
        **{f"dev.perenne.layer.{layer.role.value}": layer.diff_id for layer in layers if layer.role.value != "runtime"},
    }
    return {key: value for key, value in sorted(found.items()) if value}


def timestamp(microseconds: int) -> str:
    """Return a time as images write it, to the second.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    from datetime import UTC, datetime

    return datetime.fromtimestamp(microseconds // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_bytes(document: dict[str, Any]) -> bytes:
    """Write a document, the same each time."""
    return json.canonical(document) + b"\n"
