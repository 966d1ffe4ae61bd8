"""Whether all objects of a version are in the cache, without asking for each of them every time."""

import os
import time
from array import array

from perenne.core.errors import NotFound, Unavailable
from perenne.data.versions.cache import Cache
from perenne.data.versions.repository import Repository
from perenne.data.versions.scanning import is_racy
from perenne.formats.dvc.entries import Entry


def missing_of(repository: Repository, entry: Entry) -> set[str]:
    """Return the digests of objects that an entry needs and the cache lacks, its own included.

    A folder's answer is remembered with the times of the cache's 256 directories: as long as none of them changes, all is there.
    """
    digest, cache = entry.digest, repository.cache_of(entry)
    if digest is None or not entry.cache:
        return set()
    if not digest.endswith(".dir"):
        return set() if cache.has(digest) else {digest}
    looked = time.time_ns()
    folders = times_of(cache)
    if cache.has(digest) and repository.state.present(digest) == folders.tobytes():
        return set()
    try:
        files = cache.manifest(digest)
    except (NotFound, Unavailable):
        return {digest}
    missing = cache.missing({file.md5 for file in files})
    if not missing and not any(is_racy(changed, looked) for changed in folders):
        repository.state.remember_present(digest, folders.tobytes())
    return missing


def times_of(cache: Cache) -> "array[int]":
    """Return when each of a cache's 256 directories last got or lost an object; 0 for one that is not there."""
    root = os.fspath(cache.root)
    found = array("q")
    for number in range(256):
        try:
            found.append(os.stat(f"{root}/{number:02x}").st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            found.append(0)
    return found
