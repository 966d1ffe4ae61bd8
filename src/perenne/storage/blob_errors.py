"""What every store of blobs answers when it cannot do what it was asked, and how blobs are named in it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.core.ids import is_id
from perenne.storage.object_errors import disk_trouble

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Full(Unavailable):
    """The disk has no room for what is to be kept; nothing of it stays."""

    status = 507


def blob_key(identity: str) -> str:
    """Return the path of a blob below the store's root.

    Raises
    ------
    Invalid
        If it is no id.

    >>> blob_key("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    'AV/01ARZ3NDEKTSV4RRFFQ69G5FAV'
    """
    if not is_id(identity):
        raise Invalid(f"{identity[:100]!r} is not the id of a blob", code="blobs.id", hint="an id is 26 letters and digits")
    return f"{identity[-2:]}/{identity}"


def missing(identity: str) -> NotFound:
    """Return the error for a blob that is not there."""
    return NotFound(
        f"blob {identity} is not in the store", code="blobs.not_found", hint="was the store moved? `perenne doctor` checks"
    )


def full() -> Full:
    """Return the error for a disk without room."""
    return Full("the disk of the artifacts is full", code="blobs.full", hint="make room, then try again; nothing was kept")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the disk refuses into an error that says so."""
    try:
        yield
    except OSError as error:
        raise (full() if error.errno in _FULL else disk_trouble(error)) from error
