"""Writing a file whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, data: bytes, *, durable: bool = True) -> None:
    """Put bytes at a path, the old ones staying until the new ones are there; the mode is kept.

    Parameters
    ----------
    durable : bool
        Whether they are on the disk afterwards, also if the machine goes down.
    """
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.chmod(temporary, _mode_of(file))
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode_of(file: Path) -> int:
    try:
        return file.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
