"""What every object store answers when it cannot do what it was asked, and how objects are named in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.core.hashing import is_digest


def object_key(digest: str) -> str:
    """Return the path of an object below the store's root.

    Raises
    ------
    Invalid
        If it is no digest.

    >>> object_key("ab" + "0" * 62)[:6]
    'ab/000'
    """
    if not is_digest(digest):
        raise Invalid(f"{digest[:100]!r} is not a digest", code="objects.digest", hint="a digest is 64 hexadecimal digits")
    return f"{digest[:2]}/{digest[2:]}"


def missing(digest: str) -> NotFound:
    """Return the error for an object that is not there."""
    return NotFound(
        f"object {digest[:12]}… is not in the store",
        code="objects.not_found",
        hint="was the store moved or pruned? `perenne doctor` checks",
    )


def damaged(digest: str) -> Unavailable:
    """Return the error for bytes that are not what their name says."""
    return Unavailable(
        f"object {digest[:12]}… is damaged",
        code="objects.damaged",
        hint="restore it from a backup, or delete it and run again",
    )


def changed(name: str) -> Unavailable:
    """Return the error for a file that is written to while it is kept."""
    return Unavailable(
        f"{name} changed while it was read",
        code="objects.changed",
        hint="try again when nothing writes to it",
    )


@contextmanager
def disk_refusals() -> Iterator[None]:
    """Turn what the disk refuses into an error that says so."""
    try:
        yield
    except OSError as error:
        raise disk_trouble(error) from error


def disk_trouble(error: OSError) -> Unavailable:
    """Return the error for a disk that does not do what it is asked."""
    return Unavailable(
        f"the object store cannot be used: {error.strerror}",
        code="objects.unavailable",
        hint="is the disk full or read-only? `perenne doctor` tells",
    )
