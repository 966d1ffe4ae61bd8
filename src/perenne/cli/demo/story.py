"""The story of the demo: what happens, as it happens, with the figures the loop itself recorded."""

import shutil
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec

from perenne import monitoring, registry
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.audit import AuditRecord
from perenne.auth.principals import local_principal
from perenne.automation import Episode, list_episodes, run_round
from perenne.cli.demo.flights.tables import write_flights
from perenne.cli.demo.narration import narrate
from perenne.cli.demo.traffic import ROWS_PER_REQUEST, Answered, Archive, Caller
from perenne.core.clock import DAY, SECOND, ManualClock, format_time, parse_time
from perenne.core.config import load_settings
from perenne.core.errors import Conflict
from perenne.projects import load_project
from perenne.registry import GateState
from perenne.serving import ModelServer
from perenne.storage.workspace import Workspace
from perenne.telemetry import logs

NAME = "flight-delays"
MARK = ".perenne-demo"
SHOWN_BEFORE_END = 10 * DAY  # an answer whose week has been judged by the end
OPENING = "2013-03-28"
REASON = "the demo stands in for the person at the screen"


class Line(msgspec.Struct, frozen=True):
    """A sentence of the story: the day it happened on, and the stage of the loop it belongs to."""

    day: str
    stage: str
    text: str


