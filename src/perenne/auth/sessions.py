"""Sessions of a browser: a token shown once becomes a random id in a cookie, which counts for a while (specification §5.4).

Only the SHA-256 of the id is kept. A session ends 12 hours after the log-in, an hour after its last request, with its token, and
when the token gets a new secret. What a session may do is read from its token with each request.
"""

import base64
import hashlib
import secrets

import msgspec
import sqlalchemy as sa

from perenne.auth import audit, tokens
from perenne.auth.errors import SessionEnded, Unauthenticated
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Action, require
from perenne.auth.secret import digest_of, read_token
from perenne.auth.tokens import principal_of, verify_token
from perenne.core.clock import DAY, HOUR, MINUTE
from perenne.core.errors import Denied
from perenne.storage.database import Database
from perenne.storage.prepared import Prepared
from perenne.storage.schema import metadata
from perenne.storage.transaction import Transaction

LIFETIME, IDLE = 12 * HOUR, HOUR
MOST = 20
"""Sessions of one token: with a further one the oldest ends."""

table = sa.Table(
    "session",
    metadata,
    sa.Column("id_hash", sa.LargeBinary, primary_key=True),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Index(None, "token", "created"),
    sa.Index(None, "used"),
)
_find = Prepared(
    sa.select(table.c.token, table.c.secret_hash, table.c.created, table.c.used).where(
        table.c.id_hash == sa.bindparam("id_hash", type_=sa.LargeBinary)
    )
)


class Session(msgspec.Struct, frozen=True):
    """A log-in of a browser.

    Attributes
    ----------
    principal : Principal
        Who logged in.
    token : str
        The id of the token shown.
    created, expires, used : int
        When it began, when it ends at the latest, and when it was used last, to the minute; in microseconds since 1970.
    """

    principal: Principal
    token: str
    created: int
    expires: int
    used: int


def open_session(tx: Transaction, token_text: str, *, now: int, address: str = "", before: str = "") -> tuple[Session, str]:
    """Log in with a token; return the session and its id, which only the browser keeps.

    Parameters
    ----------
    now : int
        The time, in microseconds since 1970.
    address : str
        Where the log-in comes from; kept in the audit trail.
    before : str
        The id of a session that the browser had; it ends.

    Raises
    ------
    Unauthenticated
        If the token is malformed, unknown, expired or revoked, or has a newer secret.
    Denied
        If it stands for a service, or may not read.
    """
    token, principal = verify_token(tx, token_text, now)
    if principal.kind is PrincipalKind.SERVICE:
        hint = "`perenne token create NAME --role viewer` makes one for a person"
        raise Denied(f"{principal.name} is a service, which has no session", code="session.service", hint=hint)
    require(principal, Action.READ, next(iter(sorted(principal.projects)), None))
    digest = _shown_secret(token_text)
    if digest != tokens.find_token(tx, token.id)[1]:
        raise Unauthenticated("the token has a newer secret", code="session.rotated", hint="log in with the newer one")
    if before:
        end_session(tx, before)
    identity = secrets.token_urlsafe(32)
    row = {"id_hash": hash_of(identity), "token": token.id, "secret_hash": digest, "created": now, "used": now}
    tx.execute(table.insert(), row)
    tx.execute(tokens.table.update().where(tokens.table.c.id == token.id).values(last_used=now))
    _tidy(tx, token.id, now)
    audit.record(tx, principal, "session.open", "token", token.id, after={"address": address})
    return Session(principal, token.id, now, min(now + LIFETIME, token.expires), now), identity


def _shown_secret(token_text: str) -> bytes:
    read = read_token(token_text)
    assert read is not None, "the token was verified"
    return read[1]


def _tidy(tx: Transaction, token: str, now: int) -> None:
    """Remove sessions that ended yesterday or before, and those of the token that are too many."""
    tx.execute(table.delete().where(table.c.used < now - DAY))
    kept = sa.select(table.c.id_hash).where(table.c.token == token).order_by(table.c.created.desc()).limit(MOST)
    tx.execute(table.delete().where(table.c.token == token, table.c.id_hash.not_in(kept.scalar_subquery())))


def read_session(tx: Transaction, identity: str, now: int) -> Session:
    """Return the session of an id.

    Raises
    ------
    SessionEnded
        If there was one, and it has ended.
    Unauthenticated
        If there was none.
    """
    row = _find.run(tx, {"id_hash": hash_of(identity)}).fetchone()
    if row is None:
        raise Unauthenticated("there is no such session", code="session.unknown", hint="log in with a token")
    token_id, secret_hash, created, used = row
    token, present = tokens.find_token(tx, token_id)
    if created + LIFETIME <= now or used + IDLE <= now or token is None or present != bytes(secret_hash):
        raise SessionEnded
    if token.revoked is not None or token.expires <= now:
        raise SessionEnded
    return Session(principal_of(token), token.id, created, min(created + LIFETIME, token.expires), used)


def resume(database: Database, identity: str, now: int) -> Session:
    """Return the session of an id and note about once a minute that it is used; raises as `read_session`."""
    with database.read() as tx:
        session = read_session(tx, identity, now)
    if session.used < now - MINUTE:
        used = table.update().where(table.c.id_hash == hash_of(identity)).values(used=now)
        database.submit(lambda tx: tx.execute(used), durable=False)
    return session


def log_out(tx: Transaction, actor: Principal, identity: str) -> bool:
    """End a session for good; tell whether there was one."""
    token = end_session(tx, identity)
    if token is not None:
        audit.record(tx, actor, "session.end", "token", token)
    return token is not None


def end_session(tx: Transaction, identity: str) -> str | None:
    """Remove a session and return the id of its token; None if there is none."""
    mine = table.c.id_hash == hash_of(identity)
    token: str | None = tx.scalar(sa.select(table.c.token).where(mine))
    tx.execute(table.delete().where(mine))
    return token


def hash_of(identity: str) -> bytes:
    """Return what is kept of a session's id: it is random, so a fast hash is right."""
    return digest_of(identity)


def page_token(identity: str) -> str:
    """Return what a page of ours must send along with a change: who can read it, can read answers of this server.

    >>> len(page_token("some id"))
    43
    """
    return base64.urlsafe_b64encode(hashlib.sha256(b"page:" + identity.encode()).digest()).decode().rstrip("=")
