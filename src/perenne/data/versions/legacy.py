"""How DVC 2.x hashed: text files as if their lines ended in LF.

A piece of a file is text if its first 512 bytes have no NUL and at most 30 in a hundred that no text has.
"""

import os
from hashlib import md5

PIECE = 1 << 20
_LOOKED = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"


def is_text(piece: bytes) -> bool:
    r"""Tell whether 2.x took a piece for text.

    >>> is_text(b"a,b\r\n"), is_text(b"\x00\x01"), is_text(b"")
    (True, False, True)
    """
    looked = piece[:_LOOKED]
    if not looked:
        return True
    return b"\0" not in looked and len(looked.translate(None, _TEXT)) / len(looked) <= 0.3


def legacy_digest(data: bytes) -> bytes:
    r"""Return the md5 that 2.x gave to bytes.

    >>> legacy_digest(b"a\r\nb\r\n") == legacy_digest(b"a\nb\n")
    True
    """
    found = md5(usedforsecurity=False)
    for at in range(0, len(data), PIECE):
        piece = data[at : at + PIECE]
        found.update(piece.replace(b"\r\n", b"\n") if is_text(piece) else piece)
    return found.digest()


def legacy_digest_of(path: str) -> bytes:
    """Return the md5 that 2.x gave to a file."""
    found = md5(usedforsecurity=False)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with open(handle, "rb") as stream:
        while piece := stream.read(PIECE):
            found.update(piece.replace(b"\r\n", b"\n") if is_text(piece) else piece)
    return found.digest()
