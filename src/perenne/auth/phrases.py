"""How records of the audit trail are told: what the phrases are made with, and those of what is served and delivered."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from perenne.auth.chain import AuditRecord

State: TypeAlias = Mapping[str, Any]
Phrase: TypeAlias = Callable[[AuditRecord, State], tuple[str, str, str]]
SHORT_ID = 12


def state_of(text: str | None) -> State:
    """Read what a record says was before or after; what is no object becomes its `value`."""
    value = {} if text is None else msgspec.json.decode(text)
    return value if isinstance(value, dict) else {"value": value}


def short(identity: str) -> str:
    """Cut an id that is too long for a sentence."""
    return identity if len(identity) <= 2 * SHORT_ID else f"{identity[:SHORT_ID]}…"


def did(verb: str, noun: str = "") -> Phrase:
    """Make the phrase of an action that is told by its verb and the thing alone."""
    return lambda record, _: (verb, f"{noun} {short(record.entity_id)}".strip(), "")


def champion(after: State) -> str:
    """Name the version that answers."""
    variants = after.get("variants") or ()
    return next((str(variant["version"]) for variant in variants if variant.get("role") == "champion"), "")


def challengers(state: State) -> set[str]:
    """Name the versions in shadow."""
    return {str(variant["version"]) for variant in state.get("variants") or () if variant.get("role") == "challenger"}


def served(verb: str, joint: str) -> Phrase:
    """Make the phrase of a change that ends with another champion."""
    return lambda record, after: (verb, f"{champion(after)} {joint} {record.entity_id}".strip(), "")


def rolled_back(record: AuditRecord, after: State) -> tuple[str, str, str]:
    """Tell which version answers again."""
    return "rolled back", f"{record.entity_id} to {champion(after)}", ""


def of_image(verb: str, what: str) -> Phrase:
    """Make the phrase of what was done with an image: of which version, and its build, place or deployment."""
    joints = {"build": "build", "reference": "to", "deployment": "in"}

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        return verb, f"{after.get('version', 'a version')}", f"{joints[what]} {after[what]}" if after.get(what) else ""

    return phrase


def stopped(record: AuditRecord, after: State) -> tuple[str, str, str]:
    """Tell who answers meanwhile."""
    who = {"previous": "the previous version answers", "constant": "the constant answers", "person": "people answer"}
    return "stopped", record.entity_id, who.get(str((after.get("stop") or {}).get("mode")), "")


def shadow(verb: str, joint: str) -> Phrase:
    """Make the phrase of a change of who is in shadow."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        changed = challengers(after) ^ challengers(state_of(record.before))
        return verb, f"{', '.join(sorted(changed)) or 'a version'} {joint} {record.entity_id}", ""

    return phrase


def canaries(state: State) -> dict[str, float]:
    """Return the shares of canaries."""
    found = [variant for variant in state.get("variants") or () if variant.get("role") == "canary"]
    return {str(variant["version"]): float(variant.get("weight") or 0) for variant in found}


def weights(record: AuditRecord, after: State) -> tuple[str, str, str]:
    """Tell whose share changed, and to what."""
    now, before = canaries(after), canaries(state_of(record.before))
    moved = [
        f"{version} {now.get(version, 0):.1%}" for version in sorted({*now, *before}) if now.get(version) != before.get(version)
    ]
    return "gave", f"{', '.join(moved) or 'canaries'} of the callers of {record.entity_id}", ""


def parked(verb: str) -> Phrase:
    """Make the phrase of a change of who is asked no more."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        changed = parked_of(after) ^ parked_of(state_of(record.before))
        return verb, f"{', '.join(sorted(changed)) or 'a version'} in {record.entity_id}", ""

    return phrase


def parked_of(state: State) -> set[str]:
    """Name the versions that are asked no more."""
    return {str(variant["version"]) for variant in state.get("variants") or () if variant.get("parked")}


def part_of(verb: str, what: str) -> Phrase:
    """Make the phrase of a change of one thing about a deployment."""
    return lambda record, after: (verb, f"{what} {record.entity_id}", "")


def named_key(did: str) -> Phrase:
    """Make the phrase of what was done with a key: by its name."""
    return lambda record, after: (
        did, "the key of " + str(after.get("name") or state_of(record.before).get("name") or short(record.entity_id)), ""
    )  # fmt: skip


def stated_trust(record: AuditRecord, after: State) -> tuple[str, str, str]:
    """Tell what is asked of packages."""
    where = "" if record.entity == "installation" else f" of {record.entity_id}"
    said = f"signatures {after.get('require', '')}, pickles {after.get('pickles', '')}"
    return "stated", f"what is asked of packages{where}", said


def applied(did: str) -> Phrase:
    """Tell of an apply to a cluster: its number, of what and where; and what went wrong, if anything did."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        where = "/".join(filter(None, (after.get("cluster", "a cluster"), after.get("namespace"))))
        number = f"revision {after['number']}" if after.get("number") else "a revision"
        what = f"{number} of {after.get('deployment', short(record.entity_id))} in {where}"
        return did, what, str(after.get("problem") or "")[:200]

    return phrase


def silenced_widely(verb: str) -> Phrase:
    """Make the phrase of what was done with a silence: what it matches."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        named = [f"{key} {after[key]}" for key in ("deployment", "rule") if after.get(key)]
        return verb, ", ".join([*named, *map(str, after.get("matchers") or ())]) or "alerts", ""

    return phrase


def escalated(record: AuditRecord, after: State) -> tuple[str, str, str]:
    """Tell which channel was told because nobody answered on another."""
    about = after.get("deployment") or after.get("rule") or "something"
    return "escalated", f"the alert on {about} to {after.get('channel') or 'a channel'}", ""


def channel(verb: str) -> Phrase:
    """Make the phrase of what was done with a channel: where it leads."""
    return lambda record, after: (verb, f"channel {record.entity_id}", str(after.get("target") or ""))
