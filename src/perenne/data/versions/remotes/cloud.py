"""Remotes in object stores, and on HTTP and WebDAV servers, through `obstore`."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import md5
from typing import Any

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.remotes.copying import Hashing, blocks, write_all
from perenne.data.versions.remotes.port import Found, Traits
from perenne.data.versions.remotes.refusals import damaged_source, not_there, read_only, refused, unreachable, unusable

WHOLE = 16 << 20
"""Files up to so many bytes go in one request; larger ones in parts."""

_PART, _PARTS, _TOGETHER = 8 << 20, 9_000, 4
_CHUNK = 4 << 20
_PAGE = 1_000

_STATUS = re.compile(r"status(?: code)?:? (\d{3})|non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_ABOUT_CREDENTIALS = ("/latest/api/token", "/latest/meta-data", "metadata.google.internal", "/metadata/identity", "169.254.169")


class CloudRemote:
    """A prefix of a bucket, or a folder of a web server. The client is made when it is first used.

    Parameters
    ----------
    shown : str
        Its address without secrets.
    make : callable
        Makes the client, with the prefix in it.
    traits : Traits
        Whether it lists and writes, how many transfers at once.
    is_web : bool
        Whether it is a web server, whose etags are kept with their quotes, as DVC writes them down.
    """

    def __init__(self, shown: str, make: Callable[[], Any], traits: Traits | None = None, *, is_web: bool = False) -> None:
        self.shown = shown
        self.traits = traits or Traits()
        self._make = make
        self._is_web = is_web

    @cached_property
    def _store(self) -> Any:
        with self._refusals():
            return self._make()

    def about(self, path: str, version: str | None = None) -> Found | None:
        """Return what is at a path; see the port."""
        import obstore

        try:
            with self._refusals(path or "file there"):
                if version is not None:
                    return self._found(path, obstore.get(self._store, path, options={"version": version, "head": True}).meta)
                return self._found(path, obstore.head(self._store, path))
        except NotFound:
            return None

    def listing(self, prefix: str) -> Iterator[Found]:
        """Go through every file below a folder."""
        import obstore

        with self._refusals():
            pages = obstore.list(self._store, prefix=prefix.strip("/") or None, chunk_size=_PAGE)
        while True:
            with self._refusals():
                page = next(pages, None)
            if page is None:
                return
            for meta in page:
                yield self._found(meta["path"], meta)

    def get(self, path: str, target: str, version: str | None = None) -> str:
        """Write an object to a file."""
        import obstore

        options: Any = None if version is None else {"version": version}
        with self._refusals(path or "file there"):
            answer = obstore.get(self._store, path, options=options)
            size = answer.meta["size"]
            data = answer.bytes() if size <= WHOLE else None
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if data is not None:
                whole = memoryview(data)
                write_all(handle, whole)
                return md5(whole, usedforsecurity=False).hexdigest()
            return self._stream(path, answer, handle)
        finally:
            os.close(handle)

    def _stream(self, path: str, answer: Any, handle: int) -> str:
        hashing = Hashing()
        try:
            chunks = iter(answer.stream(min_chunk_size=_CHUNK))
            while True:
                with self._refusals(path or "file there"):
                    chunk = next(chunks, None)
                if chunk is None:
                    break
                block = memoryview(chunk)
                hashing.add(block)
                write_all(handle, block)
        finally:
            found = hashing.end()
        return found

    def put(self, source: str, path: str, digest: str | None = None) -> Found:
        """Send a file; a large one in parts, which appear when all have come."""
        import obstore

        if not self.traits.writes:
            raise read_only(self.shown)
        size = os.path.getsize(source)
        data: Any = _checked_bytes(source, digest) if size <= WHOLE else _Checked(source, digest)
        part = max(_PART, -(-size // _PARTS))
        try:
            with self._refusals():
                if size <= WHOLE:
                    answer = obstore.put(self._store, path, data, use_multipart=False)
                else:
                    answer = obstore.put(self._store, path, iter(data), chunk_size=part, max_concurrency=_TOGETHER)
        except PerenneError:
            if isinstance(data, _Checked) and data.damage is not None:
                raise data.damage from None
            raise
        return Found(path=path, size=size, etag=_etag(answer.get("e_tag")), version=answer.get("version"))

    def move(self, path: str, to: str) -> None:
        """Copy an object within the store, and remove it where it was."""
        import obstore

        if not self.traits.writes:
            raise read_only(self.shown)
        with self._refusals(path or "file there"):
            obstore.rename(self._store, path, to, overwrite=True)

    def delete(self, path: str) -> None:
        """Remove an object."""
        import obstore

        if not self.traits.writes:
            raise read_only(self.shown)
        try:
            with self._refusals(path or "file there"):
                obstore.delete(self._store, path)
        except NotFound:
            return

    def settle(self) -> None:
        """Do nothing: an object is there when the answer to `put` is."""

    def close(self) -> None:
        """Let go of the client."""
        self.__dict__.pop("_store", None)

    def _found(self, path: str, meta: Any) -> Found:
        modified = meta.get("last_modified")
        return Found(
            path=path,
            size=meta["size"],
            etag=meta.get("e_tag") if self._is_web else _etag(meta.get("e_tag")),
            version=meta.get("version"),
            modified=None if modified is None else modified.timestamp(),
        )

    @contextmanager
    def _refusals(self, path: str = "") -> Iterator[None]:
        """Turn what the client raises into an error that says what to do, and shows no secrets."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise _refusal(self.shown, error, path) from None


