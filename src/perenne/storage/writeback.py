"""Starting to write what is in the system's memory to the disk, without waiting: the wait at the end is short then."""

import contextlib
import ctypes
import functools
from collections.abc import Callable
from typing import Any

_WRITE = 2


@functools.cache
def _system_call() -> Callable[..., Any] | None:
    """Return Linux's `sync_file_range`; None on other systems, where the disk waits for `fsync`."""
    with contextlib.suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
        call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
        return call
    return None


def begin_writeback(handle: int, start: int, count: int) -> None:
    """Have the system begin to write a range of a file; whether it does is of no consequence, `fsync` still is to come."""
    call = _system_call()
    if call is not None:
        call(handle, start, count, _WRITE)
