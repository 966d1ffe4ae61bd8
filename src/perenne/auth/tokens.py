"""Tokens: a secret that stands for a person or a service until it expires or is revoked (governance specification §5.4).

The text (`perenne.auth.secret`) is shown once and only digests are kept. A token never belongs in the query of a URL.
"""

import hmac
import re
from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.keyring import Key, Secret
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, Role, allowed, require
from perenne.auth.secret import UNKNOWN, new_secret, read_token, refused
from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.ids import new_id
from perenne.storage.database import Database
from perenne.storage.prepared import Prepared
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

PERSONAL_LIFETIME, SERVICE_LIFETIME = 90 * DAY, 365 * DAY
MAX_OVERLAP = 30 * DAY
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")

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
    sa.Column("projects", JsonColumn(tuple[str, ...]), nullable=False, server_default="[]"),
    sa.Column("rotated", sa.BigInteger),
    sa.Column("previous_hash", sa.LargeBinary),
    sa.Column("previous_until", sa.BigInteger),
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
        Who it stands for: its owner, another person, or a service.
    roles : tuple of Role
        What it allows; never more than its owner might do.
    created, expires, last_used, revoked : int
        Microseconds since 1970; use is noted about once an hour.
    projects : tuple of str
        What it is limited to; empty for the whole installation.
    rotated, previous_until : int
        When it got its present secret, and until when the one before counts too.
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
    projects: tuple[str, ...] = ()
    rotated: int | None = None
    previous_until: int | None = None

    def state(self, now: int) -> str:
        """Say whether it counts: valid, expired or revoked."""
        return "revoked" if self.revoked is not None else "expired" if self.expires <= now else "valid"


class _Stored(msgspec.Struct):
    """A row of the table as it comes from the driver, JSON decoded."""

    token: Token
    secret_hash: bytes
    previous_hash: bytes | None


_columns = [table.c[name] for name in Token.__struct_fields__]
_find = Prepared(
    sa.select(*_columns, table.c.secret_hash, table.c.previous_hash).where(table.c.id == sa.bindparam("id", type_=sa.Text))
)
_read_kind = msgspec.json.Decoder(PrincipalKind).decode
_read_roles = msgspec.json.Decoder(tuple[Role, ...]).decode
_read_projects = msgspec.json.Decoder(tuple[str, ...]).decode