class Week(msgspec.Struct, frozen=True):
    """What came true in one week: the mean of the days' ROC areas, weighted by their flights, and who had answered."""

    week: str
    roc_auc: float
    flights: int
    versions: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The whole story as data.

    Attributes
    ----------
    folder : str
        Where the project and its workspace are.
    seconds : float
        How long it took.
    flights, requests : int
        What was asked, in how many HTTP requests.
    labels : int
        What came true, posted a day later.
    episodes : tuple of Episode
        The retrainings, oldest first.
    champion : str
        Who answers at the end.
    performance : tuple of Week
        Realised performance of the champions.
    prediction : str
        The id of an answer to ask `perenne why` about.
    """

    folder: str
    seconds: float
    flights: int
    requests: int
    labels: int
    lines: tuple[Line, ...]
    episodes: tuple[Episode, ...]
    champion: str
    performance: tuple[Week, ...]
    prediction: str


def tell(folder: Path, *, fast: bool, quiet: bool = False) -> Story:
    """Play the demo in a folder, which is made anew.

    Raises
    ------
    Conflict
        If the folder holds something that is not an earlier demo.
    """
    started = time.monotonic()
    prepare(folder, fast=fast)
    settings = load_settings(folder, {})
    settings.home.mkdir(exist_ok=True)
    logs.configure("perenne-demo", file=settings.home / "demo.log")
    clock = ManualClock(parse_time(OPENING))
    with Workspace(settings, clock) as workspace:
        teller = _Teller(workspace, clock, folder, quiet)
        if teller.first_round():
            teller.live(until=parse_time("2013-05-06" if fast else "2013-06-16"))
        return teller.end(time.monotonic() - started)


def prepare(folder: Path, *, fast: bool) -> None:
    """Make the demo's folder: its project and its flights."""
    if folder.exists():
        if not (folder / MARK).exists() and any(folder.iterdir()):
            raise Conflict(f"{folder} is not an earlier demo", code="demo.folder", hint="name another with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    shutil.copyfile(Path(__file__).parent / "flights" / "project.py", folder / "project.py")
    write_flights(folder / "flights.parquet", until="2013-08-01", every=2 if fast else 1)


class _Teller:
    """Plays the days one after another and tells what the loop did."""

    def __init__(self, workspace: Workspace, clock: ManualClock, folder: Path, quiet: bool) -> None:
        self._workspace = workspace
        self._clock = clock
        self._folder = folder
        self._quiet = quiet
        self._person = local_principal()
        self._platform = Platform(workspace, replay=True)
        self._told = 0
        self._lines: list[Line] = []
        self._flights = self._requests = self._labels = 0
        self._last = ""

    def say(self, stage: str, text: str) -> None:
        """Tell one sentence, on stderr as it happens."""
        line = Line(format_time(self._clock.now())[:10], stage, text)
        self._lines.append(line)
        if not self._quiet:
            print(f"{line.day}  {stage:<8}  {text}", file=sys.stderr, flush=True)  # noqa: T201

    def first_round(self) -> bool:
        """Train on the first three months; tell whether the model went into service."""
        self.say("data", "flights from New York, from January to 27 March 2013, with the weather of the hour before departure")
        done = run_round(self._workspace, self._person, load_project(self._folder))
        plan = done.outcome.plan
        for trial in done.outcome.chosen.trials:
            reached = f"{trial.metric} {trial.value:.3f} on validation in {trial.seconds:.1f} s CPU"
            self.say("train", f"{trial.estimator} {trial.parameters}: {reached}")
        held = plan.rows - plan.validation
        self.say("train", f"{plan.train} rows to learn from, {plan.validation - plan.train} to choose by, {held} to judge by")
        self._settle()
        with self._workspace.database.read() as tx:
            gate = registry.dossier(tx, done.version.id).gate
        if gate.state is not GateState.OPEN:
            self.say("review", f"{done.version.id} may not serve: {'; '.join(gate.reasons)}")
        return gate.state is GateState.OPEN

    def live(self, until: int) -> None:
        """Serve the days that follow, and let the loop act on what it sees."""
        settings = self._workspace.settings
        archive = Archive(self._folder / "flights.parquet")
        with ModelServer(settings.releases / NAME, settings.logs, settings.spool, settings.host, 0) as server:
            server.wait_ready()
            caller = Caller(server.port, NAME)
            self.say("serve", f"{NAME} answers on http://127.0.0.1:{server.port}/v2/models/{NAME}/infer")
            yesterday: list[Answered] = []
            while (day := self._clock.now()) < until:
                today = self._day(caller, archive.day(day))
                if today and day < until - SHOWN_BEFORE_END:
                    self._last = today[-1].prediction_id
                server.flush()
                self._clock.advance_to(day + DAY)
                self._post_labels(yesterday)
                yesterday = today
                self._settle()
            caller.close()
        archive.close()

    def _day(self, caller: Caller, rows: list[dict[str, Any]]) -> list[Answered]:
        """Ask about one day's flights in their order."""
        answered: list[Answered] = []
        for start in range(0, len(rows), ROWS_PER_REQUEST):
            part = rows[start : start + ROWS_PER_REQUEST]
            instant = int(part[0]["scheduled"].replace(tzinfo=UTC).timestamp()) * SECOND
            answered += caller.ask(part, instant)
            self._requests += 1
        self._flights += len(answered)
        return answered

    def _post_labels(self, answered: list[Answered]) -> None:
        """Post what came true of the flights of the day before."""
        if answered:
            now = self._clock.now()
            rows = [monitoring.labels.LabelRow(item.prediction_id, item.late, format_time(now)) for item in answered]
            monitoring.labels.submit_labels(self._workspace, self._person, rows)
            self._labels += len(rows)

    def _settle(self) -> None:
        """Let the loop do all there is to do at this instant; approve what waits for a person; tell what happened."""
        while True:
            self._platform.loop.settle()
            jobs = self._platform.errands.drain() + self._platform.trainer.drain()
            self._platform.loop.settle()
            approved = self._approve()
            self._narrate()
            if not jobs and not approved:
                return

    def _approve(self) -> int:
        with self._workspace.database.read() as tx:
            dossiers = [registry.dossier(tx, version.id) for version in registry.versions(tx, NAME)]
        waiting = [found.version.id for found in dossiers if found.gate.state is GateState.WAITING]
        for version in waiting:
            self._workspace.database.write(
                lambda tx, version=version: registry.decide(tx, self._person, version, approve=True, reason=REASON)  # type: ignore[misc]
            )
        return len(waiting)

    def _narrate(self) -> None:
        """Turn the audit records since the last time into sentences: the story is what is in the trail, and nothing else."""
        with self._workspace.database.read() as tx:
            records: list[AuditRecord] = audit.trail(tx, limit=500)
        for record in sorted(records, key=lambda record: record.seq):
            if record.seq > self._told:
                self._told = record.seq
                for stage, text in narrate(record):
                    self.say(stage, text)

    def end(self, seconds: float) -> Story:
        """Sum up."""
        with self._workspace.database.read() as tx:
            champion = registry.aliased(tx, NAME, "champion")
            episodes = tuple(reversed(list_episodes(tx, NAME)))
            performance = _by_week(monitoring.tallies.realised_series(tx, NAME, "roc_auc"))
        for week in performance:
            realised = f"roc_auc {week.roc_auc:.3f} realised on {week.flights} flights"
            self.say("monitor", f"week of {week.week}: {realised}, {week.versions}")
        return Story(
            folder=str(self._folder),
            seconds=round(seconds, 1),
            flights=self._flights,
            requests=self._requests,
            labels=self._labels,
            lines=tuple(self._lines),
            episodes=episodes,
            champion=champion.id if champion else "",
            performance=performance,
            prediction=self._last,
        )


def _by_week(points: list[monitoring.tallies.RealisedPoint]) -> tuple[Week, ...]:
    weeks: dict[int, list[monitoring.tallies.RealisedPoint]] = {}
    for point in points:
        weeks.setdefault(point.start // (7 * DAY), []).append(point)
    return tuple(
        Week(
            format_time(week[0].start)[:10],
            sum(point.value * point.rows for point in week) / sum(point.rows for point in week),
            sum(point.rows for point in week),
            ", ".join(dict.fromkeys(point.version for point in week)),
        )
        for week in weeks.values()
    )
