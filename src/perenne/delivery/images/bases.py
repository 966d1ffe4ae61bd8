"""The runtime an image stands on: this machine's Python, a root file system, or an image that somebody else made, pinned.

Whatever it is, it is looked through once: where its Python is, which one, for which machine, and which packages it is made of.
"""

import io
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from perenne.core.errors import Invalid, NotFound
from perenne.delivery.images import host, libraries
from perenne.delivery.images.layering import Known, from_folder, recall, remember, write_layer
from perenne.delivery.images.layout import Hear, Layout, copy_blobs, manifests_of, read_archive
from perenne.delivery.images.model import Component, Layer, LayerRole
from perenne.formats import layers, oci
from perenne.formats.oci import Platform

HOST = "host"
"""How the runtime made of this machine's Python is called."""

Pull = Callable[[oci.Reference, Layout, Hear], oci.Descriptor]

_OF_THE_ENGINE = frozenset({"dev", "proc", "sys"})
"""Folders of a root file system that a container engine fills."""

_PIECE = 1 << 20
_PYTHON = re.compile(r"(?:\./)?((?:usr/)?(?:local/)?bin/python(3\.\d+))")
_PREFERRED = ("usr/local/bin/", "usr/bin/", "bin/")
_STATUS = re.compile(r"(?:\./)?var/lib/dpkg/status(?:\.d/[^/]+)?")
_MOST_STATUS = 32 << 20
_ELF = {0x3E: "amd64", 0xB7: "arm64"}


class Base(NamedTuple):
    """A runtime, in the layout of the images.

    Attributes
    ----------
    name, digest : str
        How it was named, and what it was pinned to.
    platform : Platform
        What it runs on.
    layers : tuple of Layer
        Lowest first.
    environment : tuple of str
        What it sets.
    python, program : str
        The version of its Python, such as `3.11`, and where that is.
    components : tuple of Component
        What it is made of.
    """

    name: str
    digest: str
    platform: Platform
    layers: tuple[Layer, ...]
    environment: tuple[str, ...]
    python: str
    program: str
    components: tuple[Component, ...]


def resolve(layout: Layout, name: str, pull: Pull, hear: Hear, *, compressed: bool = True) -> list[Base]:
    """Bring a runtime into a layout; one for each platform that it has.

    Parameters
    ----------
    layout : Layout
        Where to.
    name : str
        `host`; a folder or a tar with a root file system; a folder or a tar with an OCI layout; or an image in a registry.
    pull : callable
        Brings an image from a registry.
    hear : callable
        Hears what is being done.

    Raises
    ------
    NotFound
        If there is nothing of that name.
    Invalid
        If it is none of these, or has no Python.
    """
    path = Path(name)
    if name == HOST:
        return [_of_host(layout, hear, compressed)]
    if path.is_dir() and (path / oci.LAYOUT_FILE).is_file():
        source = Layout(path)
        return _of_image(layout, source, source.find(), name)
    if path.is_dir():
        hear(f"packing {path.name}")
        layer = write_layer(layout, LayerRole.RUNTIME, from_folder(path, leave_out=_OF_THE_ENGINE), compressed=compressed)
        return [_of_root(layout, name, layer)]
    if path.is_file():
        return _of_file(layout, path, hear)
    if path.is_absolute() or name.startswith("."):
        raise NotFound(f"there is no {path.name}", code="image.base_not_found", hint="is the path right?")
    found = pull(oci.parse_reference(name), layout, hear)
    return _of_image(layout, layout, found, name)


def _of_host(layout: Layout, hear: Hear, compressed: bool) -> Base:
    hear("packing this machine's Python")
    made = host.runtime()
    layer = write_layer(layout, LayerRole.RUNTIME, made.contents, compressed=compressed)
    here = libraries.here()
    return Base(
        HOST, layer.diff_id, Platform("linux", here.machine), (layer,), (), here.python, f"/{host.PYTHON}", tuple(made.components)
    )


def _of_file(layout: Layout, path: Path, hear: Hear) -> list[Base]:
    hear(f"reading {path.name}")
    if _is_archive(path):
        with tempfile.TemporaryDirectory(prefix="perenne-base-") as folder:
            source = read_archive(path, Path(folder))
            return _of_image(layout, source, source.find(), str(path))
    return [_of_root(layout, str(path), _packed(layout, path))]


def _is_archive(path: Path) -> bool:
    try:
        with tarfile.open(path) as archive:
            return any(member.name.removeprefix("./") == oci.LAYOUT_FILE for member in archive)
    except (tarfile.TarError, OSError, EOFError):
        raise Invalid(f"{path.name} is no tar", code="oci.archive", hint="give an OCI archive, or a root tar") from None


