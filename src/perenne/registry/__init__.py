"""Versions of models, the evidence about them, the people's decisions, and the gate between a version and the world.

`model` holds the Structs and the gate (a pure function over evidence and decisions), `service` registers versions, takes
evidence and moves aliases, `approvals` takes decisions, `events` tells the others; `summary` answers for many versions at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.registry import summary
    from perenne.registry.approvals import bar, decide
    from perenne.registry.card import Card, write_card
    from perenne.registry.events import RegistryChanged, VersionDecided, VersionRegistered
    from perenne.registry.model import Decision, Dossier, Evidence, Gate, GatePolicy, GateState, Verdict, Version, VersionState
    from perenne.registry.service import (
        add_evidence,
        aliased,
        dossier,
        get_version,
        register,
        require_deployable,
        set_alias,
        versions,
    )

_ROOMS = {
    "Decision": "model",
    "Dossier": "model",
    "Evidence": "model",
    "Gate": "model",
    "GatePolicy": "model",
    "GateState": "model",
    "RegistryChanged": "events",
    "Verdict": "model",
    "Version": "model",
    "VersionDecided": "events",
    "VersionRegistered": "events",
    "VersionState": "model",
    "add_evidence": "service",
    "aliased": "service",
    "bar": "approvals",
    "decide": "approvals",
    "dossier": "service",
    "get_version": "service",
    "register": "service",
    "require_deployable": "service",
    "set_alias": "service",
    "versions": "service",
    "Card": "card",
    "write_card": "card",
}

__all__ = [
    "Card",
    "Decision",
    "Dossier",
    "Evidence",
    "Gate",
    "GatePolicy",
    "GateState",
    "RegistryChanged",
    "Verdict",
    "Version",
    "VersionDecided",
    "VersionRegistered",
    "VersionState",
    "add_evidence",
    "aliased",
    "bar",
    "decide",
    "dossier",
    "get_version",
    "register",
    "require_deployable",
    "set_alias",
    "summary",
    "versions",
    "write_card",
]


def __getattr__(name: str) -> Any:
    if name == "summary":
        return import_module(f"{__name__}.summary")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
