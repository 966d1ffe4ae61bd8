"""Tokens: a secret that stands for a person or a service until it expires or is revoked (governance specification §5.4).

`prn_<id>_<secret>_<check>`: a ULID, 32 random bytes in URL-safe base 64, and the CRC-32 of all before it, by which a scanner
for leaked secrets can tell a real one. Only the SHA-256 of the secret is kept; the text is shown once. A token never belongs
in the query of a URL.
"""

import base64
import hashlib
import hmac
import secrets
import zlib

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.errors import Unauthenticated
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, Role, allowed, require
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.core.redaction import TOKEN
from perenne.storage.database import Database
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

PATTERN = TOKEN
"""The shape of a token; logs blacken what has it."""

PERSONAL_LIFETIME, SERVICE_LIFETIME = 90 * DAY, 365 * DAY
_UNKNOWN = hashlib.sha256(b"no such token").digest()

table = sa.Table(
    "token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("kind", JsonColumn(PrincipalKind), nullable=False),
    sa.Column("roles", JsonColumn(tuple[Role, ...]), nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),
    sa.Column("last_used", sa.BigInteger),
    sa.Column("revoked", sa.BigInteger),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    sa.Index(None, "owner"),
)


class Token(msgspec.Struct, frozen=True):
    """What is known of a token, its secret apart.

    Attributes
    ----------
    id, name : str
        Which token, and what its owner calls it.
    owner : str
        Who made it.
    principal, kind : str, PrincipalKind
        Who it stands for: its owner, or a service.
    roles : tuple of Role
        What it allows; never more than its owner might do.
    created, expires, last_used, revoked : int
        Microseconds since 1970; use is noted about once an hour.
    """

    id: str
    name: str
    owner: str
    principal: str
    kind: PrincipalKind
    roles: tuple[Role, ...]
    created: int
    expires: int
    last_used: int | None = None
    revoked: int | None = None


_columns = [table.c[name] for name in Token.__struct_fields__]


def create_token(
    tx: Transaction,
    actor: Principal,
    name: str,
    roles: frozenset[Role],
    *,
    now: int,
    lifetime: int | None = None,
    service: bool = False,
) -> tuple[Token, str]:
    """Make a token and return it with its text, which is shown this once.

    Parameters
    ----------
    name : str
        What to call it, such as ``laptop``; a service is called `service:<name>` in the audit trail.
    roles : frozenset of Role
        What it allows.
    now : int
        The time, in microseconds since 1970.
    lifetime : int, optional
        Microseconds until it expires; 90 days, for a service 365, which is also the most.
    service : bool
        Whether it stands for a service and not for the actor; only an administrator makes such.

    Raises
    ------
    Denied
        If the actor lacks one of the roles, or may not make tokens of services.
    Invalid
        If the name is empty or long, no role is given, or it would live too long.
    """
    if service:
        require(actor, Action.ADMINISTER)
    elif not roles <= actor.roles:
        missing = ", ".join(sorted(roles - actor.roles))
        raise Denied(f"{actor.name} lacks what the token should allow: {missing}", code="token.roles")
    lifetime = lifetime or (SERVICE_LIFETIME if service else PERSONAL_LIFETIME)
    _check(name, roles, lifetime)
    text, identity, secret = _new_secret()
    token = Token(
        id=identity,
        name=name,
        owner=actor.name,
        principal=f"service:{name}" if service else actor.name,
        kind=PrincipalKind.SERVICE if service else actor.kind,
        roles=tuple(sorted(roles)),
        created=now,
        expires=now + lifetime,
    )
    tx.execute(table.insert(), {**msgspec.structs.asdict(token), "secret_hash": _digest(secret)})
    audit.record(tx, actor, "token.create", "token", token.id, after=token)
    return token, text


def _check(name: str, roles: frozenset[Role], lifetime: int) -> None:
    if not name.isprintable() or not 0 < len(name.strip()) == len(name) <= 100:
        raise Invalid(f"{name[:100]!r} is no name for a token", code="token.name", hint="1 to 100 letters, no space at the ends")
    if not roles:
        raise Invalid("a token needs at least one role", code="token.roles")
    if not 0 < lifetime <= SERVICE_LIFETIME:
        raise Invalid("a token lives for 365 days at most", code="token.lifetime")


def verify_token(tx: Transaction, text: str, now: int) -> tuple[Token, Principal]:
    """Return the token and whom it stands for.

    Raises
    ------
    Unauthenticated
        If it is malformed, unknown, expired or revoked; the error does not tell which.
    """
    match = PATTERN.fullmatch(text)
    row = None
    if match is not None and _check_sum(text[:-9]) == match[3]:
        row = tx.execute(sa.select(*_columns, table.c.secret_hash).where(table.c.id == match[1])).one_or_none()
    known = _UNKNOWN if row is None else row.secret_hash
    same = hmac.compare_digest(_digest(match[2] if match else ""), known)
    if row is None or not same or row.revoked is not None or row.expires <= now:
        raise Unauthenticated("the token is not valid", code="auth.token", hint="it may have expired or been revoked")
    token = Token(**{name: getattr(row, name) for name in Token.__struct_fields__})
    return token, Principal(token.principal, token.kind, frozenset(token.roles))


def authenticate(database: Database, text: str, now: int) -> Principal:
    """Return whom a token stands for, and note its use; raises `Unauthenticated` as `verify_token` does."""
    with database.read() as tx:
        token, principal = verify_token(tx, text, now)
    if token.last_used is None or token.last_used < now - HOUR:
        mine = table.update().where(table.c.id == token.id)
        database.submit(lambda tx: tx.execute(mine.values(last_used=now)).rowcount, durable=False, alone=False)
    return principal


def tokens(tx: Transaction, actor: Principal) -> list[Token]:
    """List tokens, newest first: the actor's own, or everybody's for an administrator."""
    query = sa.select(*_columns).order_by(table.c.id.desc())
    if not allowed(actor, Action.ADMINISTER):
        query = query.where(table.c.owner == actor.name)
    return [read_struct(Token, row) for row in tx.execute(query)]


def revoke_token(tx: Transaction, actor: Principal, identity: str, *, now: int, reason: str = "") -> Token:
    """End a token at once; ending it twice changes nothing.

    Raises
    ------
    NotFound
        If there is none of that id, or it is another's and the actor no administrator.
    """
    token = next((token for token in tokens(tx, actor) if token.id == identity), None)
    if token is None:
        raise NotFound(f"there is no token {identity[:40]}", code="token.not_found")
    if token.revoked is None:
        tx.execute(table.update().where(table.c.id == identity).values(revoked=now))
        audit.record(tx, actor, "token.revoke", "token", identity, before=token, reason=reason)
        token = msgspec.structs.replace(token, revoked=now)
    return token


def _new_secret() -> tuple[str, str, str]:
    """Return a token's text, its id and its secret."""
    identity = new_id()
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    body = f"prn_{identity}_{secret}"
    return f"{body}_{_check_sum(body)}", identity, secret


def _check_sum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
