"""The manifest of a directory: which relative path has which content. Its id is the md5 of its bytes, and ``.dir``."""

from collections.abc import Iterable
from hashlib import md5
from json.encoder import encode_basestring_ascii as _quoted
from operator import attrgetter

import msgspec

from perenne.core.errors import Invalid

EMPTY = "d751713988987e9331980363e24189ce.dir"
"""The digest of an empty directory."""

CODE = "data.bad_manifest"


class ManifestEntry(msgspec.Struct, frozen=True, gc=False):
    """A file of a directory: its path with ``/`` between the parts, and the md5 of its bytes in hex."""

    relpath: str
    md5: str


_DECODER = msgspec.json.Decoder(list[ManifestEntry])


def read_manifest(data: bytes, name: str) -> tuple[ManifestEntry, ...]:
    """Read a manifest, which may come from anybody.

    Raises
    ------
    Invalid
        Not a list of paths and hashes, a path that leads out of the directory or comes twice, a hash that is none.

    Examples
    --------
    >>> read_manifest(b'[{"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "a.txt"}]', "x.dir")
    (ManifestEntry(relpath='a.txt', md5='60b725f10c9c85c70d97880dfe8191b3'),)
    """
    try:
        entries = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"the manifest {name} cannot be read: {error}",
            code=CODE,
            hint="it is damaged, or was made to do harm: fetch it again from a remote you trust",
        ) from None
    check_entries(entries, name)
    return tuple(entries)


def write_manifest(entries: Iterable[ManifestEntry]) -> bytes:
    """Write a manifest as DVC does: sorted by path, one line, ASCII.

    >>> write_manifest([ManifestEntry("ü", "0" * 32)])
    b'[{"md5": "00000000000000000000000000000000", "relpath": "\\\\u00fc"}]'
    """
    ordered = sorted(entries, key=attrgetter("relpath"))
    lines = [f'{{"md5": {_quoted(entry.md5)}, "relpath": {_quoted(entry.relpath)}}}' for entry in ordered]
    return f"[{', '.join(lines)}]".encode()


def manifest_digest(data: bytes) -> str:
    """Return the id of a manifest.

    >>> manifest_digest(b"[]") == EMPTY
    True
    """
    return md5(data, usedforsecurity=False).hexdigest() + ".dir"


def check_entries(entries: list[ManifestEntry], name: str) -> None:
    """Refuse what no directory has. The whole list is looked at as one text first, since it may be long.

    Raises
    ------
    Invalid
        It names the entry.
    """
    paths = [entry.relpath for entry in entries]
    if not _fine(paths, [entry.md5 for entry in entries]):
        for entry in entries:
            _check(entry, name)
        _check_together(paths, name)


def _fine(paths: list[str], digests: list[str]) -> bool:
    joined, hashes = "\0/" + "/\0/".join(paths) + "/\0", "".join(digests)
    try:
        hexadecimal = len(bytes.fromhex(hashes)) * 2 == len(hashes) and hashes == hashes.lower()
    except ValueError:
        hexadecimal = False
    if not paths:
        return True
    inside = not any(part in joined for part in ("//", "/./", "/../")) and joined.count("\0") == len(paths) + 1
    return hexadecimal and set(map(len, digests)) == {32} and inside and _apart(paths)


def _apart(paths: list[str]) -> bool:
    """Tell whether no path comes twice, and none is both a file and a folder."""
    files = set(paths)
    return len(files) == len(paths) and not files & folders_of(paths)


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder that relative paths go through.

    >>> sorted(folders_of(["a/b/c", "d"]))
    ['a', 'a/b']
    """
    found: set[str] = set()
    rising = {path.rpartition("/")[0] for path in paths}
    while rising:
        rising.discard("")
        found |= rising
        rising = {path.rpartition("/")[0] for path in rising} - found
    return found


def _check(entry: ManifestEntry, name: str) -> None:
    parts = entry.relpath.split("/")
    if "\0" in entry.relpath or {"", ".", ".."} & set(parts):
        message = f"the manifest {name} names {entry.relpath!r}, which is no path inside a directory"
        raise Invalid(message, code="data.path_escape", hint="nothing was written; ask where this version comes from")
    if len(entry.md5) != 32 or not set(entry.md5) <= set("0123456789abcdef"):
        raise Invalid(
            f"the manifest {name} gives {entry.relpath!r} the hash {entry.md5!r}, which is no md5",
            code=CODE,
            hint="it is damaged, or was made to do harm: fetch it again from a remote you trust",
        )


def _check_together(paths: list[str], name: str) -> None:
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise Invalid(
                f"the manifest {name} names {path!r} twice",
                code=CODE,
                hint="it is damaged, or was made to do harm: fetch it again from a remote you trust",
            )
        seen.add(path)
    for path in sorted(seen & folders_of(paths)):
        raise Invalid(
            f"in the manifest {name}, {path!r} is both a file and a folder",
            code=CODE,
            hint="it is damaged, or was made to do harm: fetch it again from a remote you trust",
        )
