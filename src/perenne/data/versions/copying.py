"""Copies that the kernel makes, by sharing blocks where the file system can."""

import errno
import fcntl
import os

SMALL = 4 << 20
"""Bytes; smaller files are read whole."""

FICLONE = 0x40049409
NOT_HERE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EMLINK, errno.EBADF}


def clone(source: int, target: int) -> bool:
    """Let a new file share the blocks of another; False where the file system cannot."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in NOT_HERE:
            return False
        raise
    return True


def copy_file(source: str, target: str, mode: int) -> None:
    """Copy a file inside the kernel, by sharing blocks where that works."""
    given = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if not clone(given, made):
                copy_range(given, made)
        finally:
            os.close(made)
    finally:
        os.close(given)


def copy_range(given: int, made: int) -> None:
    """Copy the rest of an open file inside the kernel; by reading and writing where that does not work."""
    try:
        while os.copy_file_range(given, made, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        os.lseek(given, 0, os.SEEK_SET)
        os.ftruncate(made, 0)
        os.lseek(made, 0, os.SEEK_SET)
        while piece := os.read(given, SMALL):
            write_all(made, piece)


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write everything, also where a call writes less."""
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, memoryview(data)[written:])
