"""Keys and keyed hashes: the same value gives the same hash under the same key, and without the key nobody can try values out."""

import hashlib
import hmac
from pathlib import Path

from perenne.auth.sealing import SHORTEST, seal_of
from perenne.core.errors import Invalid, NotFound

_PURPOSE = "personal data"
_BYTES = 16


def installation_key(home: Path) -> bytes:
    """Return the key of an installation, which comes from the one that its secrets are sealed with."""
    return seal_of(home).derive(_PURPOSE)


def key_from_file(path: Path) -> bytes:
    """Read a key from a file: at least 32 bytes, line ends at its end apart.

    Raises
    ------
    NotFound, Invalid
        If there is none, or it is too short.
    """
    try:
        key = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        hint = "make one: openssl rand -hex 32 > personal.key"
        raise NotFound(f"key: {path} cannot be read: {error.strerror}", code="data.key", hint=hint) from None
    if len(key) < SHORTEST:
        raise Invalid(
            f"key: {path} has fewer than {SHORTEST} bytes", code="data.key", hint="such as 64 random hexadecimal digits"
        )
    return key


def keyed_hash(key: bytes, text: str) -> str:
    """Return what stands for a text: 32 hexadecimal digits of HMAC-SHA-256.

    >>> keyed_hash(b"k" * 32, "ada") == keyed_hash(b"k" * 32, "ada"), len(keyed_hash(b"k" * 32, "ada"))
    (True, 32)
    """
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)[:_BYTES].hex()
