"""Models and their versions, the evidence about them, the people's decisions, and the gate between a version and the world.

`model` holds the Structs and the gate (a pure function over evidence and decisions), `guard` asks it whenever a version is to
take a place, leave one or go. `service` registers what rounds make, `registrations` what clients register; `models` holds the
names they share, `placing` moves aliases and stages. `approvals` takes evidence and decisions, `policies` and `reviews` say and
ask what is needed, `trust` signs packages and judges signatures (`keys` has the private one), `card` writes a version up,
`summary` answers for many at once, and `events` tells the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.registry import approvals, card, models, placing, registrations, summary, trust, webhooks
    from perenne.registry.card import Card
    from perenne.registry.events import RegistryChanged, VersionDecided, VersionRegistered
    from perenne.registry.model import (
        Decision,
        Dossier,
        Evidence,
        Gate,
        GatePolicy,
        GateState,
        RegisteredModel,
        ReviewPolicy,
        Target,
        Verdict,
        Version,
        VersionForm,
        VersionState,
    )
    from perenne.registry.review_store import Review, ReviewState
    from perenne.registry.service import dossier, get_version, register, versions

_MODULES = frozenset({"approvals", "card", "models", "placing", "registrations", "summary", "trust", "webhooks"})
_ROOMS = {
    "Card": "card",
    "Decision": "model",
    "Dossier": "model",
    "Evidence": "model",
    "Gate": "model",
    "GatePolicy": "model",
    "GateState": "model",
    "RegistryChanged": "events",
    "RegisteredModel": "model",
    "Review": "review_store",
    "ReviewPolicy": "model",
    "ReviewState": "review_store",
    "Target": "model",
    "Verdict": "model",
    "Version": "model",
    "VersionDecided": "events",
    "VersionForm": "model",
    "VersionRegistered": "events",
    "VersionState": "model",
    "dossier": "service",
    "get_version": "service",
    "register": "service",
    "versions": "service",
}

__all__ = [
    "Card",
    "Decision",
    "Dossier",
    "Evidence",
    "Gate",
    "GatePolicy",
    "GateState",
    "RegisteredModel",
    "RegistryChanged",
    "Review",
    "ReviewPolicy",
    "ReviewState",
    "Target",
    "Verdict",
    "Version",
    "VersionDecided",
    "VersionForm",
    "VersionRegistered",
    "VersionState",
    "approvals",
    "card",
    "dossier",
    "get_version",
    "models",
    "placing",
    "register",
    "registrations",
    "summary",
    "trust",
    "versions",
    "webhooks",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
