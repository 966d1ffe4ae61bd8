"""What a run-cache remembers: a stage as it stands in a lock, under the hash of what went in and the hash of all."""

import json
from hashlib import sha256
from typing import Any

from perenne.core.errors import Invalid
from perenne.formats.dvc import documents
from perenne.formats.dvc.locks import LockedStage, stage_of, written_stage

_NOT_IN_HASH = {"size", "nfiles"}


def key_of(stage: LockedStage) -> str:
    """Return the hash of command, dependencies, params, and the paths of the outputs.

    >>> key_of(LockedStage(cmd="make"))[:16]
    '83916175f31bc6bf'
    """
    keys = written_stage(stage)
    return _hashed(keys | {"outs": [entry["path"] for entry in keys.get("outs", [])]})


def value_of(stage: LockedStage) -> str:
    """Return the hash of all, those of the outputs included."""
    return _hashed(written_stage(stage))


def place_of(stage: LockedStage) -> str:
    """Return where an entry lies below the cache: ``runs/<two digits>/<key>/<value>``."""
    key = key_of(stage)
    return f"runs/{key[:2]}/{key}/{value_of(stage)}"


def read_entry(data: bytes, name: str) -> LockedStage:
    """Read an entry.

    Raises
    ------
    Invalid
        It is corrupt.
    """
    keys = documents.load(data, name)
    if not keys:
        raise Invalid(f"{name} is empty", code="data.bad_lock", hint="remove the entry: it only spares a run")
    return stage_of(keys, name)


def write_entry(stage: LockedStage) -> bytes:
    """Write an entry: the stage as in a lock, without schema."""
    return documents.dump(written_stage(stage))


def _hashed(keys: Any) -> str:
    return sha256(json.dumps(_without(keys), sort_keys=True).encode()).hexdigest()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _NOT_IN_HASH}
    return [_without(inner) for inner in value] if isinstance(value, list) else value
