"""`perenne audit list|verify`, `perenne token create|list|rotate|revoke`."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from perenne.auth import audit as trail
from perenne.auth import tokens
from perenne.auth.audit import AuditRecord, Head
from perenne.auth.principals import local_principal
from perenne.auth.publishing import publish
from perenne.auth.roles import Role
from perenne.auth.tokens import Token
from perenne.core.clock import format_time, parse_duration
from perenne.core.errors import Invalid
from perenne.core.hashing import is_digest
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

T = TypeVar("T")
_ONCE = "this is the only time the token is shown"


@click.group()
def audit() -> None:
    """Who did what; verify the chain."""


@audit.command("list")
@click.option("--entity", help="Only what was done to this kind of thing, such as version.")
@click.option("--id", "identity", help="Only what was done to the thing of this id.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most this many, newest first.")
@click.pass_obj
def list_(workspace: Workspace, entity: str | None, identity: str | None, limit: int) -> list[dict[str, Any]]:
    """List records, newest first.

    \b
    Examples:
      perenne audit list
      perenne audit list --entity version --id churn@3
    """
    with workspace.database.read() as tx:
        return [_row(record) for record in trail.trail(tx, entity=entity, entity_id=identity, limit=limit)]


@audit.command()
@click.option(
    "--head", "known", metavar="SEQ:HASH", help="A head printed earlier and kept elsewhere: shows a cut or rewritten trail."
)
@click.pass_obj
def verify(workspace: Workspace, known: str | None) -> Result:
    """Check every link of the chain. Exits with 6 if a record was edited, moved, put in or taken out.

    \b
    Examples:
      perenne audit verify
      perenne audit verify --head 8:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    """
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


@click.group()
def token() -> None:
    """Tokens: who may call the servers, what for and how long."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What it allows; repeat it.",
)
@click.option("--project", "projects", multiple=True, help="Limit it to this project; repeat it.")
@click.option("--person", default="", metavar="NAME", help="The person it stands for; you, if not given.")
@click.option("--service", is_flag=True, help="It stands for a service, which may never approve.")
@click.option("--for", "lifetime", metavar="DURATION", help="How long it counts; 90d, of a service 365d, if not given.")
@click.pass_obj
def create(
    workspace: Workspace,
    name: str,
    roles: tuple[str, ...],
    projects: tuple[str, ...],
    person: str,
    service: bool,
    lifetime: str | None,
) -> Result:
    """Make a token and show it, this once.

    \b
    Examples:
      perenne token create laptop --role viewer --person ada
      perenne token create checkout --role caller --service --project churn --for 180d
    """
    length = None if lifetime is None else parse_duration(lifetime)

    def work(tx: Transaction) -> tuple[Token, str]:
        allowed, limits, now = frozenset(map(Role, roles)), frozenset(projects), workspace.clock.now()
        return tokens.create_token(
            tx, local_principal(), name, allowed, now=now, lifetime=length, service=service, person=person, projects=limits
        )

    return _shown_once(*_change(workspace, work))


@token.command("list")
@click.pass_obj
def list_tokens(workspace: Workspace) -> list[dict[str, Any]]:
    """List tokens, newest first; their secrets are nowhere.

    \b
    Examples:
      perenne token list
    """
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        return [_token_row(item, now) for item in tokens.tokens(tx, local_principal())]


@token.command()
@click.argument("id")
@click.option("--overlap", default="1d", show_default=True, metavar="DURATION", help="How long the old secret counts too.")
@click.pass_obj
def rotate(workspace: Workspace, id: str, overlap: str) -> Result:
    """Give a token a new secret and show it, this once.

    \b
    Examples:
      perenne token rotate 01M8GQSGBA1NHC8Y45EHH2NB3J
      perenne token rotate 01M8GQSGBA1NHC8Y45EHH2NB3J --overlap 0s
    """
    length = parse_duration(overlap)

    def work(tx: Transaction) -> tuple[Token, str]:
        return tokens.rotate_token(tx, local_principal(), id, now=workspace.clock.now(), overlap=length)

    return _shown_once(*_change(workspace, work))


@token.command()
@click.argument("id")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.pass_obj
def revoke(workspace: Workspace, id: str, reason: str) -> dict[str, Any]:
    """End a token at once, on every server.

    \b
    Examples:
      perenne token revoke 01M8GQSGBA1NHC8Y45EHH2NB3J --reason "lost laptop"
    """
    now = workspace.clock.now()
    ended = _change(workspace, lambda tx: tokens.revoke_token(tx, local_principal(), id, now=now, reason=reason))
    return _token_row(ended, now)


def _change(workspace: Workspace, work: Callable[[Transaction], T]) -> T:
    """Commit a change, then tell the model servers."""
    result = workspace.database.write(work)
    publish(workspace.database, workspace.settings.keyring, workspace.clock.now())
    return result


def _shown_once(made: Token, text: str) -> Result:
    return Result({"token": text, "id": made.id, "expires": format_time(made.expires)}, note=_ONCE)


def _token_row(item: Token, now: int) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "stands_for": item.principal,
        "roles": " ".join(item.roles),
        "projects": " ".join(item.projects),
        "state": item.state(now),
        "expires": format_time(item.expires),
        "last_used": "" if item.last_used is None else format_time(item.last_used),
    }