def _packed(layout: Layout, path: Path) -> Layer:
    """Take a root tar as it is, whether compressed or not."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    diff_id, unpacked = _digest(_tar_of(path))
    if packed:
        digest, size = layout.put_stream(_pieces(path))
    else:
        known = recall(layout, diff_id) or Known(*layout.put_stream(layers.gzip(_pieces(path))))
        remember(layout, diff_id, known)
        digest, size = known.digest, known.size
    return Layer(LayerRole.RUNTIME, digest, size, diff_id, unpacked, oci.LAYER_GZIP)


def _of_root(layout: Layout, name: str, layer: Layer) -> Base:
    found = look_through(layout, [layer])
    if not found.machine:
        raise Invalid(f"{name} is for no machine that is known", code="image.base", hint="amd64 and arm64 are known")
    return Base(
        name, layer.diff_id, Platform("linux", found.machine), (layer,), (), found.python, found.program, tuple(found.components)
    )


def _of_image(layout: Layout, source: Layout, found: oci.Descriptor, name: str) -> list[Base]:
    bases = []
    for descriptor, manifest in manifests_of(source, found):
        config = oci.read(source.get(manifest.config.digest), oci.Config, "configuration")
        if config.os != "linux":
            continue
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            raise Invalid(f"{name} has other layers than it says", code="image.base", hint="copy the image again")
        copy_blobs(source, layout, [layer.digest for layer in manifest.layers])
        below = tuple(
            Layer(LayerRole.RUNTIME, layer.digest, layer.size, diff_id, 0, _media_type(layer.media_type))
            for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
        )
        seen = look_through(layout, below)
        bases.append(
            Base(
                name,
                descriptor.digest,
                config.platform,
                below,
                config.config.env,
                seen.python,
                seen.program,
                tuple(seen.components),
            )
        )
    if not bases:
        raise Invalid(f"{name} has no image for Linux", code="image.base", hint="name another base")
    return bases


def _media_type(known: str) -> str:
    """Return how OCI calls a layer that Docker calls otherwise."""
    return oci.LAYER_GZIP if known == oci.DOCKER_LAYER else known


class Seen(msgspec.Struct):
    """What was found in a root file system."""

    python: str = ""
    program: str = ""
    machine: str = ""
    components: list[Component] = []


def look_through(layout: Layout, below: "tuple[Layer, ...] | list[Layer]") -> Seen:
    """Look for a Python, and for the packages of Debian, in some layers.

    Raises
    ------
    Invalid
        If there is no Python 3, or a layer cannot be read.
    """
    programs: dict[str, tuple[str, str]] = {}
    packages: dict[str, list[Component]] = {}
    for layer in below:
        try:
            _look(layout.blob(layer.digest), programs, packages)
        except (tarfile.TarError, OSError, EOFError):
            raise Invalid(
                f"the layer {layer.digest[:19]}… of the base cannot be read", code="image.base", hint="tar, or tar with gzip"
            ) from None
    places = [f"{folder}python{version}" for folder in _PREFERRED for version in _newest_first(programs)]
    chosen = next((place for place in places if place in programs), None)
    if chosen is None:
        raise Invalid(
            "the base has no Python 3", code="image.python", hint="name a base with `python3` in /usr/bin or /usr/local/bin"
        )
    version, machine = programs[chosen]
    components = [one for _, found in sorted(packages.items()) for one in found]
    if not any(one.name.startswith("python3") for one in components):
        components.insert(0, Component("python", version, "generic", "PSF-2.0"))
    return Seen(version, f"/{chosen}", machine, components)


def _newest_first(programs: dict[str, tuple[str, str]]) -> list[str]:
    return sorted({version for version, _ in programs.values()}, key=lambda text: int(text.partition(".")[2]), reverse=True)


def _look(path: Path, programs: dict[str, tuple[str, str]], packages: dict[str, list[Component]]) -> None:
    with tarfile.open(path, mode="r|*") as archive:
        for member in archive:
            if (match := _PYTHON.fullmatch(member.name)) and member.isfile():
                programs[match[1]] = (match[2], _machine(archive, member))
            elif _STATUS.fullmatch(member.name) and member.isfile() and member.size < _MOST_STATUS:
                stream = archive.extractfile(member)
                packages[member.name] = read_status(stream.read().decode("utf-8", "replace")) if stream else []


def _machine(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    head = stream.read(20) if stream else b""
    return _ELF.get(int.from_bytes(head[18:20], "little"), "") if head[:4] == b"\x7fELF" else ""


def read_status(text: str) -> list[Component]:
    """Read which packages Debian's database says are installed.

    >>> read_status("Package: libc6\\nStatus: install ok installed\\nVersion: 2.36-9\\n\\n")
    [Component(name='libc6', version='2.36-9', kind='deb', licence='', digest='')]
    """
    found = []
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.+)$", block, re.MULTILINE))
        if {"Package", "Version"} <= fields.keys() and "deinstall" not in fields.get("Status", ""):
            found.append(Component(fields["Package"], fields["Version"], "deb"))
    return found


def _digest(pieces: Iterator[bytes]) -> tuple[str, int]:
    import hashlib

    found, size = hashlib.sha256(), 0
    for piece in pieces:
        found.update(piece)
        size += len(piece)
    return f"sha256:{found.hexdigest()}", size


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _tar_of(path: Path) -> Iterator[bytes]:
    """Read the tar in a file, which may be compressed."""
    import gzip

    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            while piece := stream.read(_PIECE):
                yield piece
        except (OSError, EOFError):
            raise Invalid(f"{path.name} is damaged", code="oci.archive", hint="copy it again") from None


def require_python(base: Base, python: str) -> None:
    """Refuse a runtime whose Python is another one than the libraries are made for.

    Raises
    ------
    Invalid
        With both versions.
    """
    if base.python != python:
        raise Invalid(
            f"{base.name} has Python {base.python}, the libraries are for {python}",
            code="image.python",
            hint="name a base with the same Python, or wheels for that one with --wheels",
        )
