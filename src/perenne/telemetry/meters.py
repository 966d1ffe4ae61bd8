"""Counting what `/metrics` shows. Whoever counts with a meter is alone in doing so; anybody may read it."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from perenne.formats.prometheus import Family, Sample, histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper edges for durations, in seconds."""

MAX_SERIES = 1_500
_OTHER = "other"


class Histogram:
    """Counts values by size.

    >>> found = Histogram((1.0, 2.0))
    >>> for value in (0.5, 1.0, 7.0): found.observe(value)
    >>> found.cells, found.total
    ([2, 0, 1], 8.5)
    """

    def __init__(self, edges: Sequence[float] = SECONDS) -> None:
        self.edges = tuple(edges)
        self.cells = [0] * (len(self.edges) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.cells[bisect_left(self.edges, value)] += 1
        self.total += value

    def samples(self, labels: Mapping[str, str]) -> list[Sample]:
        """Return its samples."""
        return histogram(labels, self.edges, list(self.cells), self.total)


class RequestMeter:
    """Counts requests by method, route and status, and how long each route takes.

    Methods and routes are those the server has, and there are no more series than `MAX_SERIES`: no caller can make more.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._counts: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = (method, route, status)
        if key not in self._counts and len(self._counts) >= MAX_SERIES:
            key = (_OTHER, _OTHER, status // 100 * 100)
        self._counts[key] = self._counts.get(key, 0) + 1
        durations = self._durations.get(key[:2])
        if durations is None:
            durations = self._durations[key[:2]] = Histogram()
        durations.observe(seconds)

    def families(self) -> Iterator[Family]:
        """Go through what was counted."""
        counts = [
            Sample({"method": method, "route": route, "status": str(status)}, count)
            for (method, route, status), count in sorted(self._counts.copy().items())
        ]
        yield Family("perenne_http_requests_total", "counter", "Requests answered by the control plane.", counts)
        durations = [
            sample
            for (method, route), found in sorted(self._durations.copy().items())
            for sample in found.samples({"method": method, "route": route})
        ]
        yield Family("perenne_http_request_duration_seconds", "histogram", "From a request's head to its answer.", durations)
        yield Family(
            "perenne_http_requests_in_flight",
            "gauge",
            "Requests being answered, this one included.",
            [Sample({}, self.in_flight)],
        )
