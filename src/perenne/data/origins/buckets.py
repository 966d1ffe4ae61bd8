"""Objects in a bucket: one, or all below a prefix (which ends with `/`). Credentials come from the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.storage.buckets import Bucket, open_bucket, parse_bucket

MAX_OBJECTS = 100_000


def objects_at(uri: str) -> dict[str, str]:
    """Return the objects that an address names, and what tells for each whether it changed: its ETag, or size and time.

    Raises
    ------
    NotFound
        If there is none.
    """
    store, prefix = _open(uri)
    try:
        items = [] if uri.endswith("/") or not prefix else _one(store, prefix)
        items = items or [item for page in store.list(prefix or None) for item in page]
    except Exception as error:
        raise _unavailable(uri, error) from error
    found = {item["path"]: _tag(item) for item in items if not _is_hidden(item["path"].removeprefix(prefix))}
    if not found:
        raise NotFound(f"there are no objects at {uri}", code="ingest.no_files", hint="is the bucket right, and the prefix?")
    return dict(sorted(found.items()))


def _one(store: Any, path: str) -> list[Any]:
    try:
        return [store.head(path)]
    except FileNotFoundError:
        return []


def _tag(item: Any) -> str:
    return str(item["e_tag"] or f"{item['size']} {item['last_modified'].isoformat()}")


def _is_hidden(below: str) -> bool:
    return any(part.startswith((".", "_")) for part in below.split("/"))


def fetch_objects(uri: str, paths: Mapping[str, str], folder: Path) -> list[Path]:
    """Bring objects into a folder, under their names below the prefix."""
    store, _ = _open(uri)
    files = []
    for path in paths:
        if path.startswith("/") or ".." in path.split("/"):
            raise Invalid(f"object {path[:100]!r} cannot be a file", code="ingest.key", hint="its name leads out of the bucket")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("wb") as sink:
                for piece in store.get(path).stream(min_chunk_size=4 << 20):
                    sink.write(bytes(piece))
        except Exception as error:
            raise _unavailable(uri, error) from error
        files.append(file)
    return files


def _open(uri: str) -> tuple[Any, str]:
    """Open the bucket itself: what is below it are keys of any form."""
    scheme, _, rest = uri.partition("://")
    name, _, prefix = rest.partition("/")
    parse_bucket(f"{scheme}://{name}")
    return open_bucket(Bucket(scheme, name)), prefix.rstrip("/")


def _unavailable(uri: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"{uri} cannot be read: {type(error).__name__}", code="ingest.bucket", hint=str(error).splitlines()[0][:200]
    )
