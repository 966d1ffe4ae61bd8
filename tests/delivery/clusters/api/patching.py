"""Patches that are not applies: merge patch (RFC 7386), JSON patch (RFC 6902), and the strategic merge patch of kubectl."""

import copy
from typing import Any

from tests.delivery.clusters.api.fields import keys_of

_MERGED_BY = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath", "ports": "containerPort"}
_MERGED_BY |= {"topologySpreadConstraints": "topologyKey", "conditions": "type"}


def merge_patch(value: Any, patch: Any) -> Any:
    """Return a value after a merge patch."""
    if not isinstance(patch, dict):
        return patch
    made = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            made.pop(key, None)
        else:
            made[key] = merge_patch(made.get(key), item)
    return made


def strategic_merge(value: Any, patch: Any, name: str = "") -> Any:
    """Return a value after a strategic merge patch: lists of known names are merged by a key, with kubectl's directives."""
    if isinstance(patch, list) and name in _MERGED_BY and isinstance(value, list):
        return _merged_list(value, patch, _merge_key(name, patch, value))
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: item for key, item in patch.items() if key != "$patch"}
    made = copy.deepcopy(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if key.startswith(("$setElementOrder/", "$retainKeys", "$deleteFromPrimitiveList/")):
            continue
        if item is None:
            made.pop(key, None)
        else:
            made[key] = strategic_merge(made.get(key), item, key)
    if kept := patch.get("$retainKeys"):
        made = {key: item for key, item in made.items() if key in kept}
    return made


def _merge_key(name: str, patch: list[Any], value: list[Any]) -> str:
    keys = keys_of(name, value)
    return "port" if name == "ports" and keys[:1] == ("port",) else _MERGED_BY[name]


def _merged_list(value: list[Any], patch: list[Any], key: str) -> list[Any]:
    made = list(value)
    for item in patch:
        at = next((index for index, old in enumerate(made) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            made = [old for old in made if old.get(key) != item.get(key)]
        elif at is None:
            made.append(item)
        else:
            made[at] = strategic_merge(made[at], item)
    return made


def json_patch(value: Any, patch: list[dict[str, Any]]) -> Any:
    """Return a value after a JSON patch: add, replace and remove."""
    made = copy.deepcopy(value)
    for change in patch:
        *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in change["path"].split("/")[1:]]
        at = made
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if change["op"] == "remove":
            del at[int(last) if isinstance(at, list) else last]
        elif isinstance(at, list):
            at.append(change["value"]) if last == "-" else at.__setitem__(int(last), change["value"])
        else:
            at[last] = change["value"]
    return made
