"""What a URL has now: what names its version there, and, if it is taken, its objects in the cache."""

import json
import os
from hashlib import md5
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.data.versions.getting import take
from perenne.data.versions.hashing import Storer
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.remotes.options import switch
from perenne.data.versions.remotes.port import Found
from perenne.data.versions.remotes.transfer import Hear
from perenne.data.versions.repository import Repository
from perenne.data.versions.urls import Place, files_at, open_at
from perenne.formats.dvc.entries import CloudFile, Entry
from perenne.formats.dvc.manifests import ManifestEntry, write_manifest

_ETAGS = ("s3", "gs", "azure")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a URL.

    Attributes
    ----------
    dep : Entry
        What is written down of it: its version there.
    digest, size, nfiles
        The version that was taken into the cache; None if it was not taken.
    is_same : bool
        Whether it is what it was before, and nothing was taken.
    is_kept : bool
        Whether the source keeps every version, so that no remote need have it.
    """

    dep: Entry
    digest: str | None = None
    size: int | None = None
    nfiles: int | None = None
    is_same: bool = False
    is_kept: bool = False


def look_at(
    repository: Repository,
    dep: Entry,
    folder: str,
    *,
    take: bool,
    unless: Entry | None = None,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> Seen:
    """Find out what a URL has.

    Parameters
    ----------
    repository : Repository
        Whose settings hold, and whose cache takes it.
    dep : Entry
        Its path is the URL; its `fs_config` has keys of a remote.
    folder : str
        What a relative path is meant from.
    take : bool
        Whether it is brought into the cache.
    unless : Entry, optional
        What it was before: if it is the same, nothing is taken.

    Raises
    ------
    NotFound
        There is nothing.
    Invalid
        A web server does not say which version it has.
    """
    keys = {key: str(value) for key, value in (dep.fs_config or {}).items()}
    place = open_at(dep.path, repository.config, keys, ask=ask, base=folder)
    try:
        if place.kind in _ETAGS or place.kind == "http":
            one, inside = files_at(place, dep.path)
            seen = _by_etag(place, dep, one, inside)
            if unless is not None and _version(unless) == _version(seen):
                return Seen(dep=unless, is_same=True)
            if not take:
                return Seen(dep=seen)
            taken = _take(repository, place, dep.path, jobs, hear)
            return msgspec.structs.replace(taken, dep=seen, is_kept=_keeps(place))
        taken = _take(repository, place, dep.path, jobs, hear, keep=take)
        seen = _fresh(dep, digest=taken.digest, algorithm="md5", size=taken.size, nfiles=taken.nfiles)
        if unless is not None and _version(unless) == _version(seen):
            return Seen(dep=unless, is_same=True)
        return msgspec.structs.replace(taken, dep=seen) if take else Seen(dep=seen)
    finally:
        place.remote.close()


def _version(entry: Entry) -> tuple[Any, ...]:
    return entry.digest, entry.version_id, entry.files


def _keeps(place: Place) -> bool:
    return switch(place.keys.get("version_aware", "false"))


def _by_etag(place: Place, dep: Entry, one: Found | None, inside: dict[str, Found]) -> Entry:
    keeps = _keeps(place)
    if one is not None:
        if one.etag is None:
            hint = "`get-url` takes it all the same, and `add` tracks it"
            raise Invalid(f"{dep.path}: the server gives no ETag, so its version has no name", code="data.no_etag", hint=hint)
        algorithm = "checksum" if place.kind == "http" else "etag"
        version = one.version if keeps else None
        return _fresh(dep, digest=one.etag, algorithm=algorithm, size=one.size, version_id=version)
    size, etags = sum(file.size or 0 for file in inside.values()), {name: inside[name].etag for name in sorted(inside)}
    if keeps:
        files = [
            CloudFile(relpath=name, etag=file.etag, size=file.size, version_id=file.version or _version_of(place, file))
            for name, file in sorted(inside.items())
        ]
        return _fresh(dep, files=tuple(files), size=size, nfiles=len(files))
    listed = json.dumps([{"etag": etag, "relpath": name} for name, etag in etags.items()], sort_keys=True)
    digest = md5(listed.encode(), usedforsecurity=False).hexdigest() + ".dir"
    return _fresh(dep, digest=digest, algorithm="md5", size=size, nfiles=len(inside))


def _version_of(place: Place, file: Found) -> str | None:
    """Ask for a file's version: a listing does not tell it."""
    found = place.remote.about(file.path)
    return None if found is None else found.version


def _fresh(dep: Entry, **state: Any) -> Entry:
    """Return the dependency with another state, and nothing of the old one."""
    return Entry(path=dep.path, fs_config=dep.fs_config, extra=dep.extra, **state)


def _take(repository: Repository, place: Place, shown: str, jobs: int | None, hear: Hear | None, *, keep: bool = True) -> Seen:
    """Download what lies at a place, into the cache if it is kept; return its version."""
    repository.temporary.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="import-", dir=repository.temporary) as room:
        made = f"{room}/made"
        files = take(place, shown, made, jobs=jobs, hear=hear)
        sizes = [os.path.getsize(f"{made}/{name}" if name else made) for name in files]
        if keep:
            with Storer(repository.cache) as storer:
                digests = {name: storer.store(f"{made}/{name}" if name else made).hex() for name in files}
        else:
            digests = {name: found for name, (_, found) in files.items()}
    dep = Entry(path=shown)
    if "" in digests:
        return Seen(dep=dep, digest=digests[""], size=sizes[0])
    manifest = write_manifest(ManifestEntry(name, digest) for name, digest in digests.items())
    digest = md5(manifest, usedforsecurity=False).hexdigest() + ".dir"
    if keep:
        repository.cache.add_bytes(manifest, ".dir")
    return Seen(dep=dep, digest=digest, size=sum(sizes), nfiles=len(digests))
