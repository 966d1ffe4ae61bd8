"""Objects in a cloud: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, through `obstore`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from perenne.core.errors import NotFound
from perenne.core.hashing import digest_bytes, digest_file, is_digest
from perenne.storage.buckets import SILENCE_S, UPLOAD_SILENCE_S, allows_http, open_bucket, parse_bucket
from perenne.storage.cloud_errors import cloud_refusal
from perenne.storage.files import temporary_file
from perenne.storage.object_errors import changed, damaged, disk_refusals, object_key

if TYPE_CHECKING:
    from perenne.storage.buckets import Opened

PART = 8 << 20
"""Bytes of a part of a large upload; what is smaller goes in one request."""

_SMALL = 1 << 20
_PARTS, _UPLOADS = 9_000, 4
_CHUNK = 1 << 20


class CloudObjects:
    """An object store in a bucket: keys `prefix/ab/cdef…`; an object is visible when all of it has arrived, and not before.

    The client is made when it is first used, so that opening the store costs nothing. It must not be carried over a fork.

    Parameters
    ----------
    url : str
        The bucket and a prefix: `s3://bucket/prefix`, `gs://…`, `az://…`.

    Raises
    ------
    Invalid
        If the URL or the endpoint in the environment is wrong.
    """

    def __init__(self, url: str) -> None:
        self.bucket = parse_bucket(url)
        self._bucket_is_there = False
        allows_http(self.bucket.scheme)

    @property
    def url(self) -> str:
        """The URL under which another process opens this store."""
        return self.bucket.url

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest."""
        import obstore

        digest = digest_bytes(data)
        if self._size(digest) != len(data):
            client = self._client if len(data) <= _SMALL else self._patient
            part = _part(len(data))
            with self._refusals():
                obstore.put(client, object_key(digest), data, chunk_size=part, max_concurrency=_UPLOADS)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest; of a large one, a few parts are in memory at a time."""
        import obstore

        size = path.stat().st_size
        if size <= PART:
            return self.put(path.read_bytes())
        digest = digest_file(path)
        if self._size(digest) != size:
            chunks, part = _file_chunks(path, size, digest), _part(size)
            with self._refusals():
                obstore.put(self._patient, object_key(digest), chunks, chunk_size=part, max_concurrency=_UPLOADS)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked against their digest."""
        import obstore

        key = object_key(digest)
        with self._refusals(digest):
            data = obstore.get(self._client, key).bytes().to_bytes()
        if digest_bytes(data) != digest:
            raise damaged(digest)
        return data

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all; a chunk is in memory at a time."""
        chunks = self._chunks(digest)
        first = next(chunks, b"")  # what is not there leaves no folder behind
        found = hashlib.sha256(first)
        with disk_refusals(), temporary_file(target.parent) as copy:
            with copy.open("wb") as stream:
                stream.write(first)
                for chunk in chunks:
                    found.update(chunk)
                    stream.write(chunk)
            if found.hexdigest() != digest:
                raise damaged(digest)
            copy.replace(target)

    def exists(self, digest: str) -> bool:
        """Tell whether the object is there."""
        there = self._size(digest) is not None
        if not there:
            self._require_bucket()
        return there

    def delete(self, digest: str) -> None:
        """Remove the object."""
        import obstore

        key = object_key(digest)
        try:
            with self._refusals(digest):
                obstore.delete(self._client, key)
        except NotFound:
            return

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects."""
        import obstore

        with self._refusals():
            pages = obstore.list(self._client, chunk_size=1_000)
        while True:
            with self._refusals():
                page = next(pages, None)
            if page is None:
                return
            for item in page:
                digest = item["path"].replace("/", "", 1)
                if is_digest(digest) and item["path"] == object_key(digest):
                    yield digest

    @cached_property
    def _client(self) -> "Opened":
        with self._refusals():
            return open_bucket(self.bucket, silence=SILENCE_S)

    @cached_property
    def _patient(self) -> "Opened":
        """The client for large uploads: the answer to a part comes when all of it is sent."""
        with self._refusals():
            return open_bucket(self.bucket, silence=UPLOAD_SILENCE_S)

    def _size(self, digest: str) -> int | None:
        """Return the bytes of an object, None if it is not there."""
        import obstore

        key = object_key(digest)
        try:
            with self._refusals(digest):
                size = obstore.head(self._client, key)["size"]
        except NotFound:
            return None
        self._bucket_is_there = True
        return size

    def _require_bucket(self) -> None:
        """Make sure, once, that an object is missing and not the bucket: the short question says the same of both."""
        import obstore

        if not self._bucket_is_there:
            with self._refusals():
                next(obstore.list(self._client, prefix="none"), None)
            self._bucket_is_there = True

    def _chunks(self, digest: str) -> Iterator[bytes]:
        import obstore

        key = object_key(digest)
        with self._refusals(digest):
            stream = obstore.get(self._client, key).stream(min_chunk_size=_CHUNK)
        while True:
            with self._refusals(digest):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield chunk

    @contextmanager
    def _refusals(self, digest: str = "") -> Iterator[None]:
        """Turn what the client raises into an error that says what to do, and shows no secrets."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise cloud_refusal(self.bucket, error, digest) from None


def _part(size: int) -> int:
    """Return how large the parts of an upload are; a store takes 10,000 of them."""
    return max(PART, -(-size // _PARTS))


def _file_chunks(path: Path, size: int, digest: str) -> Iterator[bytes]:
    """Read a file in chunks, and fail at the end, before the upload is completed, unless it is what its digest says."""
    found, left = hashlib.sha256(), size
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left or found.hexdigest() != digest:
        raise changed(path.name)
