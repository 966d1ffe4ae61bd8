"""Data in the workspace and in the cache, as stages need it: looked at, kept, put back, taken away.

What is looked at is hashed once while it stays the same, by the state of `data.versions`.
"""

import hashlib
import os
import shutil
import stat
from pathlib import Path

import msgspec

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.manifests import ManifestEntry, manifest_digest, write_manifest


class Seen(msgspec.Struct, frozen=True):
    """What lies at a path: its hash, its bytes, the number of files of a folder, whether it may be executed."""

    digest: str
    size: int
    nfiles: int | None = None
    isexec: bool = False

    def entry(self, path: str) -> Entry:
        """Return it as an entry of dvc.lock."""
        return Entry(path=path, digest=self.digest, size=self.size, nfiles=self.nfiles, isexec=self.isexec)


class Files:
    def __init__(self, repository: data.versions.Repository) -> None:
        self.repository = repository

    def look(self, place: str, recorded: Entry | None = None) -> Seen | None:
        if os.path.isdir(place):
            entries, size = [], 0
            for base, dirs, names in os.walk(place, followlinks=True):
                dirs.sort()
                for name in names:
                    path = os.path.join(base, name)
                    entries.append(ManifestEntry(os.path.relpath(path, place), self._md5(path)))
                    size += os.stat(path).st_size
            data = write_manifest(entries)
            return Seen(manifest_digest(data), size, len(entries))
        try:
            found = os.stat(place)
        except FileNotFoundError:
            return None
        return Seen(self._md5(place), found.st_size, None, bool(found.st_mode & stat.S_IXUSR))

    def _md5(self, path: str) -> str:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()

    def cached(self, entry: Entry) -> bool:
        cache = self.repository.cache_of(entry)
        if not entry.digest or not cache.has(entry.digest):
            return False
        return not entry.is_dir or not cache.missing(file.md5 for file in cache.manifest(entry.digest))

    def keep(self, place: str, *, link: bool = True) -> Seen:
        seen = self.look(place)
        if seen is None:
            raise NotFound(f"output '{os.path.relpath(place)}' does not exist", code="dvc.output_missing")
        if seen.nfiles is None:
            self.repository.cache.add_bytes(Path(place).read_bytes())
        else:
            entries = []
            for base, dirs, names in os.walk(place, followlinks=True):
                for name in names:
                    path = os.path.join(base, name)
                    entries.append(
                        ManifestEntry(os.path.relpath(path, place), self.repository.cache.add_bytes(Path(path).read_bytes()))
                    )
            self.repository.cache.add_bytes(write_manifest(entries), ".dir")
        return seen

    def restore(self, place: str, entry: Entry, *, link: bool = True) -> None:
        assert entry.digest
        cache = self.repository.cache_of(entry)
        self.remove(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if entry.is_dir:
            os.makedirs(place)
            for file in cache.manifest(entry.digest):
                path = os.path.join(place, file.relpath)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(path).write_bytes(cache.read(file.md5))
        else:
            Path(place).write_bytes(cache.read(entry.digest))
            if entry.isexec:
                os.chmod(place, 0o744)

    def remove(self, place: str) -> None:
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        elif os.path.lexists(place):
            os.unlink(place)

    def unprotect(self, place: str) -> None:
        return None

    def ignore(self, place: str) -> str | None:
        from perenne.formats.dvc.ignores import with_line

        if self.repository.git is None:
            return None
        if self.repository.git.tracked([place]):
            said = os.path.relpath(place)
            raise Invalid(
                f"output '{said}' is already tracked by SCM (e.g. Git).",
                code="data.tracked_by_git",
                hint=f"git rm -r --cached '{said}'",
            )
        if self.repository.git.ignored([place]):
            return None
        file = Path(os.path.dirname(place), ".gitignore")
        old = file.read_bytes() if file.exists() else b""
        file.write_bytes(with_line(old, os.path.basename(place)))
        return str(file)
