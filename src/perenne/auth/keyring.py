"""Tokens for a server without a database: who each one stands for and the digests of its secrets, in one file.

The file holds no secret and no text of a token. It is written whole by whoever changes tokens (`perenne.auth.publishing`), and
read again when it changes; what cannot be read leaves the last list in force.
"""

import hmac
import logging
import time
from pathlib import Path

import msgspec

from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.auth.secret import UNKNOWN, read_token, refused

log = logging.getLogger("perenne.auth")


class Secret(msgspec.Struct, frozen=True):
    """A secret of a token: SHA-256 as hexadecimal digits, and until when it counts, in microseconds since 1970."""

    digest: str
    until: int


class Key(msgspec.Struct, frozen=True):
    """A token: its id, whom it stands for, what it allows and where, and its secrets: two while one replaces the other."""

    id: str
    principal: str
    kind: PrincipalKind
    roles: tuple[Role, ...]
    projects: tuple[str, ...]
    secrets: tuple[Secret, ...]


class Keyring:
    """The tokens in a file, and who they stand for.

    Parameters
    ----------
    path : Path
        The file; while there is none, no token counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, tuple[Principal, list[tuple[bytes, int]]]] = {}

    def refresh(self) -> None:
        """Read the file if it is another one than the last time; costs one `stat` if not."""
        try:
            stat = self._path.stat()
            present = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if present != self._seen:
                self._keys = {key.id: _unpacked(key) for key in read_keys(self._path)}
                self._seen = present
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.error("the list of tokens cannot be read, the one before stays in force: %s", type(error).__name__)

    def verify(self, text: str, _: str = "") -> Principal:
        """Return whom a token stands for, from whatever address. Raises Unauthenticated."""
        read = read_token(text)
        principal, secrets = self._keys.get(read[0], (None, ())) if read else (None, ())
        digest, now = read[1] if read else UNKNOWN, time.time_ns() // 1_000
        good = [hmac.compare_digest(digest, known) and now < until for known, until in secrets or ((UNKNOWN, 0),)]
        if principal is None or not any(good):
            raise refused()
        return principal


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys."""
    return msgspec.json.decode(path.read_bytes(), type=list[Key])


def count_valid(path: Path | None) -> int:
    """Return how many tokens of a file count now; none if there is no file."""
    if path is None or not path.exists():
        return 0
    now = time.time_ns() // 1_000
    return sum(any(now < secret.until for secret in key.secrets) for key in read_keys(path))


def _unpacked(key: Key) -> tuple[Principal, list[tuple[bytes, int]]]:
    principal = Principal(key.principal, key.kind, frozenset(key.roles), projects=frozenset(key.projects))
    return principal, [(bytes.fromhex(secret.digest), secret.until) for secret in key.secrets]
