"""What writing to the database costs this process: how many changes are committed together, and how long that takes."""

import threading
from collections.abc import Iterator

from perenne.formats.prometheus import Family
from perenne.telemetry.meters import Histogram

GROUP_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class WriteStatistics:
    """Groups that were committed, by size and by time."""

    def __init__(self) -> None:
        self.sizes = Histogram(GROUP_EDGES)
        self.seconds = Histogram()
        self._lock = threading.Lock()

    def count(self, changes: int, seconds: float) -> None:
        """Count a group: its changes, and how long running and committing them took."""
        with self._lock:  # groups may be committed beside each other
            self.sizes.observe(changes)
            self.seconds.observe(seconds)

    def families(self) -> Iterator[Family]:
        """Go through the figures."""
        yield Family(
            "perenne_database_group_changes", "histogram", "Changes committed together as one group.", self.sizes.samples({})
        )
        yield Family(
            "perenne_database_group_duration_seconds", "histogram", "Running and committing a group.", self.seconds.samples({})
        )


WRITES = WriteStatistics()
"""Those of this process."""