def create_token(
    tx: Transaction,
    actor: Principal,
    name: str,
    roles: frozenset[Role],
    *,
    now: int,
    lifetime: int | None = None,
    service: bool = False,
    person: str = "",
    projects: frozenset[str] = frozenset(),
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
    service, person : bool, str
        Whether it stands for a service, or for whom but the actor; only an administrator makes such.
    projects : frozenset of str
        What to limit it to.

    Raises
    ------
    Denied
        If the actor lacks one of the roles or projects, or may not make tokens for others.
    Invalid
        If a name is empty or long, no role is given, or it would live too long.
    """
    if service or person:
        require(actor, Action.ADMINISTER)
    else:
        _require_less(actor, roles, projects)
    lifetime = lifetime or (SERVICE_LIFETIME if service else PERSONAL_LIFETIME)
    _check(name, roles, lifetime)
    if person and (service or not _PERSON.fullmatch(person)):
        raise Invalid(f"{person[:100]!r} is no name for a person", code="token.person", hint="letters, digits and ._@+-")
    identity = new_id()
    text, digest = new_secret(identity)
    token = Token(
        id=identity,
        name=name,
        owner=actor.name,
        principal=f"service:{name}" if service else person or actor.name,
        kind=PrincipalKind.SERVICE if service else PrincipalKind.USER if person else actor.kind,
        roles=tuple(sorted(roles)),
        created=now,
        expires=now + lifetime,
        projects=tuple(sorted(projects)),
    )
    tx.execute(table.insert(), {**msgspec.structs.asdict(token), "secret_hash": digest})
    audit.record(tx, actor, "token.create", "token", token.id, after=token)
    return token, text


def rotate_token(tx: Transaction, actor: Principal, identity: str, *, now: int, overlap: int = DAY) -> tuple[Token, str]:
    """Give a token a new secret, and as long to live as at first; the secret before counts for a while still.

    Raises
    ------
    NotFound
        If there is none of that id, or it is another's and the actor no administrator.
    Denied
        If it allows what the actor may not do.
    Conflict
        If it has been revoked or has expired.
    Invalid
        If the overlap is negative or longer than 30 days.
    """
    token = _mine(tx, actor, identity)
    if not allowed(actor, Action.ADMINISTER):
        _require_less(actor, frozenset(token.roles), frozenset(token.projects))
    if token.revoked is not None or token.expires <= now:
        raise Conflict(f"token {identity} counts no more", code="token.ended", hint="`perenne token create` makes a new one")
    if not 0 <= overlap <= MAX_OVERLAP:
        raise Invalid(
            "two secrets of a token count together for 30 days at most",
            code="token.overlap",
            hint="give a length of time such as 1d, or 0s for none",
        )
    text, digest = new_secret(identity)
    lifetime = token.expires - (token.rotated or token.created)
    after = msgspec.structs.replace(token, rotated=now, expires=now + lifetime, previous_until=now + overlap)
    values = {"rotated": now, "expires": after.expires, "previous_until": after.previous_until, "secret_hash": digest}
    mine = table.update().where(table.c.id == identity)
    tx.execute(mine.values(previous_hash=table.c.secret_hash, **values))
    audit.record(tx, actor, "token.rotate", "token", identity, before=token, after=after)
    return after, text


def _require_less(actor: Principal, roles: frozenset[Role], projects: frozenset[str]) -> None:
    """Refuse what would allow more than the actor may do."""
    if not roles <= actor.roles:
        missing = ", ".join(sorted(roles - actor.roles))
        raise Denied(
            f"{actor.name} lacks what the token should allow: {missing}",
            code="token.roles",
            hint="ask an administrator, or leave those roles out",
        )
    if actor.projects and not (projects and projects <= actor.projects):
        limits = ", ".join(sorted(actor.projects))
        raise Denied(
            f"{actor.name} is limited to {limits}, and so must the token be",
            code="token.projects",
            hint="name some of them with --project",
        )


def _check(name: str, roles: frozenset[Role], lifetime: int) -> None:
    if not name.isprintable() or not 0 < len(name.strip()) == len(name) <= 100:
        raise Invalid(f"{name[:100]!r} is no name for a token", code="token.name", hint="1 to 100 letters, no space at the ends")
    if not roles:
        raise Invalid("a token needs at least one role", code="token.roles", hint="viewer to look, caller to ask models")
    if not 0 < lifetime <= SERVICE_LIFETIME:
        raise Invalid("a token lives for 365 days at most", code="token.lifetime", hint="give a length of time such as 90d")


def verify_token(tx: Transaction, text: str, now: int) -> tuple[Token, Principal]:
    """Return the token and whom it stands for.

    Raises
    ------
    Unauthenticated
        If it is malformed, unknown, expired or revoked; the error does not tell which.
    """
    read = read_token(text)
    stored = _stored(tx, read[0]) if read else None
    digest = read[1] if read else UNKNOWN
    present = hmac.compare_digest(digest, stored.secret_hash if stored else UNKNOWN)
    before = hmac.compare_digest(digest, stored.previous_hash if stored and stored.previous_hash else UNKNOWN)
    if stored is None or stored.token.revoked is not None or stored.token.expires <= now:
        raise refused()
    token = stored.token
    if not present and not (before and token.previous_until is not None and now < token.previous_until):
        raise refused()
    return token, principal_of(token)


def principal_of(token: Token) -> Principal:
    """Return whom a token stands for."""
    return Principal(token.principal, token.kind, frozenset(token.roles), projects=frozenset(token.projects))


def find_token(tx: Transaction, identity: str) -> tuple[Token | None, bytes]:
    """Return a token, whether it counts or not, and the digest of its present secret; None if there is none of that id."""
    stored = _stored(tx, identity)
    return (None, b"") if stored is None else (stored.token, stored.secret_hash)


def _stored(tx: Transaction, identity: str) -> _Stored | None:
    row = _find.run(tx, {"id": identity}).fetchone()
    if row is None:
        return None
    *values, secret_hash, previous_hash = row
    fields = dict(zip(Token.__struct_fields__, values, strict=True))
    fields["kind"], fields["roles"] = _read_kind(fields["kind"]), _read_roles(fields["roles"])
    fields["projects"] = _read_projects(fields["projects"])
    return _Stored(Token(**fields), bytes(secret_hash), previous_hash and bytes(previous_hash))


def authenticate(database: Database, text: str, now: int, address: str = "") -> Principal:
    """Return whom a token stands for, and note its use about once an hour, in the trail once a day.

    Raises
    ------
    Unauthenticated
        As `verify_token` does.
    """
    with database.read() as tx:
        token, principal = verify_token(tx, text, now)
    if token.last_used is None or token.last_used < now - HOUR:
        database.submit(lambda tx: _note_use(tx, token, principal, now, address), durable=False)
    return principal


def _note_use(tx: Transaction, token: Token, principal: Principal, now: int, address: str) -> None:
    tx.execute(table.update().where(table.c.id == token.id).values(last_used=now))
    if token.last_used is None or token.last_used < now - DAY:
        audit.record(tx, principal, "token.use", "token", token.id, after={"address": address})


def note_refusal(tx: Transaction, address: str, failures: int) -> None:
    """Put into the trail that an address shows tokens that are none."""
    nobody = Principal("unknown", PrincipalKind.SYSTEM)
    audit.record(tx, nobody, "token.refuse", "address", address, after={"failures": failures})


def tokens(tx: Transaction, actor: Principal) -> list[Token]:
    """List tokens, newest first: those the actor made or is meant by, or everybody's for an administrator."""
    query = sa.select(*_columns).order_by(table.c.id.desc())
    if not allowed(actor, Action.ADMINISTER):
        query = query.where(sa.or_(table.c.owner == actor.name, table.c.principal == actor.name))
    return [read_struct(Token, row) for row in tx.execute(query)]


def revoke_token(tx: Transaction, actor: Principal, identity: str, *, now: int, reason: str = "") -> Token:
    """End a token at once; ending it twice changes nothing.

    Raises
    ------
    NotFound
        If there is none of that id, or it is another's and the actor no administrator.
    """
    token = _mine(tx, actor, identity)
    if token.revoked is None:
        tx.execute(table.update().where(table.c.id == identity).values(revoked=now))
        audit.record(tx, actor, "token.revoke", "token", identity, before=token, reason=reason)
        token = msgspec.structs.replace(token, revoked=now)
    return token


def _mine(tx: Transaction, actor: Principal, identity: str) -> Token:
    token = next((token for token in tokens(tx, actor) if token.id == identity), None)
    if token is None:
        raise NotFound(f"there is no token {identity[:40]!r}", code="token.not_found", hint="`perenne token list` shows them")
    return token


def keys(tx: Transaction, now: int) -> list[Key]:
    """List the tokens that count, as a server without a database knows them."""
    query = sa.select(*_columns, table.c.secret_hash, table.c.previous_hash)
    query = query.where(table.c.revoked.is_(None), table.c.expires > now).order_by(table.c.id)
    return [_key(row) for row in tx.execute(query)]


def _key(row: "sa.Row[Any]") -> Key:
    secrets = [Secret(row.secret_hash.hex(), row.expires)]
    if row.previous_hash is not None:
        secrets.append(Secret(row.previous_hash.hex(), min(row.previous_until, row.expires)))
    return Key(row.id, row.principal, row.kind, row.roles, row.projects, tuple(secrets))
