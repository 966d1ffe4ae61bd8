"""The thread that delivers: one for each process, whatever the number of runs; it sleeps, sends what waits, and sleeps again.

It never raises into the training, and never holds it up: a destination that is down is asked again after pauses that grow.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence

from perenne.core.config import Settings
from perenne.core.errors import PerenneError, Unavailable
from perenne.tracking.client.delivery import Delivery
from perenne.tracking.client.destination import Destination, open_destination
from perenne.tracking.client.records import Close, End, encode
from perenne.tracking.client.spool import Spool, is_held, orphans

log = logging.getLogger("perenne.client")

PAUSE = 0.2
LONGEST_PAUSE = 30.0
SYNC_EVERY = 1.0
SWEEP_EVERY = 10.0


class Sender:
    """Delivers the spools of this process, and those that dead processes left in the same folder.

    Parameters
    ----------
    settings : Settings
        Of the workspace: where spools lie, and where runs go that no server gets.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.outgoing
        self._settings = settings
        self.trouble = ""
        self._pid = os.getpid()
        self._deliveries: list[Delivery] = []
        self._destinations: dict[str, Destination] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, spool: Spool) -> None:
        """Deliver a spool from now on, from a thread that is started with the first."""
        with self._lock:
            self._deliveries.append(Delivery(spool))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="perenne-sender", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Send now."""
        self._wake.set()

    def flush(self, seconds: float) -> bool:
        """Wait until all is delivered, and tell whether it is; give up when nobody can be reached, or the time is over."""
        until = time.monotonic() + seconds
        while not self.is_idle:
            tried = self._try_turn()
            if self.is_idle or not tried or time.monotonic() > until:
                break
        return self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        with self._lock:
            return all(delivery.spool.is_delivered for delivery in self._deliveries)

    @property
    def waiting(self) -> int:
        """How many runs have something to deliver."""
        with self._lock:
            return sum(not delivery.spool.is_delivered for delivery in self._deliveries)

    def close(self) -> None:
        """Let go of everything; what was not delivered stays for the next process."""
        with self._lock:
            for delivery in self._deliveries:
                delivery.spool.sync()
                delivery.spool.close()
            self._deliveries.clear()
            for destination in self._destinations.values():
                destination.close()
            self._destinations.clear()

    def reopen(self) -> None:
        """Let go of destinations, so that they are opened again with what the environment says now, such as another token."""
        with self._turn, self._lock:
            for destination in self._destinations.values():
                destination.close()
            self._destinations.clear()

    def let_go(self) -> None:
        """Close what a forked process inherited, and touch nothing else: it is the parent's."""
        for delivery in self._deliveries:
            delivery.spool.close()

    def _destination(self, url: str) -> Destination:
        if url not in self._destinations:
            self._destinations[url] = open_destination(url, self._settings)
        return self._destinations[url]

    def _run(self) -> None:
        pause, synced, sweep = PAUSE, time.monotonic(), 0.0
        while self._pid == os.getpid():
            self._wake.wait(pause)
            self._wake.clear()
            pause = PAUSE if self._try_turn() else min(pause * 2, LONGEST_PAUSE)
            if time.monotonic() >= sweep:
                sweep = time.monotonic() + SWEEP_EVERY
                self._sweep()
            if time.monotonic() - synced >= SYNC_EVERY:
                synced = time.monotonic()
                for delivery in list(self._deliveries):
                    delivery.spool.sync()

    def _try_turn(self) -> bool:
        """Deliver what waits; False if a destination cannot take it now."""
        with self._turn:
            try:
                for delivery in list(self._deliveries):
                    if not delivery.spool.is_delivered:
                        delivery.run(self._destination(delivery.spool.begin.destination))
                        self._finish(delivery)
                self.trouble = ""
                return True
            except Unavailable as error:
                if not self.trouble:
                    log.warning("runs wait in %s: %s", self.folder, error)
                self.trouble = str(error)
            except Exception:
                log.exception("a spool could not be delivered; it stays")
                self.trouble = "a defect"
            return False

    def _finish(self, delivery: Delivery) -> None:
        if not delivery.closed or not delivery.spool.is_delivered:
            return
        with self._lock:
            if delivery in self._deliveries:
                self._deliveries.remove(delivery)
        delivery.spool.remove()

    def _sweep(self) -> None:
        try:
            self.adopt()
        except (OSError, PerenneError):
            log.exception("what earlier processes left could not be looked through")

    def adopt(self) -> int:
        """Take over what dead processes left, and return how many spools that were."""
        found = orphans(self.folder)
        close_orphans(found)
        for spool in found:
            self.add(spool)
        return len(found)


def close_orphans(spools: Sequence[Spool]) -> None:
    """Say at the end of dead processes' spools that they are over, and so are their runs, unless a living process goes on."""
    for run in dict.fromkeys(spool.begin.run for spool in spools):
        own = [spool for spool in spools if spool.begin.run == run]
        silent = [spool for spool in own if not spool.is_closed]
        over = len(silent) == len(own) and not is_held(own)
        for place, spool in enumerate(silent):
            last = over and place == len(silent) - 1
            spool.append(encode(End("failed", int(spool.path.stat().st_mtime * 1e6)) if last else Close()))
