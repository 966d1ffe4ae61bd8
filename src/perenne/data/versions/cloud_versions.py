"""Remotes that keep objects under their own names and remember versions of them: brought by version, and sent."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.cache import MODE, Cache
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.transfer import Hear, Progress, wrong_bytes
from perenne.data.versions.remotes.workers import Crew
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import Repository
from perenne.data.versions.targets import Target
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import CloudFile, Entry
from perenne.formats.dvc.manifests import ManifestEntry, write_manifest
from perenne.formats.dvc.metafiles import read_metafile, write_metafile


class _Object(msgspec.Struct, frozen=True):
    """An object under its own name: where it lies in the remote, its md5, and what the remote calls its version."""

    path: str
    md5: str
    version: str | None


def fetch_versions(
    repository: Repository,
    targets: Iterable[Target],
    report: Report,
    *,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> None:
    """Bring objects by the version that the metafile names, and make the manifests of directories, which no remote has."""
    wanted: dict[str, list[_Object]] = {}
    for target in targets:
        entry = target.output.entry
        if entry.files is not None and all(file.md5 for file in entry.files):
            manifest = [ManifestEntry(file.relpath, file.md5 or "") for file in entry.files]
            repository.cache.add_bytes(write_manifest(manifest), ".dir")
        for name, one in _objects(repository, target):
            if not repository.cache.has(one.md5):
                wanted.setdefault(name, []).append(one)
    for name, objects in wanted.items():
        named = open_named(repository.config, name, ask=ask)
        try:
            _bring(repository.cache, named, objects, report, jobs or named.jobs, hear)
        except PerenneError as error:
            report.fail(error)
        finally:
            named.remote.close()


def _objects(repository: Repository, target: Target) -> Iterator[tuple[str, _Object]]:
    entry, place = target.output.entry, repository.relative(target.output.path)
    if entry.files is None:
        for name, said in (entry.cloud or {}).items():
            if entry.digest:
                yield name, _Object(place, entry.digest, _version(said))
                return
    for file in entry.files or ():
        if target.inner and file.relpath != target.inner and not file.relpath.startswith(f"{target.inner}/"):
            continue
        for name, said in (file.cloud or {}).items():
            if file.md5:
                yield name, _Object(f"{place}/{file.relpath}", file.md5, _version(said))
                break


def _version(said: dict[str, Any]) -> str | None:
    version = said.get("version_id")
    return None if version is None else str(version)


def _bring(cache: Cache, named: Named, objects: list[_Object], report: Report, jobs: int, hear: Hear | None) -> None:
    done: list[str] = []

    def bring(one: _Object) -> None:
        temporary = f"{cache.make_folder(one.md5[:2])}/.tmp-{os.getpid()}-{id(one):x}"
        try:
            found = named.remote.get(one.path, temporary, one.version)
            if found != one.md5:
                raise wrong_bytes(named.remote.shown, found)
            report.bytes += os.stat(temporary).st_size
            os.chmod(temporary, MODE)
            os.rename(temporary, cache.place(one.md5))
            done.append(one.md5)
        except PerenneError as error:
            if not isinstance(error, NotFound) and error.code != "data.remote_damaged":
                raise
            report.miss(one.md5, one.path, error.code, error.message)
        finally:
            Path(temporary).unlink(missing_ok=True)
        if hear is not None:
            hear(Progress("bring", len(done), len(objects), report.bytes))

    try:
        Crew(jobs, bring).run({one.md5: one for one in objects}.values())
    finally:
        report.moved += len(done)


def push_versions(
    repository: Repository, named: Named, targets: Iterable[Target], report: Report, *, hear: Hear | None = None
) -> None:
    """Send objects under their own names, and write down which versions they became.

    Nothing is removed there: what a file was before stays as an older version of it.
    """
    for target in targets:
        if target.output.stage is not None:
            report.miss(
                target.output.entry.digest or "",
                repository.relative(target.output.path),
                "data.stage_output",
                "outputs of stages do not go to a remote that keeps versions; `remote:` at the output names another",
            )
            continue
        try:
            entry = _sent(repository, named, target, report, hear)
        except PerenneError as error:
            report.fail(error)
            return
        if entry is not None:
            _write(repository, target, entry, report)


def _sent(repository: Repository, named: Named, target: Target, report: Report, hear: Hear | None) -> Entry | None:
    """Send what is new of an output, and return the entry that says where it is; None if nothing was new."""
    entry, place = target.output.entry, repository.relative(target.output.path)
    assert entry.digest is not None
    if not entry.is_dir:
        if named.name in (entry.cloud or {}):
            return None
        said = _send(repository, named, entry.digest, place, report)
        return msgspec.structs.replace(entry, cloud={**(entry.cloud or {}), named.name: said})
    known = {file.relpath: file for file in entry.files or ()}
    manifest = repository.cache.manifest(entry.digest) if repository.cache.has(entry.digest) else ()
    files, new = [], 0
    for number, one in enumerate(manifest, 1):
        old = known.get(one.relpath)
        if old is not None and old.md5 == one.md5 and named.name in (old.cloud or {}):
            files.append(old)
            continue
        said = _send(repository, named, one.md5, f"{place}/{one.relpath}", report)
        size = os.path.getsize(repository.cache.place(one.md5))
        cloud = {**((old.cloud or {}) if old is not None and old.md5 == one.md5 else {}), named.name: said}
        files.append(CloudFile(relpath=one.relpath, md5=one.md5, size=size, cloud=cloud))
        new += 1
        if hear is not None:
            hear(Progress("send", number, len(manifest), report.bytes))
    return msgspec.structs.replace(entry, files=tuple(files), cloud=None) if new else None


def _send(repository: Repository, named: Named, digest: str, path: str, report: Report) -> dict[str, Any]:
    """Send an object, unless its path holds these bytes already, and return what the remote calls the version."""
    found = named.remote.about(path)
    if found is None or found.etag != digest:
        try:
            found = named.remote.put(repository.cache.place(digest), path, digest)
        except FileNotFoundError:
            raise NotFound(
                f"{path} is not in the cache", code="data.object_missing", hint="`perenne data fetch` brings it"
            ) from None
        named.remote.settle()
        report.moved += 1
        report.bytes += found.size or 0
    said: dict[str, Any] = {}
    if found.etag:
        said["etag"] = found.etag
    if found.version:
        said["version_id"] = found.version
    return said


def _write(repository: Repository, target: Target, entry: Entry, report: Report) -> None:
    file = target.output.file
    with repository.lock():
        old = file.read_bytes()
        meta = read_metafile(old, repository.shown(file))
        outs = list(meta.outs)
        outs[target.output.index] = entry
        if replace(file, write_metafile(msgspec.structs.replace(meta, outs=tuple(outs)), old), repository.temporary):
            report.changed.append(repository.shown(file))
