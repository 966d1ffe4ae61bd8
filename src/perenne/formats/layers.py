"""What a layer of an image holds: a tar and its gzip that come out the same for the same files, whoever writes them, and when."""

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from perenne.core.errors import Invalid
from perenne.core.paths import check_name

BLOCK = 512
LEVEL = 6
END = b"\0" * (2 * BLOCK)
WHITEOUT = ".wh."
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no level, no system


class Entry(NamedTuple):
    """One name in a layer: a file with its size, a folder (one that anybody may write in, if shared), or a link to a target."""

    path: str
    size: int = 0
    executable: bool = False
    folder: bool = False
    target: str = ""
    shared: bool = False


def header(entry: Entry) -> bytes:
    """Return what stands before the bytes of an entry: owner root, no time, mode 0755 or 0644, PAX.

    Raises
    ------
    Invalid
        If the path would lead out of the image, or hide something of the layers below.
    """
    check_name(entry.path)
    if entry.path.rpartition("/")[2].startswith(WHITEOUT):
        raise Invalid(f"{entry.path!r} would hide a file", code="oci.whiteout", hint="give it another name")
    info = tarfile.TarInfo(entry.path)
    info.mode = 0o1777 if entry.shared else 0o755 if entry.executable or entry.folder else 0o644
    info.size = entry.size
    if entry.folder:
        info.type = tarfile.DIRTYPE
    elif entry.target:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """Return what fills the last block of an entry's bytes.

    >>> len(padding(1)), len(padding(512))
    (511, 0)
    """
    return b"\0" * (-size % BLOCK)


def with_folders(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by path, and add the folders they lie in.

    >>> [entry.path for entry in with_folders([Entry("opt/a/x"), Entry("opt/b")])]
    ['opt', 'opt/a', 'opt/a/x', 'opt/b']
    """
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        while path := path.rpartition("/")[0]:
            found.setdefault(path, Entry(path, folder=True))
    return [found[path] for path in sorted(found)]


def gzip(pieces: Iterable[bytes], level: int = LEVEL) -> Iterator[bytes]:
    """Compress; the head holds neither name nor time, so that the bytes depend on the content and the build of zlib alone."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    check, size = 0, 0
    yield _GZIP_HEAD
    for piece in pieces:
        check, size = zlib.crc32(piece, check), size + len(piece)
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
    yield check.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
