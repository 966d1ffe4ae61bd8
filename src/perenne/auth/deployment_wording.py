"""Changes of deployments in words, for `wording`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from perenne.auth.chain import AuditRecord

State: TypeAlias = Mapping[str, Any]
Phrase: TypeAlias = Callable[[AuditRecord, State], tuple[str, str, str]]


def state_of(text: str | None) -> State:
    """Read a state as the trail has it; nothing where there was none."""
    value = {} if text is None else msgspec.json.decode(text)
    return value if isinstance(value, dict) else {"value": value}


def _champion(after: State) -> str:
    variants = after.get("variants") or ()
    return next((str(variant["version"]) for variant in variants if variant.get("role") == "champion"), "")


def _challengers(state: State) -> set[str]:
    return {str(variant["version"]) for variant in state.get("variants") or () if variant.get("role") == "challenger"}


def _served(verb: str, joint: str) -> Phrase:
    """Make the phrase of a change that ends with another champion."""
    return lambda record, after: (verb, f"{_champion(after)} {joint} {record.entity_id}".strip(), "")


def _rolled_back(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "rolled back", f"{record.entity_id} to {_champion(after)}", ""


def _stopped(record: AuditRecord, after: State) -> tuple[str, str, str]:
    who = {"previous": "the previous version answers", "constant": "the constant answers"}
    return "stopped", record.entity_id, who.get(str((after.get("stop") or {}).get("mode")), "")


def _shadow(verb: str, joint: str) -> Phrase:
    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        changed = _challengers(after) ^ _challengers(state_of(record.before))
        return verb, f"{', '.join(sorted(changed)) or 'a version'} {joint} {record.entity_id}", ""

    return phrase


def _canaries(state: State) -> dict[str, float]:
    found = [variant for variant in state.get("variants") or () if variant.get("role") == "canary"]
    return {str(variant["version"]): float(variant.get("weight") or 0) for variant in found}


def _weights(record: AuditRecord, after: State) -> tuple[str, str, str]:
    now, before = _canaries(after), _canaries(state_of(record.before))
    moved = [
        f"{version} {now.get(version, 0):.1%}" for version in sorted({*now, *before}) if now.get(version) != before.get(version)
    ]
    return "gave", f"{', '.join(moved) or 'canaries'} of the callers of {record.entity_id}", ""


def _parked(verb: str) -> Phrase:
    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        changed = _parked_of(after) ^ _parked_of(state_of(record.before))
        return verb, f"{', '.join(sorted(changed)) or 'a version'} in {record.entity_id}", ""

    return phrase


def _parked_of(state: State) -> set[str]:
    return {str(variant["version"]) for variant in state.get("variants") or () if variant.get("parked")}


def _part_of(verb: str, what: str) -> Phrase:
    """Make the phrase of a change of one thing about a deployment."""
    return lambda record, after: (verb, f"{what} {record.entity_id}", "")


DEPLOYMENT_PHRASES: dict[str, Phrase] = {
    "deployment.deployed": _served("deployed", "to"),
    "deployment.promoted": _served("promoted", "to champion of"),
    "deployment.rolled_back": _rolled_back,
    "deployment.challenger_set": _shadow("put", "in shadow beside"),
    "deployment.challenger_removed": _shadow("took", "out of the shadow of"),
    "deployment.canary_set": _weights,
    "deployment.canary_removed": _weights,
    "deployment.weights_set": _weights,
    "deployment.route_set": _part_of("changed", "how callers are split between the versions of"),
    "deployment.rules_set": _part_of("changed", "when a version is taken back by itself in"),
    "deployment.timeout_set": _part_of("changed", "how long a version may take in"),
    "deployment.mirror_set": _part_of("changed", "how much a version answers unseen in"),
    "deployment.fallback_set": _part_of("changed", "who answers where another one fails in"),
    "deployment.parked": _parked("parked"),
    "deployment.unparked": _parked("asked again"),
    "deployment.undone": _part_of("undid", "the last change of"),
    "deployment.stopped": _stopped,
}
