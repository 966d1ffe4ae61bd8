"""Secrets that must be used again, and so cannot be kept as digests: sealed with the installation's key.

The key is the text of `PERENNE_SECRET_KEY`, which all servers of one database share; where it is not set, random bytes in a
file that only its owner reads, made when it is first needed. A database or a backup alone tells no secret.

A secret is enciphered with the blocks that HMAC-SHA256 gives for a random number and a counter (counter mode of a pseudorandom
function); number and ciphertext are then authenticated with HMAC-SHA256 under another key (encrypt-then-MAC). What was changed,
or sealed with another key, is refused before it is read. Everything comes from Python's own library.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from perenne.core.errors import Invalid, Unavailable
from perenne.storage.files import sync_file, sync_folder, temporary_file

VARIABLE = "PERENNE_SECRET_KEY"
SHORTEST = 32
_FORM = "v1."
_NONCE, _TAG, _BLOCK = 16, 32, 32


class Seal:
    """Seals and opens secrets.

    Parameters
    ----------
    key : bytes
        The installation's key, at least 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = hmac.digest(key, b"perenne sealing: cipher", hashlib.sha256)
        self._proof = hmac.digest(key, b"perenne sealing: proof", hashlib.sha256)

    def seal(self, secret: str) -> str:
        """Return a secret as it may be kept; another text each time.

        >>> sealed = Seal(b"k" * 32).seal("hush")
        >>> "hush" in sealed, Seal(b"k" * 32).open(sealed)
        (False, 'hush')
        """
        nonce = secrets.token_bytes(_NONCE)
        body = nonce + self._mixed(nonce, secret.encode())
        return _FORM + base64.urlsafe_b64encode(body + self._tag(body)).decode()

    def open(self, sealed: str) -> str:
        """Return the secret.

        Raises
        ------
        Unavailable
            If it was sealed with another key, or changed.
        """
        try:
            data = base64.b64decode(sealed.removeprefix(_FORM), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _wrong() from None
        body, tag = data[:-_TAG], data[-_TAG:]
        if not sealed.startswith(_FORM) or len(body) < _NONCE or not hmac.compare_digest(tag, self._tag(body)):
            raise _wrong()
        return self._mixed(body[:_NONCE], body[_NONCE:]).decode()

    def derive(self, purpose: str) -> bytes:
        """Return a key for something else than sealing: the same for the same purpose, and no other's.

        >>> Seal(b"k" * 32).derive("a") == Seal(b"k" * 32).derive("a"), Seal(b"k" * 32).derive("a") == Seal(b"k" * 32).derive("b")
        (True, False)
        """
        return hmac.digest(self._key, b"perenne sealing: for " + purpose.encode(), hashlib.sha256)

    def _mixed(self, nonce: bytes, text: bytes) -> bytes:
        blocks = range(-(-len(text) // _BLOCK))
        stream = b"".join([hmac.digest(self._cipher, nonce + number.to_bytes(8), hashlib.sha256) for number in blocks])
        return bytes(left ^ right for left, right in zip(text, stream, strict=False))

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._proof, body, hashlib.sha256)


def seal_of(home: Path, environment: Mapping[str, str] = os.environ) -> Seal:
    """Return the installation's seal.

    Raises
    ------
    Invalid
        If the key in the environment is too short.
    Unavailable
        If the file of the key cannot be read or made.
    """
    text = environment.get(VARIABLE, "")
    if text:
        if len(text.encode()) < SHORTEST:
            hint = "such as 64 random hexadecimal digits"
            raise Invalid(f"{VARIABLE} has fewer than {SHORTEST} characters", code="config.secret_key", hint=hint)
        return Seal(text.encode())
    path = home / "secret.key"
    try:
        return Seal(_read(path) or _made(path))
    except OSError as error:
        hint = f"may this process read and write the folder? or set {VARIABLE}"
        raise Unavailable(f"the key of secrets cannot be used: {error.strerror}", code="auth.secret_key", hint=hint) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _made(path: Path) -> bytes:
    """Make the key, unless another process is quicker: a file that is there is never replaced."""
    with temporary_file(path.parent) as beside:
        beside.write_bytes(secrets.token_hex(32).encode())
        beside.chmod(0o600)
        sync_file(beside)
        try:
            os.link(beside, path)
        except FileExistsError:
            return path.read_bytes()
    sync_folder(path.parent)
    return path.read_bytes()


def _wrong() -> Unavailable:
    return Unavailable(
        "a secret was sealed with another key",
        code="auth.sealed",
        hint=f"give {VARIABLE} its former value, or bring back the file secret.key; otherwise set the secret anew",
    )
