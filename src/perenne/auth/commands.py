"""`perenne audit list|verify`."""

from typing import Any

import click

from perenne.auth import audit as trail
from perenne.auth.audit import AuditRecord, Head
from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.workspace import Workspace


@click.group()
def audit() -> None:
    """Who did what; verify the chain."""


@audit.command("list")
@click.option("--entity", help="Only what was done to this kind of thing, such as version.")
@click.option("--id", "identity", help="Only what was done to the thing of this id.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, entity: str | None, identity: str | None, limit: int) -> list[dict[str, Any]]:
    """List records, newest first."""
    with workspace.database.read() as tx:
        return [_row(record) for record in trail.trail(tx, entity=entity, entity_id=identity, limit=limit)]


@audit.command()
@click.option(
    "--head", "known", metavar="SEQ:HASH", help="A head printed earlier and kept elsewhere: shows a cut or rewritten trail."
)
@click.pass_obj
def verify(workspace: Workspace, known: str | None) -> Result:
    """Check every link of the chain. Exits with 6 if a record was edited, moved, put in or taken out."""
    head = None if known is None else _read_head(known)
    with workspace.database.read() as tx:
        verdict, last = trail.verify(tx, head), trail.head(tx)
    shown = {"records": verdict.records, "bad_seq": verdict.bad_seq, "problem": verdict.problem}
    if verdict.bad_seq is not None:
        return Result(
            shown, EXIT_FINDINGS, f"record {verdict.bad_seq}: {verdict.problem}; the {verdict.records} before it are good"
        )
    note = "keep the head where this database's owner cannot write; `--head` checks against it" if last else ""
    return Result({**shown, "head": f"{last.seq}:{last.hash}" if last else ""}, note=note)


def _read_head(text: str) -> Head:
    seq, _, digest = text.partition(":")
    if not seq.isdecimal() or not is_digest(digest):
        raise Invalid(f"{text[:100]!r} is no head", code="audit.head", hint="give what `perenne audit verify` printed as head")
    return Head(int(seq), digest)


def _row(record: AuditRecord) -> dict[str, Any]:
    who = f"{record.actor} for {record.on_behalf_of}" if record.on_behalf_of else record.actor
    return {
        "seq": record.seq,
        "time": format_time(record.time),
        "who": who,
        "action": record.action,
        "thing": f"{record.entity} {record.entity_id}",
        "reason": record.reason,
        "before": record.before,
        "after": record.after,
    }
