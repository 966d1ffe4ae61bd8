"""Blobs in a cloud: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage, through `obstore`."""

import contextlib
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from perenne.core.errors import NotFound
from perenne.storage.blob_errors import blob_key, missing, refusals
from perenne.storage.buckets import SILENCE_S, UPLOAD_SILENCE_S, allows_http, open_bucket, parse_bucket
from perenne.storage.cloud_errors import cloud_refusal
from perenne.storage.incoming import CHUNK, Incoming

if TYPE_CHECKING:
    from perenne.storage.buckets import Opened

_PART, _UPLOADS, _PARTS = 8 << 20, 4, 9_000


class CloudBlobs:
    """Blobs in a bucket. What arrives goes to a file of this machine first, so that only what is whole is uploaded."""

    signs = True

    def __init__(self, url: str) -> None:
        self.bucket = parse_bucket(url)
        allows_http(self.bucket.scheme)

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """Give a blob to write to; it is gone at the end unless it was kept."""
        with contextlib.ExitStack() as stack:
            with refusals():
                incoming = Incoming(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="perenne-"))) / "blob")
            stack.callback(incoming.close)
            yield incoming

    def keep(self, incoming: Incoming) -> None:
        """Upload what was written."""
        import obstore

        part = max(_PART, -(-incoming.size // _PARTS))
        with refusals(), incoming.path.open("rb") as stream, self._refusals():
            obstore.put(self._patient, blob_key(incoming.id), stream, chunk_size=part, max_concurrency=_UPLOADS)

    def join(self, ids: Sequence[str], incoming: Incoming) -> None:
        """Append blobs, in order, to one that is being written."""
        for identity in ids:
            for chunk in self.read(identity, 0, self._size(identity)):
                incoming.write([chunk])

    def locate(self, identity: str) -> Path | None:
        """Return None: it lies in the bucket."""
        return None

    def read(self, identity: str, start: int, end: int) -> Iterator[bytes]:
        """Go through the bytes of a range."""
        import obstore

        if start >= end:
            return
        with self._refusals(identity):
            found = obstore.get(self._client, blob_key(identity), options={"range": (start, end)})
            stream = found.stream(min_chunk_size=CHUNK)
        while True:
            with self._refusals(identity):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def sign(self, identity: str, seconds: int) -> str | None:
        """Return a URL at which anybody may read a blob for so long; None if the credentials are of a kind that cannot sign."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            return str(obstore.sign(self._client, "GET", blob_key(identity), datetime.timedelta(seconds=seconds)))
        except (BaseError, ValueError):
            return None

    def delete(self, identity: str) -> None:
        """Remove a blob."""
        import obstore

        try:
            with self._refusals(identity):
                obstore.delete(self._client, blob_key(identity))
        except NotFound:
            return

    def ids(self) -> Iterator[str]:
        """Go through the ids of all blobs."""
        import obstore

        with self._refusals():
            pages = obstore.list(self._client, chunk_size=1_000)
        while True:
            with self._refusals():
                page = next(pages, None)
            if page is None:
                return
            for item in page:
                yield item["path"].rpartition("/")[2]

    def _size(self, identity: str) -> int:
        import obstore

        with self._refusals(identity):
            return obstore.head(self._client, blob_key(identity))["size"]

    @cached_property
    def _client(self) -> "Opened":
        with self._refusals():
            return open_bucket(self.bucket, silence=SILENCE_S)

    @cached_property
    def _patient(self) -> "Opened":
        """The client for uploads: the answer to a part comes when all of it is sent."""
        with self._refusals():
            return open_bucket(self.bucket, silence=UPLOAD_SILENCE_S)

    @contextmanager
    def _refusals(self, identity: str = "") -> Iterator[None]:
        """Turn what the client raises into an error that says what to do, and shows no secrets."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            found = cloud_refusal(self.bucket, error, identity and "0" * 64)
            raise (missing(identity) if isinstance(found, NotFound) else found) from None