class _Checked:
    """The bytes of a file, which end in an error, before the upload is completed, if they are not those of their name."""

    def __init__(self, source: str, digest: str | None) -> None:
        self._source, self._digest = source, digest
        self.damage: PerenneError | None = None

    def __iter__(self) -> Iterator[bytes]:
        found = md5(usedforsecurity=False)
        for block in blocks(self._source, _CHUNK):
            found.update(block)
            yield block
        if self._digest is not None and found.hexdigest() != self._digest:
            self.damage = damaged_source(self._digest, found.hexdigest())
            raise self.damage


def _checked_bytes(source: str, digest: str | None) -> bytes:
    with open(source, "rb", buffering=0) as stream:
        data = stream.read()
    if digest is not None and (found := md5(data, usedforsecurity=False).hexdigest()) != digest:
        raise damaged_source(digest, found)
    return data


def _etag(text: str | None) -> str | None:
    return text.strip('"') if text else None


def _refusal(shown: str, error: BaseException, path: str) -> PerenneError:
    """Return what to raise: NotFound if only the file is missing."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    status = int(found[1] or found[2]) if (found := _STATUS.search(text)) else 0
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return unusable(shown, "there is no such bucket", "make it, or correct the remote's url: `perenne data remote modify`")
    if any(part in text for part in _ABOUT_CREDENTIALS):
        return refused(shown, "there are no credentials", "set them for this remote in .dvc/config.local, or in the environment")
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return not_there(shown, path) if path else unusable(shown, "there is no such place", "is its url right?")
    if status == 301 or code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
        return unusable(shown, "it lies in another region", "`perenne data remote modify NAME region …`")
    if status in (401, 403):
        return refused(shown, f"it refuses ({code or status})")
    if 400 <= status < 500 and status not in (408, 425, 429):
        return unusable(shown, f"it answers {code} {status}")
    return unreachable(shown, f"it answers {code} {status}".strip() if status else _network(text))


def _network(text: str) -> str:
    if "dns error" in text:
        return "its address is not known"
    if "kind: Connect" in text or "Connection refused" in text:
        return "it cannot be reached"
    if "kind: Timeout" in text or "TimedOut" in text or "timed out" in text:
        return "it does not answer in time"
    return text.partition("\n")[0][:200]
