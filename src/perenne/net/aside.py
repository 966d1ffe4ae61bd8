"""One thread beside an event loop, for what would hold the loop up; as many as wait already, and no more."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from perenne.core.errors import Unavailable

T = TypeVar("T")
MAX_WAITING = 32


class Aside:
    """Does one thing after the other in a thread of its own, which starts with the first.

    Parameters
    ----------
    name : str
        Of the thread.
    most : int
        How many may wait.
    """

    def __init__(self, name: str, most: int = MAX_WAITING) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._most = most
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do something there and return what it gives. Raises Unavailable if too many others wait."""
        if self._waiting >= self._most:
            raise Unavailable("too many requests of this kind wait", code="TEMPORARILY_UNAVAILABLE", hint="try again in a second")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
