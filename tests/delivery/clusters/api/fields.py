"""Fields of an object and who manages them, as server-side apply sees them: paths to leaves, and their owners.

A path is a tuple of steps: `f:name` into a map, `k:{…}` to the item of a list that is a map by some of its keys. Other lists are
taken as a whole. As in the structured merge of Kubernetes: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Path = tuple[str, ...]
Owners = dict[str, set[Path]]

_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "conditions": (("type",),),
}
"""Lists whose items are found by keys, and the keys."""

NOT_MANAGED = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def keys_of(name: str, items: Any) -> tuple[str, ...]:
    """Return the keys by which the items of a list are found; none if it is taken as a whole."""
    if not isinstance(items, list) or not items:
        return ()
    for keys in _KEYS.get(name, ()):
        if all(isinstance(item, dict) and set(keys) <= set(item) for item in items):
            return keys
    return ()


def leaves(value: Any, path: Path = (), name: str = "") -> dict[Path, Any]:
    """Return the leaves of a value by their path, in the order in which they stand."""
    if isinstance(value, dict) and value:
        return {key: leaf for step, item in value.items() for key, leaf in leaves(item, (*path, f"f:{step}"), step).items()}
    if keys := keys_of(name, value):
        found: dict[Path, Any] = {}
        for item in value:
            step = "k:" + json.dumps({key: item[key] for key in keys}, separators=(",", ":"))
            found |= leaves(item, (*path, step))
        return found
    return {path: value}


def built(found: Mapping[Path, Any]) -> Any:
    """Put leaves together again."""
    if () in found:
        return found[()]
    below: dict[str, dict[Path, Any]] = {}
    for path, leaf in found.items():
        below.setdefault(path[0], {})[path[1:]] = leaf
    if all(step.startswith("k:") for step in below):
        return [built(rest) for rest in below.values()]
    return {step[2:]: built(rest) for step, rest in below.items()}


def managed(item: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the leaves of an object that somebody manages."""
    about = {key: value for key, value in item["metadata"].items() if key not in NOT_MANAGED and key not in ("name", "namespace")}
    said = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    return leaves({"metadata": about, **said} if about else said) if about or said else {}


def conflicts(wanted: Mapping[Path, Any], live: Mapping[Path, Any], owners: Owners, manager: str) -> list[tuple[str, Path]]:
    """Return the fields that others manage and that would be another value."""
    return [
        (other, path)
        for path, leaf in wanted.items()
        for other, paths in owners.items()
        if other != manager and path in paths and path in live and live[path] != leaf
    ]


def merged(wanted: Mapping[Path, Any], live: Mapping[Path, Any], owners: Owners, manager: str) -> dict[Path, Any]:
    """Return the leaves after an apply: those wanted, and of the others those that this manager did not have to itself."""
    dropped = owners.get(manager, set()) - set(wanted)
    dropped -= {path for other, paths in owners.items() if other != manager for path in paths}
    kept = {path: leaf for path, leaf in live.items() if path not in dropped and not _covered(path, wanted)}
    return {**{path: wanted.get(path, leaf) for path, leaf in kept.items()}, **wanted}


def _covered(path: Path, wanted: Mapping[Path, Any]) -> bool:
    """Tell whether a leaf gives way: one that is wanted lies above or below it."""
    return any(path != other and (path[: len(other)] == other or other[: len(path)] == path) for other in wanted)


def shown(path: Path) -> str:
    """Return a path as the server shows it in a conflict."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]" for step in path)


def fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """Return paths as `fieldsV1` of `managedFields`."""
    tree: dict[str, Any] = {}
    for path in paths:
        at = tree
        for step in path:
            at = at.setdefault(step, {})
    return tree
