"""From what DVC 2.x wrote to what 3.x writes: objects under the md5 of their bytes, entries with ``hash: md5``.

2.x hashed text as if its lines ended in LF, so an object may have another digest now. It is linked under the new one and stays
under the old one, for revisions that still name that. An entry is translated by the object it names, so what lies changed in the
workspace is not recorded on the way.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.cache import MODE
from perenne.data.versions.copying import copy_file
from perenne.data.versions.hashing import digest_of
from perenne.data.versions.legacy import legacy_digest_of
from perenne.data.versions.locking import Waiting
from perenne.data.versions.repository import Repository
from perenne.data.versions.walking import LOCK, PIPELINE
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.locks import LockedStage, read_lock, write_stage
from perenne.formats.dvc.manifests import ManifestEntry, write_manifest
from perenne.formats.dvc.metafiles import read_metafile, stage_md5, write_metafile


class Migrated(msgspec.Struct, frozen=True):
    """What became of metafiles.

    Attributes
    ----------
    files : tuple of str
        Those that were rewritten, from the present folder; ``dvc.lock`` for stages.
    left : tuple of (str, str)
        Those with an entry that stays as it is, and why.
    """

    files: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()


def migrate_cache(repository: Repository, *, dry: bool = False) -> int:
    """Bring the objects of 2.x to where 3.x keeps them, as links to the same bytes; return how many.

    Parameters
    ----------
    dry : bool
        Only count the objects of 2.x.
    """
    legacy = repository.legacy.listing()
    if dry:
        return len(legacy)
    return sum(_link(repository, digest) is not None for digest in sorted(legacy))


def _link(repository: Repository, digest: str) -> str | None:
    """Link an object under the md5 of its bytes; None if it is there already."""
    source = repository.legacy.place(digest)
    new = digest_of(source).hex() + (".dir" if digest.endswith(".dir") else "")
    if repository.cache.has(new):
        return None
    folder = repository.cache.begin()
    try:
        made = f"{folder}/object"
        try:
            os.link(source, made)
        except OSError:  # another disk, or one without links
            copy_file(source, made, MODE)
        os.chmod(made, MODE)
        repository.cache.take(made, new)
    finally:
        repository.cache.end(folder)
    return new


def legacy_files(repository: Repository) -> list[Path]:
    """Return the metafiles that have an entry of 2.x, ``dvc.lock`` among them."""
    found = {output.file for output in repository.outputs() if output.entry.is_legacy and output.entry.digest}
    return sorted(file.with_name(LOCK) if file.name == PIPELINE else file for file in found)


def migrate_metafiles(repository: Repository, *, waiting: Waiting | None = None) -> Migrated:
    """Write the entries of 2.x as 3.x does; `migrate_cache` comes first.

    A file with an entry whose objects are missing stays as it is.
    """
    files, left = [], []
    with repository.lock(waiting):
        for file in legacy_files(repository):
            shown = repository.shown(file)
            try:
                rewrite = _rewritten_lock if file.name == LOCK else _rewritten
                if replace(file, rewrite(repository, file), repository.temporary):
                    files.append(shown)
            except PerenneError as error:
                left.append((shown, error.message))
    repository.forget()
    return Migrated(tuple(files), tuple(left))


def _rewritten(repository: Repository, file: Path) -> bytes:
    old = file.read_bytes()
    meta = read_metafile(old, repository.shown(file))
    place = _places(file.parent / (meta.wdir or "."))
    outs = tuple(_translated(repository, entry, place) for entry in meta.outs)
    deps = meta.deps if meta.is_import else tuple(_translated(repository, entry, place) for entry in meta.deps)
    new = msgspec.structs.replace(meta, outs=outs, deps=deps)
    return write_metafile(msgspec.structs.replace(new, md5=stage_md5(new)) if deps else new, old)


def _rewritten_lock(repository: Repository, file: Path) -> bytes:
    data = file.read_bytes()
    place = _places(file.parent)
    for name, stage in read_lock(data, repository.shown(file)).stages.items():
        data = write_stage(data, name, _translated_stage(repository, stage, place))
    return data


def _translated_stage(repository: Repository, stage: LockedStage, place: Callable[[Entry], str]) -> LockedStage:
    def entries(given: Iterable[Entry]) -> tuple[Entry, ...]:
        return tuple(_translated(repository, entry, place) for entry in given)

    return msgspec.structs.replace(stage, deps=entries(stage.deps), outs=entries(stage.outs))


def _places(folder: Path) -> Callable[[Entry], str]:
    return lambda entry: os.path.normpath(folder / entry.path)


def _translated(repository: Repository, entry: Entry, place: Callable[[Entry], str]) -> Entry:
    """Return an entry of 2.x as one of 3.x, another as it is.

    Raises
    ------
    NotFound
        Neither the cache nor the workspace has the bytes that it names.
    """
    if not entry.is_legacy or entry.digest is None:
        return entry
    if not entry.is_dir:
        return msgspec.structs.replace(entry, algorithm="md5", digest=_new_digest(repository, entry.digest, place(entry)))
    files = [
        ManifestEntry(file.relpath, _new_digest(repository, file.md5, f"{place(entry)}/{file.relpath}"))
        for file in repository.legacy.manifest(entry.digest)
    ]
    return msgspec.structs.replace(entry, algorithm="md5", digest=repository.cache.add_bytes(write_manifest(files), ".dir"))


def _new_digest(repository: Repository, digest: str, place: str) -> str:
    """Return the md5 of the bytes that 2.x gave a digest."""
    if repository.legacy.has(digest):
        return digest_of(repository.legacy.place(digest)).hex()
    if os.path.isfile(place) and legacy_digest_of(place).hex() == digest:
        return digest_of(place).hex()
    raise NotFound(
        f"the object {digest} of DVC 2.x is neither in the cache nor in the workspace",
        code="data.no_object",
        hint="fetch it first: `perenne data fetch`",
    )
