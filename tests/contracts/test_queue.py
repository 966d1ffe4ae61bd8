"""The job queue, locks and schedules keep their contracts on every database."""

from perenne.testing import JobQueueContract, LockContract, ScheduleContract


class TestJobs(JobQueueContract):
    """On the databases of the fixture `database`."""


class TestLocks(LockContract):
    """On the databases of the fixture `database`."""


class TestSchedules(ScheduleContract):
    """On the databases of the fixture `database`."""
