"""What `/metrics` of the control plane shows: requests, process, loop and writer, what waits in the database, what is watched."""

import asyncio
import platform
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import perenne
from perenne import automation, monitoring
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core.clock import SystemClock
from perenne.formats import prometheus
from perenne.formats.prometheus import Family, Sample
from perenne.storage import backlog
from perenne.storage.backlog import Waiting
from perenne.storage.database import Database, Transaction
from perenne.storage.statistics import WRITES
from perenne.telemetry import process
from perenne.telemetry.meters import RequestMeter
from perenne.telemetry.pulse import Pulse

FRESH_SECONDS = 5.0
WATCHED_SECONDS = 15.0


class Figures:
    """The figures of one control plane. What is read from the database is kept for a few seconds, however many ask.

    Parameters
    ----------
    database : Database
        Where jobs, events and episodes are.
    meter : RequestMeter
        Of the requests.
    pulse : Pulse, optional
        Of the loop beside it, if there is one.
    """

    def __init__(self, database: Database, meter: RequestMeter, pulse: Pulse | None) -> None:
        self._database = database
        self._meter = meter
        self._pulse = pulse
        self._lock = threading.Lock()
        self._stored: list[Family] = []
        self._read_at: float | None = None
        self._watched: list[Family] = []
        self._watched_at: float | None = None

    def page(self) -> bytes:
        """Return the page."""
        return prometheus.render(self._families())

    def _families(self) -> Iterator[Family]:
        yield build_info()
        yield from process.families()
        yield from self._meter.families()
        yield from WRITES.families()
        if self._pulse is not None:
            yield from self._pulse.families()
        yield from self._from_database()

    def _from_database(self) -> Iterable[Family]:
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                with self._database.read() as tx:
                    self._stored = list(stored_families(tx, SystemClock().now()))
                self._read_at = time.monotonic()
            if self._watched_at is None or time.monotonic() - self._watched_at > WATCHED_SECONDS:
                with self._database.read() as tx:
                    self._watched = monitoring.alerting.figures.families(tx)
                self._watched_at = time.monotonic()
            return [*self._stored, *self._watched]


def stored_families(tx: Transaction, now: int) -> Iterator[Family]:
    """Go through what the database says at an instant, in microseconds since 1970."""
    jobs, events = backlog.job_backlog(tx), backlog.event_backlog(tx)
    yield Family(
        "perenne_jobs",
        "gauge",
        "Jobs that are not done, by kind and state.",
        [Sample({"kind": item.kind, "state": item.state}, item.count) for item in jobs],
    )
    ages = [Sample({"kind": item.kind}, _age(item, now)) for item in jobs if item.state == "queued"]
    yield Family("perenne_jobs_oldest_due_seconds", "gauge", "How long the oldest queued job could have run.", ages)
    yield Family(
        "perenne_outbox_events",
        "gauge",
        "Events that were not delivered, by name and state.",
        [Sample({"event": item.kind, "state": item.state}, item.count) for item in events],
    )
    ages = [Sample({"event": item.kind}, _age(item, now)) for item in events if item.state == "waiting"]
    yield Family("perenne_outbox_oldest_waiting_seconds", "gauge", "Age of the oldest event that waits.", ages)
    yield Family(
        "perenne_episodes",
        "gauge",
        "Open retraining episodes, by state.",
        [Sample({"state": state}, count) for state, count in sorted(automation.episodes.count_open_episodes(tx).items())],
    )


def build_info() -> Family:
    """Say which program this is."""
    labels = {
        "version": perenne.__version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": f"{platform.system().lower()}-{platform.machine()}",
    }
    return Family("perenne_build_info", "gauge", "Always 1; the labels say which program this is.", [Sample(labels, 1)])


def _age(item: Waiting, now: int) -> float:
    """Return the seconds since the oldest was due, 0 if it is due later."""
    return max(0, now - item.oldest) / 1e6


@needs(Action.READ)
async def get_metrics(request: Request) -> Response:
    """Give the figures as Prometheus reads them."""
    figures: Figures = request.app.state.figures
    return Response(await asyncio.to_thread(figures.page), media_type=prometheus.CONTENT_TYPE.decode())


routes = [Route("/metrics", get_metrics, methods=["GET"])]
