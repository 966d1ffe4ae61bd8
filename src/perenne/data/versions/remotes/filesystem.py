"""Remotes through a file system of fsspec's: Google Drive, OSS, HDFS, and any other that it has an implementation for."""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any
from uuid import uuid4

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.remotes.copying import BLOCK, Hashing, hash_file, write_all
from perenne.data.versions.remotes.local import ARRIVING
from perenne.data.versions.remotes.port import Found, Traits
from perenne.data.versions.remotes.refusals import damaged_source, not_there, refused, unreachable


class FilesystemRemote:
    """A folder of a file system of fsspec's.

    Parameters
    ----------
    make : callable
        Makes the file system, when it is first used.
    root : str
        The folder.
    shown : str
        Its address without secrets.
    renames : bool
        Whether files are sent under another name and renamed, because one that is being written can be seen; a store where
        uploads appear whole needs none of it.
    """

    def __init__(self, make: Callable[[], Any], root: str, shown: str, *, renames: bool = True) -> None:
        self.shown = shown
        self.traits = Traits(jobs=4)
        self._make = make
        self._root = root.rstrip("/")
        self._renames = renames
        self._folders: set[str] = set()
        self._lock = Lock()

    @cached_property
    def _files(self) -> Any:
        with self._refusals():
            return self._make()

    def about(self, path: str, version: str | None = None) -> Found | None:
        """Return what is at a path; see the port."""
        try:
            with self._refusals(path):
                info = self._files.info(f"{self._root}/{path}")
        except NotFound:
            return None
        return self._found(path, info) if info.get("type") == "file" else None

    def listing(self, prefix: str) -> Iterator[Found]:
        """Go through every file below a folder."""
        folder = f"{self._root}/{prefix.strip('/')}".rstrip("/")
        try:
            with self._refusals():
                self._files.invalidate_cache()
                found = self._files.find(folder, detail=True)
        except NotFound:
            return
        above = len(self._root.lstrip("/")) + 1
        for place, info in found.items():
            path = place.lstrip("/")[above:] if self._root.strip("/") else place.lstrip("/")
            if info.get("type") == "file" and not path.startswith(f"{ARRIVING}/"):
                yield self._found(path, info)

    def get(self, path: str, target: str, version: str | None = None) -> str:
        """Write a file's bytes to a local file."""
        with self._refusals(path):
            stream = self._files.open(f"{self._root}/{path}", "rb")
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        hashing = Hashing()
        try:
            while True:
                with self._refusals(path):
                    data = stream.read(BLOCK)
                if not data:
                    break
                hashing.add(data)
                write_all(handle, data)
        finally:
            found = hashing.end()
            os.close(handle)
            with contextlib.suppress(Exception):
                stream.close()
        return found

    def put(self, source: str, path: str, digest: str | None = None) -> Found:
        """Send a file: whole, or not at all."""
        size = os.path.getsize(source)
        if digest is not None and (found := hash_file(source)) != digest:
            raise damaged_source(digest, found)
        place = f"{self._root}/{path}"
        self._make_folder(os.path.dirname(place))
        if not self._renames:
            with self._refusals():
                self._files.put_file(source, place)
            return Found(path=path, size=size)
        self._make_folder(f"{self._root}/{ARRIVING}")
        temporary = f"{self._root}/{ARRIVING}/{uuid4().hex}"
        with self._refusals():
            try:
                self._files.put_file(source, temporary)
                self._files.mv(temporary, place)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._files.rm_file(temporary)
                raise
        return Found(path=path, size=size)

    def move(self, path: str, to: str) -> None:
        """Rename a file."""
        self._make_folder(os.path.dirname(f"{self._root}/{to}"))
        with self._refusals(path):
            self._files.mv(f"{self._root}/{path}", f"{self._root}/{to}")

    def delete(self, path: str) -> None:
        """Remove a file."""
        with contextlib.suppress(NotFound), self._refusals(path):
            self._files.rm_file(f"{self._root}/{path}")

    def settle(self) -> None:
        """Do nothing: a file is there when `put` returns."""

    def close(self) -> None:
        """Let go of the file system."""
        self.__dict__.pop("_files", None)

    def _make_folder(self, folder: str) -> None:
        with self._lock:
            if folder in self._folders:
                return
            with self._refusals():
                self._files.makedirs(folder, exist_ok=True)
            self._folders.add(folder)

    def _found(self, path: str, info: Any) -> Found:
        modified = next((info[key] for key in ("mtime", "modified", "LastModified", "created") if info.get(key)), None)
        if isinstance(modified, datetime):
            modified = modified.timestamp()
        etag = info.get("ETag") or info.get("etag") or info.get("checksum")
        return Found(
            path=path,
            size=info.get("size"),
            etag=str(etag).strip('"') if etag else None,
            modified=float(modified) if isinstance(modified, int | float) else None,
        )

    @contextmanager
    def _refusals(self, path: str = "") -> Iterator[None]:
        """Turn whatever the library raises into an error of ours; which classes these are differs from one to the next."""
        try:
            yield
        except PerenneError:
            raise
        except FileNotFoundError:
            raise (not_there(self.shown, path) if path else unreachable(self.shown, "there is no such place")) from None
        except PermissionError as error:
            raise refused(self.shown, str(error)) from None
        except Exception as error:
            raise unreachable(self.shown, f"{type(error).__name__}: {error}") from None
