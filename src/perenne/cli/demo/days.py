"""The recorded days as traffic: requests in the order of the day, what came true of the day before posted at midnight."""

import time
from datetime import UTC

from perenne import monitoring
from perenne.auth.principals import Principal
from perenne.cli.demo.traffic import ROWS_PER_REQUEST, Answered, Archive, Caller, Fault
from perenne.core.clock import DAY, SECOND, ManualClock, format_time
from perenne.serving import ModelServer
from perenne.storage.workspace import Workspace


class Days:
    """Plays one day after another.

    Parameters
    ----------
    workspace : Workspace
        Takes the labels.
    clock : ManualClock
        Moves from midnight to midnight.
    person : Principal
        In whose name labels are posted.
    server : ModelServer
        Writes down what it answered before a day ends.
    caller : Caller
        Asks.
    archive : Archive
        What was flown.

    Attributes
    ----------
    flights, requests, labels : int
        What was asked so far, in how many requests, and of how many it came true.
    last : str
        The id of the newest answer whose label is known.
    """

    def __init__(
        self, workspace: Workspace, clock: ManualClock, person: Principal, server: ModelServer, caller: Caller, archive: Archive
    ) -> None:
        self._workspace = workspace
        self._clock = clock
        self._person = person
        self._server = server
        self._caller = caller
        self._archive = archive
        self._yesterday: list[Answered] = []
        self.flights = self.requests = self.labels = 0
        self.last = ""

    @property
    def over(self) -> bool:
        """Whether the archive ends here."""
        return self._clock.now() >= self._archive.end

    def play(self, seconds: float, fault: Fault | None = None) -> list[Answered]:
        """Ask about the flights of a day, spread over so many seconds, and move on to the next midnight.

        What was changed at midnight is in place before the first request: to a server it is a moment, to a replay half a day.
        """
        self._server.wait_ready()
        day = self._clock.now()
        rows = self._archive.day(day)
        parts = [rows[start : start + ROWS_PER_REQUEST] for start in range(0, len(rows), ROWS_PER_REQUEST)]
        answered: list[Answered] = []
        for part in parts:
            instant = int(part[0]["scheduled"].replace(tzinfo=UTC).timestamp()) * SECOND
            answered += self._caller.ask(part if fault is None else fault.of(part), instant)
            time.sleep(seconds / len(parts))
        self._caller.close()  # somebody may think for longer than an idle connection is kept
        self.requests += len(parts)
        self.flights += len(answered)
        self._server.flush()
        self._clock.advance_to(day + DAY)
        self._post_labels()
        self._yesterday = answered
        return answered

    def _post_labels(self) -> None:
        """Post what came true of the flights of the day before."""
        if self._yesterday:
            at = format_time(self._clock.now())
            rows = [monitoring.labels.LabelRow(item.prediction_id, item.late, at) for item in self._yesterday]
            monitoring.labels.submit_labels(self._workspace, self._person, rows)
            self.labels += len(rows)
            self.last = self._yesterday[-1].prediction_id
