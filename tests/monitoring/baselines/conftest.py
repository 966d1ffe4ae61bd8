"""Weeks of traffic with a season, counted straight into windows."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from tests.monitoring.conftest import DEPLOYMENT, VERSION, Rows, make_rows

from perenne.core.clock import DAY, HOUR, parse_time
from perenne.formats.windows import LATENCY_EDGES_US, WindowPost
from perenne.monitoring import store
from perenne.monitoring.baselines.merging import Addition, add
from perenne.monitoring.judge import judge_due
from perenne.monitoring.model import Stream, Watch, WindowKey, WindowVerdict
from perenne.projects import Monitoring
from perenne.stats.cells import Reference
from perenne.stats.profile import Profile
from perenne.stats.segments import SegmentProfiles
from perenne.storage.workspace import Workspace

STREAM = Stream(DEPLOYMENT, "champion", VERSION)
MONDAY = parse_time("2026-06-01")
"""A Monday at midnight, UTC."""


class Traffic:
    """Counts rows into the windows of a watch, and judges them."""

    def __init__(self, workspace: Workspace, watched: Watch, reference: Reference) -> None:
        self.workspace, self.reference = workspace, reference
        self.watched = watched
        self._sequence = 0

    def plan(self, plan: Monitoring, length: int = DAY) -> None:
        """Watch by a plan, in windows of a length, without objectives."""
        bare = msgspec.structs.replace(self.watched, plan=plan, window_length=length, objectives=(), guardrails=())
        self.watched = msgspec.structs.replace(bare, confirm=1, clear=1)
        self.workspace.database.write(lambda tx: store.save_watch(tx, self.watched))

    def count(self, rows: Rows, start: int, length: int = DAY, *, dropped: int = 0, columns: tuple[str, ...] = ()) -> None:
        """Add rows to the window that starts at an instant."""
        profile = Profile.empty(self.reference)
        segments = SegmentProfiles(self.reference, self.reference.segments.segments)
        if len(rows.wind):
            segments.add(rows.columns, profile.add(rows.columns, rows.predictions, rows.scores))
        self._sequence += 1
        post = WindowPost(
            observer="t",
            boot="b",
            sequence=self._sequence,
            deployment=DEPLOYMENT,
            variant="champion",
            version=VERSION,
            reference=self.watched.reference,
            window_start=start,
            window_length=length,
            rows=profile.rows,
            dropped=dropped,
            errors=0,
            first=start,
            last=start + 1,
            latency=[0] * (len(LATENCY_EDGES_US) + 1),
            profile=profile.to_bytes(),
            segments=segments.to_bytes() if segments.profiles else b"",
            columns=columns,
        )
        self.workspace.database.write(lambda tx: add(tx, [Addition(post, self.watched, self.reference, profile)]))

    def judge(self, now: int = MONDAY + 400 * DAY) -> int:
        """Judge what has ended."""
        return judge_due(self.workspace, now)

    def verdict(self, start: int, length: int = DAY) -> WindowVerdict:
        """The verdict on a window."""
        with self.workspace.database.read() as tx:
            found = store.find_verdict(tx, WindowKey(STREAM, start, length))
        assert found is not None
        return found

    def days(self, count: int, rows: Callable[[int], Rows], first: int = 0) -> list[WindowVerdict]:
        """Count days one after another, each judged before the next comes; return what they came to."""
        found = []
        for day in range(first, first + count):
            self.count(rows(day), MONDAY + day * DAY)
            self.judge()
            found.append(self.verdict(MONDAY + day * DAY))
        return found


@pytest.fixture
def traffic(workspace: Workspace, watched: Watch, reference: Reference) -> Traffic:
    return Traffic(workspace, watched, reference)


def seasonal(day: int, *, shift: float = 0.0) -> Rows:
    """A day on whose weekends the wind is two standard deviations stronger."""
    return make_rows(400, 1_000 + day, shift=(2.0 if day % 7 >= 5 else 0.0) + shift)


def of_group(rows: Rows, group: str, shift: float) -> Rows:
    """The rows, with more wind for one carrier."""
    return msgspec.structs.replace(rows, wind=np.where(rows.carrier == group, rows.wind + shift, rows.wind))


__all__ = ["DAY", "HOUR", "MONDAY", "STREAM", "Traffic", "make_rows", "of_group", "seasonal"]
