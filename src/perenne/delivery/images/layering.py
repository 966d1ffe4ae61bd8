"""Layers from files: what goes in is listed first, then written as one tar that is the same every time, and compressed once."""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.delivery.images.layout import Layout
from perenne.delivery.images.model import Layer, LayerRole
from perenne.formats import layers, oci
from perenne.formats.layers import Entry
from perenne.storage.files import write_atomically

_PIECE = 1 << 20


class Content(NamedTuple):
    """An entry of a layer with its bytes: in memory, or in a file."""

    entry: Entry
    data: bytes = b""
    source: Path | None = None


class Known(msgspec.Struct, frozen=True):
    """What a tar was compressed to before."""

    digest: str
    size: int


def from_bytes(path: str, data: bytes) -> Content:
    """Return a file of a layer with these bytes."""
    return Content(Entry(path, len(data)), data)


def from_file(path: str, source: Path) -> Content:
    """Return a file of a layer with the bytes of a file; what a link leads to, not the link."""
    state = source.stat()
    return Content(Entry(path, state.st_size, executable=bool(state.st_mode & 0o100)), source=source)


def link(path: str, target: str) -> Content:
    """Return a symbolic link of a layer."""
    return Content(Entry(path, target=target))


def from_folder(root: Path, below: str = "", *, leave_out: Collection[str] = ()) -> list[Content]:
    """Return all that lies in a folder, links as links; devices and sockets are refused.

    Parameters
    ----------
    leave_out : collection of str
        Folders at the top of which nothing but themselves is taken.

    Raises
    ------
    Invalid
        If it holds what cannot be in a layer.
    """
    found: list[Content] = []
    for folder, folders, files in os.walk(root):
        if os.path.relpath(folder, root) in leave_out:
            folders.clear()
            continue
        for name in (*folders, *files):
            path = Path(folder, name)
            relative = "/".join(part for part in (below, path.relative_to(root).as_posix()) if part)
            if path.is_symlink():
                found.append(link(relative, os.readlink(path)))
            elif path.is_dir():
                found.append(Content(Entry(relative, folder=True, shared=bool(path.stat().st_mode & 0o1000))))
            elif path.is_file():
                found.append(from_file(relative, path))
            else:
                raise Invalid(f"{relative} is a device or a socket", code="oci.special", hint="leave it out of the folder")
        folders[:] = [name for name in folders if not Path(folder, name).is_symlink()]
    return found


def tar_pieces(contents: Iterable[Content]) -> Iterator[bytes]:
    """Write a tar, piece by piece: sorted, with the folders that things lie in.

    Raises
    ------
    Invalid
        If a file changes while it is read.
    """
    given = {content.entry.path: content for content in contents}
    for entry in layers.with_folders(content.entry for content in given.values()):
        yield layers.header(entry)
        content = given.get(entry.path)
        if content is None or entry.folder or entry.target:
            continue
        size = 0
        for piece in _read(content):
            size += len(piece)
            yield piece
        if size != entry.size:
            raise Invalid(f"{entry.path} changed while it was read", code="oci.changed", hint="package again")
        yield layers.padding(size)
    yield layers.END


def _read(content: Content) -> Iterator[bytes]:
    if content.source is None:
        yield content.data
        return
    with content.source.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def write_layer(layout: Layout, role: LayerRole, contents: list[Content], *, compressed: bool = True) -> Layer:
    """Write a layer, unless the layout has one of the very same tar already.

    Parameters
    ----------
    layout : Layout
        Where to.
    compressed : bool
        Whether it travels as gzip; a plain tar is larger and the same on every machine.
    """
    found, unpacked = hashlib.sha256(), 0
    for piece in tar_pieces(contents):
        found.update(piece)
        unpacked += len(piece)
    diff_id = f"sha256:{found.hexdigest()}"
    if not compressed:
        if not layout.has(diff_id):
            layout.put_stream(tar_pieces(contents))
        return Layer(role, diff_id, unpacked, diff_id, unpacked, oci.LAYER)
    known = recall(layout, diff_id)
    if known is None:
        known = Known(*layout.put_stream(layers.gzip(tar_pieces(contents))))
        remember(layout, diff_id, known)
    return Layer(role, known.digest, known.size, diff_id, unpacked, oci.LAYER_GZIP)


def recall(layout: Layout, diff_id: str) -> Known | None:
    """Return what a tar was compressed to, if that is still there."""
    try:
        known = json.decode(_note(layout, diff_id).read_bytes(), Known)
    except (FileNotFoundError, Invalid):
        return None
    return known if layout.has(known.digest) else None


def remember(layout: Layout, diff_id: str, known: Known) -> None:
    """Keep what a tar was compressed to."""
    write_atomically(_note(layout, diff_id), json.canonical(known))


def _note(layout: Layout, diff_id: str) -> Path:
    return layout.folder / "compressed" / f"{diff_id.removeprefix('sha256:')}.json"
