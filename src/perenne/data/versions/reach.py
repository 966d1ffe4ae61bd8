"""Which objects outputs need: their own, and for folders those of every file."""

from collections.abc import Iterable

from perenne.core.errors import NotFound, Unavailable
from perenne.data.versions.repository import Repository
from perenne.formats.dvc.entries import Entry


def objects_of(repository: Repository, entries: Iterable[Entry], *, unknown: set[str] | None = None) -> set[str]:
    """Return the digests of all objects that entries need.

    Parameters
    ----------
    repository : Repository
        Whose cache has the manifests of folders.
    entries : iterable of Entry
        What is wanted; entries without a digest, or with one that is no md5, need nothing.
    unknown : set of str, optional
        Takes the digests of manifests that are not here, or are damaged, so that their files are not known; without it that is
        an error.

    Raises
    ------
    NotFound, Unavailable
        A manifest is missing, or damaged, and `unknown` was not given.
    """
    found: set[str] = set()
    for entry in entries:
        if entry.files is not None:
            found.update(file.md5 for file in entry.files if file.md5)
        if entry.digest is None or entry.algorithm not in ("md5", "md5-dos2unix"):
            continue
        found.add(entry.digest)
        if entry.digest.endswith(".dir"):
            found |= _files_of(repository, entry, unknown)
    return found


def _files_of(repository: Repository, entry: Entry, unknown: set[str] | None) -> set[str]:
    assert entry.digest is not None
    try:
        return {file.md5 for file in repository.cache_of(entry).manifest(entry.digest)}
    except (NotFound, Unavailable):
        if unknown is None:
            raise
        unknown.add(entry.digest)
        return set()
