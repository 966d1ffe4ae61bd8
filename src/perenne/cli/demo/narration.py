"""Audit records as sentences. A record that people need not hear of gives none."""

from collections.abc import Iterator
from typing import Any

import msgspec

from perenne.auth.audit import AuditRecord


def narrate(record: AuditRecord) -> Iterator[tuple[str, str]]:
    """Give the stage and the sentence of a record."""
    after: Any = None if record.after is None else msgspec.json.decode(record.after)
    area, _, verb = record.action.partition(".")
    match area, verb:
        case "snapshot", "take":
            yield "data", f"snapshot {record.entity_id[:12]}: {after['rows']} rows, kept by content"
        case "version", "register":
            yield "review", f"{record.entity_id} registered; its gate is {after['gate']}"
        case "version", "approve":
            yield "review", f"{record.entity_id} approved by {record.actor}: {record.reason}"
        case "version", "reject":
            yield "review", f"{record.entity_id} rejected by {record.actor}: {record.reason}"
        case "alias", "move":
            yield "deliver", f"{record.entity_id} is now {after}: {record.reason}"
        case "deployment", "stopped":
            who = {"previous": "the previous version", "constant": "the constant"}[after["stop"]["mode"]]
            yield "serve", f"{record.entity_id} stopped, {who} answers: {record.reason}"
        case "deployment", "deployed" | "promoted" | "rolled_back" | "resumed" | "challenger_set":
            yield "serve", f"{record.entity_id} {verb.replace('_', ' ')}: {record.reason}"
        case "alert", "firing":
            yield "monitor", f"alert firing: {record.reason}"
        case "alert", "resolved":
            yield "monitor", f"alert resolved ({after['rule']} of {after['version']})"
        case "demo", "fault_injected" | "fault_mended":
            yield "fault", record.reason
        case "episode", _:
            yield "retrain", f"{verb.replace('_', ' ')}: {record.reason}"
