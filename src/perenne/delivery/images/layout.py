"""Images on the disk: an OCI layout, in which each blob is there once, whole and under its digest; and its single-file form."""

import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from perenne.core.errors import Invalid, NotFound
from perenne.core.paths import confined
from perenne.formats import layers, oci
from perenne.storage.files import sync_folder, temporary_file, write_atomically

_PIECE = 1 << 20


class Layout:
    """An OCI layout in a folder.

    Parameters
    ----------
    folder : Path
        Where; made with the first blob.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def blob(self, digest: str) -> Path:
        """Return where a blob lies, or would lie."""
        if not oci.is_digest(digest):
            raise Invalid(f"{digest[:80]!r} is not a digest", code="oci.digest", hint="sha256: and 64 hexadecimal digits")
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Tell whether a blob is there."""
        return self.blob(digest).is_file()

    def put(self, data: bytes) -> str:
        """Keep a small blob and return its digest."""
        digest = oci.digest_of(data)
        if not self.has(digest):
            _write(self.blob(digest), data)
        return digest

    def put_stream(self, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Keep a blob that comes in pieces; return its digest and size."""
        folder = self.folder / "blobs" / "sha256"
        with temporary_file(folder) as beside:
            found, size = hashlib.sha256(), 0
            with beside.open("wb") as stream:
                for piece in pieces:
                    found.update(piece)
                    size += stream.write(piece)
            digest = f"sha256:{found.hexdigest()}"
            beside.chmod(0o644)
            beside.replace(self.blob(digest))
        sync_folder(folder)
        return digest, size

    def get(self, digest: str) -> bytes:
        """Read a small blob, checked. Raises NotFound, or Invalid if it is damaged."""
        path = self.blob(digest)
        if not path.is_file():
            raise NotFound(f"the layout has no blob {digest[:19]}…", code="oci.blob", hint="it was not copied as a whole")
        with path.open("rb") as stream:
            data = stream.read(oci.MAX_DOCUMENT + 1)
        if oci.digest_of(data) != digest:
            raise Invalid(f"the blob {digest[:19]}… is damaged", code="oci.damaged", hint="copy the image again")
        return data

    def index(self) -> oci.Index:
        """Read what the layout holds; nothing if it is new."""
        path = self.folder / oci.INDEX_FILE
        if not path.is_file():
            return oci.Index(schema_version=2, media_type=oci.INDEX, manifests=())
        return oci.read(path.read_bytes(), oci.Index, oci.INDEX_FILE)

    def name(self, found: oci.Descriptor, tag: str) -> None:
        """Put an image into the table of contents under a name, which it takes from another one."""
        kept = [one for one in self.index().manifests if one.annotations.get(oci.REF_NAME) != tag]
        named = msgspec.structs.replace(found, annotations={oci.REF_NAME: tag}, platform=None)
        self._write_index([*kept, named])

    def refer(self, found: oci.Descriptor) -> None:
        """Put what refers to an image into the table of contents, where tools look for referrers; it has no name."""
        kept = [one for one in self.index().manifests if one.digest != found.digest]
        self._write_index([*kept, found])

    def _write_index(self, manifests: list[oci.Descriptor]) -> None:
        ordered = sorted(manifests, key=lambda one: (one.annotations.get(oci.REF_NAME, ""), one.digest))
        data = oci.write(oci.Index(schema_version=2, media_type=oci.INDEX, manifests=tuple(ordered)))
        _write(self.folder / oci.LAYOUT_FILE, oci.LAYOUT)
        _write(self.folder / oci.INDEX_FILE, data)

    def find(self, tag: str = "") -> oci.Descriptor:
        """Return the image of a name, or the only one. Raises NotFound."""
        named = [one for one in self.index().manifests if not one.artifact_type]
        chosen = [one for one in named if not tag or one.annotations.get(oci.REF_NAME) == tag]
        if len({one.digest for one in chosen}) != 1:
            known = ", ".join(sorted(one.annotations.get(oci.REF_NAME, "?") for one in named)) or "none"
            raise NotFound(
                f"{self.folder.name} has no image {tag!r}" if tag else f"{self.folder.name} has not exactly one image",
                code="oci.image",
                hint=f"it has: {known}",
            )
        return chosen[0]


def _write(path: Path, data: bytes) -> None:
    """Write a file that everybody may read, as tools expect of a layout."""
    write_atomically(path, data)
    path.chmod(0o644)


def copy_blobs(source: Layout, target: Layout, digests: Iterable[str]) -> None:
    """Copy blobs that are not there yet."""
    for digest in digests:
        if target.has(digest):
            continue
        with source.blob(digest).open("rb") as stream:
            found, _ = target.put_stream(iter(lambda: stream.read(_PIECE), b""))
        if found != digest:
            raise Invalid(f"the blob {digest[:19]}… is damaged", code="oci.damaged", hint="make the image again")


def manifests_of(layout: Layout, found: oci.Descriptor) -> list[tuple[oci.Descriptor, oci.Manifest]]:
    """Return the manifests of an image: one, or one for each platform of an index."""
    data = layout.get(found.digest)
    if found.media_type not in (oci.INDEX, oci.DOCKER_INDEX):
        return [(found, oci.read(data, oci.Manifest, "manifest"))]
    index = oci.read(data, oci.Index, "index")
    return [(one, oci.read(layout.get(one.digest), oci.Manifest, "manifest")) for one in index.manifests]


def blobs_of(layout: Layout, found: oci.Descriptor) -> list[str]:
    """Return the digests of all blobs of an image: those first that others point to."""
    digests: list[str] = []
    for descriptor, manifest in manifests_of(layout, found):
        digests += [layer.digest for layer in manifest.layers] + [manifest.config.digest, descriptor.digest]
    return list(dict.fromkeys([*digests, found.digest]))


def referrers_of(layout: Layout, found: oci.Descriptor) -> list[tuple[oci.Descriptor, oci.Manifest]]:
    """Return what refers to an image, or to one of its platforms."""
    subjects = {found.digest, *(one.digest for one, _ in manifests_of(layout, found))}
    known = [one for one in layout.index().manifests if one.artifact_type]
    read = [(one, oci.read(layout.get(one.digest), oci.Manifest, "manifest")) for one in known]
    return [(one, manifest) for one, manifest in read if manifest.subject is not None and manifest.subject.digest in subjects]


def copy_image(source: Layout, found: oci.Descriptor, target: Layout, tag: str, *, alone: bool = False) -> None:
    """Copy an image from one layout to another, with what refers to it unless it is to be alone there."""
    copy_blobs(source, target, blobs_of(source, found))
    target.name(found, tag)
    for descriptor, manifest in () if alone else referrers_of(source, found):
        copy_blobs(source, target, [layer.digest for layer in manifest.layers] + [manifest.config.digest, descriptor.digest])
        target.refer(descriptor)


def write_archive(layout: Layout, path: Path) -> None:
    """Write a layout as one tar, the same bytes for the same images."""
    files = sorted(item for item in layout.folder.rglob("*") if item.is_file())
    entries = [layers.Entry(item.relative_to(layout.folder).as_posix(), item.stat().st_size) for item in files]
    with temporary_file(path.parent) as beside:
        with beside.open("wb") as stream:
            for entry in layers.with_folders(entries):
                stream.write(layers.header(entry))
                if not entry.folder:
                    with (layout.folder / entry.path).open("rb") as source:
                        shutil.copyfileobj(source, stream, _PIECE)
                    stream.write(layers.padding(entry.size))
            stream.write(layers.END)
        beside.chmod(0o644)
        beside.replace(path)


def read_archive(path: Path, folder: Path) -> Layout:
    """Unpack a layout that is one tar: plain files below its root, nothing else.

    Raises
    ------
    Invalid
        If it is none.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    _unpack(archive, member, folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Invalid(
            f"{path.name} cannot be read: {type(error).__name__}", code="oci.archive", hint="give an OCI archive, or a root tar"
        ) from None
    layout = Layout(folder)
    for blob in (folder / "blobs" / "sha256").glob("*"):
        if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
            raise Invalid(f"{path.name} holds a damaged blob", code="oci.damaged", hint="copy the archive again")
    return layout


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = confined(folder, member.name.removeprefix("./"))
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is not None:
        with source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, _PIECE)


Hear = Callable[[str], None]
"""Hears, in a few words, what is being done."""
