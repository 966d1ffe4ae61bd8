"""The text of a token: `prn_<id>_<secret>_<check>`, and how it comes in a request. No database: a model server reads it too.

A ULID, 32 random bytes in URL-safe base 64, and the CRC-32 of all before it, by which a scanner for leaked secrets can tell a
real one. Only the SHA-256 of the secret is kept: it is random, so a fast hash is right.
"""

import base64
import binascii
import hashlib
import secrets
import zlib

from perenne.auth.errors import Unauthenticated
from perenne.core.redaction import TOKEN

PATTERN = TOKEN
"""The shape of a token; logs blacken what has it."""

MAX_HEADER = 4_096
UNKNOWN = hashlib.sha256(b"no such token").digest()


def new_secret(identity: str) -> tuple[str, bytes]:
    """Draw a secret for a token's id; return the token's text and the digest of the secret."""
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    body = f"prn_{identity}_{secret}"
    return f"{body}_{check_sum(body)}", digest_of(secret)


def read_token(text: str) -> tuple[str, bytes] | None:
    """Return the id in a token's text and the digest of its secret; None if it is no token."""
    match = PATTERN.fullmatch(text)
    if match is None or check_sum(text[:-9]) != match[3]:
        return None
    return match[1], digest_of(match[2])


def check_sum(body: str) -> str:
    """Return what stands at a token's end."""
    return f"{zlib.crc32(body.encode()):08x}"


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def token_in(header: str) -> str:
    """Return the token in a header `Authorization`: after `Bearer`, or as the password of `Basic`, whose user does not matter.

    Raises
    ------
    Unauthenticated
        If the header is neither, or malformed.

    >>> token_in("Bearer prn_1"), token_in("Basic bWU6cHJuXzE=")
    ('prn_1', 'prn_1')
    """
    scheme, _, rest = header[: MAX_HEADER + 1].partition(" ")
    if len(header) <= MAX_HEADER and scheme.lower() == "bearer":
        return rest.strip()
    if len(header) <= MAX_HEADER and scheme.lower() == "basic":
        try:
            user, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise refused() from None
        if colon and "\0" not in user:
            return password
    raise refused()


def refused() -> Unauthenticated:
    """Return the one answer to every token that does not count: it tells nothing about why."""
    return Unauthenticated("the token is not valid", code="auth.token", hint="it may have expired or been revoked")
