"""Removing rows of the log that are older than their deployment keeps them: whole hours, file by file, while it is being read.

The log lies by model and version, and two deployments may serve one version. A file goes only if every row in it is of the
deployment, as its statistics say; one that two deployments share stays.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from perenne.core.clock import HOUR
from perenne.serving.compaction import locked

log = logging.getLogger("perenne.observer")


class Retention:
    """Removes what is kept no longer, once an hour.

    Parameters
    ----------
    logs : Path
        The folder of logs.
    kept : callable
        Tells a deployment, and for how many microseconds its rows are kept; 0 for good.
    """

    def __init__(self, logs: Path, kept: Callable[[], tuple[str, int]]) -> None:
        self._logs = logs
        self._kept = kept
        self._done = 0

    def work(self, now: int) -> None:
        """Remove what is due at an instant, microseconds since 1970."""
        deployment, keep = self._kept()
        if not keep or now < self._done + HOUR:
            return
        self._done = now
        try:
            remove_old(self._logs, deployment, now - keep)
        except Exception as error:
            log.error("old rows cannot be removed: %s: %s", type(error).__name__, error)


def remove_old(logs: Path, deployment: str, before: int) -> int:
    """Remove the files of a deployment's hours that were over at an instant (microseconds since 1970); return how many."""
    from perenne.serving.log import hour_of

    removed = 0
    for folder in sorted((logs / "inference").glob("model=*/version=*/date=*/hour=*")):
        if hour_of(folder) + HOUR > before:
            continue
        with locked(folder) as mine:
            if mine:
                removed += sum(_remove(path, deployment) for path in folder.glob("[!.]*.parquet"))
        with contextlib.suppress(OSError):  # something is left in it, or in the day
            folder.rmdir()
            folder.parent.rmdir()
    if removed:
        log.info("%d files of %s were older than it keeps rows, and are removed", removed, deployment)
    return removed


def _remove(path: Path, deployment: str) -> bool:
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (OSError, ValueError):
        return False
    place = metadata.schema.to_arrow_schema().get_field_index("deployment")
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group).column(place).statistics
        if found is None or not found.has_min_max or found.min != deployment or found.max != deployment:
            return False
    path.unlink(missing_ok=True)
    return True
