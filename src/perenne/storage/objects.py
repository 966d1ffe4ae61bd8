"""Objects by content: whatever is put gets the SHA-256 of its bytes as name, and is checked against it when it is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from perenne.core.errors import Invalid
from perenne.storage.buckets import SCHEMES, endpoint_of, split_url
from perenne.storage.cached_objects import CachedObjects, cache_of
from perenne.storage.cloud_objects import CloudObjects
from perenne.storage.file_objects import FileObjects

__all__ = ["CachedObjects", "CloudObjects", "FileObjects", "ObjectStore", "describe_objects", "open_objects"]


class ObjectStore(Protocol):
    """Keeps bytes by their digest. Every adapter passes `perenne.testing.ObjectStoreContract`.

    What cannot be done for the moment raises Unavailable; only what is known not to be there raises NotFound.
    """

    @property
    def url(self) -> str:
        """The URL under which another process opens this store with `open_objects`."""
        ...

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their digest; once it returns they survive a crash."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a copy of a file and return its digest. Raises Unavailable if it is written to meanwhile."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes, checked. Raises NotFound, or Unavailable if they are damaged."""
        ...

    def fetch(self, digest: str, target: Path) -> None:
        """Write the object to a file, whole and checked or not at all."""
        ...

    def exists(self, digest: str) -> bool:
        """Tell whether the object is there; its bytes are not read."""
        ...

    def delete(self, digest: str) -> None:
        """Remove the object; nothing happens if it is not there."""
        ...

    def digests(self) -> Iterator[str]:
        """Go through the names of all objects."""
        ...


def open_objects(url: str, *, cached: bool = True) -> ObjectStore:
    """Open the object store at a URL: `file:///path`, `s3://bucket/prefix`, `gs://…` or `az://…`.

    Parameters
    ----------
    cached : bool
        Whether objects of a cloud are read through the cache of this machine, if the environment does not switch it off.

    Raises
    ------
    Invalid
        If no adapter speaks the scheme, or something in the URL is wrong.

    >>> open_objects("file:///tmp/objects").url
    'file:///tmp/objects'
    >>> open_objects("s3://bucket/prefix/").url
    's3://bucket/prefix'
    """
    parts = split_url(url)
    if parts.scheme in SCHEMES:
        cloud, cache = CloudObjects(url), cache_of() if cached else None
        return cloud if cache is None else CachedObjects(cloud, cache)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise Invalid(
            f"objects URL begins with neither file:/// nor {', '.join(f'{scheme}://' for scheme in SCHEMES)}",
            code="objects.url",
            hint="such as file:///srv/objects or s3://bucket/prefix",
        )
    return FileObjects(Path(unquote(parts.path)))


def describe_objects(url: str) -> str:
    """Say what kind of store a URL names, and at which endpoint it is asked if the environment names one.

    >>> describe_objects("file:///tmp/objects")
    'folder file:///tmp/objects'
    """
    scheme = split_url(url).scheme
    if scheme not in SCHEMES:
        return f"folder {url}"
    endpoint = endpoint_of(scheme)
    return f"{SCHEMES[scheme]} {url}" + (f" at {split_url(endpoint).netloc.rpartition('@')[2]}" if endpoint else "")
