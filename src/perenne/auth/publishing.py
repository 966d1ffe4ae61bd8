"""The list of tokens, written where model servers read it: after each change, and by the control plane again and again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perenne.auth.tokens import keys
from perenne.core import json
from perenne.storage.database import Database
from perenne.storage.files import write_atomically


def publish(database: Database, path: Path, now: int) -> int:
    """Write the tokens that count, if the file says anything else; return how many they are.

    Whoever writes last has read last: several processes that publish at once take turns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _turn(path.with_suffix(".lock")):
        with database.read() as tx:
            found = keys(tx, now)
        data = json.encode(found)
        if not path.exists() or path.read_bytes() != data:
            write_atomically(path, data)
    return len(found)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            import fcntl
        except ImportError:  # not on Windows
            pass
        else:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
