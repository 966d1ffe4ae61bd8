"""Live news by server-sent events: that something was committed. A page then asks for its screen again, and mostly hears 304.

One look at the database serves every page that listens, and nobody looks while nobody listens.
"""

import asyncio
from collections.abc import AsyncIterator

from perenne.storage.changes import Changes
from perenne.storage.database import Database

LOOK_SECONDS = 0.5
SILENT_SECONDS = 15.0
LIFE_SECONDS = 600.0
"""After this a stream ends and the browser opens another, so that a token that was revoked does not listen for ever."""


class Live:
    """Tells every listener when something was committed.

    Parameters
    ----------
    database : Database
        What to look at.
    """

    def __init__(self, database: Database) -> None:
        self._changes = Changes(database)
        self._changed = asyncio.Event()
        self._count = 0
        self._listeners = 0
        self._watcher: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncIterator[bytes]:
        """Go through the events of one stream: a number that grows with each change, a word now and then when there is none."""
        self._listeners += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        loop = asyncio.get_running_loop()
        end, told = loop.time() + LIFE_SECONDS, self._count
        try:
            yield b"retry: 2000\n\n"
            while loop.time() < end:
                if told == self._count:
                    changed = self._changed
                    try:
                        await asyncio.wait_for(changed.wait(), SILENT_SECONDS)
                    except TimeoutError:
                        yield b": still here\n\n"
                        continue
                told = self._count
                yield b"data: %d\n\n" % told
        finally:
            self._listeners -= 1

    async def _watch(self) -> None:
        try:
            while self._listeners:
                count = await asyncio.to_thread(self._changes.count)
                if count != self._count:
                    self._count = count
                    changed, self._changed = self._changed, asyncio.Event()
                    changed.set()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._changes.close()
