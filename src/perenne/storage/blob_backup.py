"""Blobs in a backup: `artifacts/ID` beside the objects, each as it is; the archive's own check sums tell whether one is whole."""

import zipfile
from collections.abc import Callable, Iterator

from perenne.core.errors import NotFound
from perenne.core.ids import is_id
from perenne.storage.blobs import CHUNK, Blobs

FOLDER = "artifacts/"


def write_blobs(archive: zipfile.ZipFile, blobs: Blobs, on_progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Write every blob; return how many, and their bytes."""
    names, kept, total = sorted(blobs.ids()), 0, 0
    for done, identity in enumerate(names):
        on_progress(done, len(names))
        chunks = blobs.read(identity, 0, 1 << 62)
        try:
            chunk = next(chunks, b"")
        except NotFound:  # nobody's for a day, and deleted meanwhile
            continue
        with archive.open(FOLDER + identity, "w", force_zip64=True) as stream:
            while chunk:
                stream.write(chunk)
                total += len(chunk)
                chunk = next(chunks, b"")
        kept += 1
    return kept, total


def blobs_in(archive: zipfile.ZipFile) -> list[str]:
    """Return the ids of the blobs of a backup."""
    names = (name.removeprefix(FOLDER) for name in archive.namelist() if name.startswith(FOLDER))
    return sorted(name for name in names if is_id(name))


def read_blob(archive: zipfile.ZipFile, identity: str) -> Iterator[bytes]:
    """Go through the bytes of a blob. Raises `zipfile.BadZipFile` if they are not those that were written."""
    with archive.open(FOLDER + identity) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def put_blobs(archive: zipfile.ZipFile, blobs: Blobs) -> None:
    """Put the blobs of a backup where they were, under the ids that the tables know."""
    for identity in blobs_in(archive):
        with blobs.receive() as incoming:
            incoming.id = identity
            for chunk in read_blob(archive, identity):
                incoming.write([chunk])
            blobs.keep(incoming)
