"""How the loop goes: when it last turned, how long its turns take, and what in it fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from perenne.formats.prometheus import Family, Sample
from perenne.telemetry.meters import Histogram


class Pulse:
    """Counts the turns of one loop. Times are those of the machine, whatever clock the loop decides by."""

    def __init__(self) -> None:
        self.turned: float | None = None
        self.succeeded: float | None = None
        self.durations = Histogram()
        self.failures: dict[str, int] = {}
        self._sound = True

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Count the block as one turn."""
        started, self._sound = time.monotonic(), True
        yield
        self.durations.observe(time.monotonic() - started)
        self.turned = time.time()
        if self._sound:
            self.succeeded = self.turned

    def fail(self, part: str) -> None:
        """Note that a part of the present turn failed."""
        self._sound = False
        self.failures[part] = self.failures.get(part, 0) + 1

    def age(self) -> float | None:
        """Return the seconds since the end of the last turn; None before the first."""
        return None if self.turned is None else max(0.0, time.time() - self.turned)

    def families(self) -> Iterator[Family]:
        """Go through the figures."""
        yield Family("perenne_loop_turn_duration_seconds", "histogram", "Turns of the loop.", self.durations.samples({}))
        for name, at, description in (
            ("perenne_loop_last_turn_timestamp_seconds", self.turned, "When the loop last turned."),
            ("perenne_loop_last_success_timestamp_seconds", self.succeeded, "When it last turned without a failing part."),
        ):
            yield Family(name, "gauge", description, [] if at is None else [Sample({}, round(at, 3))])
        failures = [Sample({"part": part}, count) for part, count in sorted(self.failures.copy().items())]
        yield Family("perenne_loop_failures_total", "counter", "Parts of a turn that failed.", failures)
