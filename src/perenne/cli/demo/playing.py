"""The demo as it is played: the days one after another, by the real loop; nothing is arranged but the traffic and one fault."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from perenne import automation, monitoring, registry, serving
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import local_principal
from perenne.automation import Episode, list_episodes, run_round
from perenne.cli.demo.audience import Audience
from perenne.cli.demo.days import Days
from perenne.cli.demo.deciding import Decisions
from perenne.cli.demo.folder import FLIGHTS, lay_flights, prepare
from perenne.cli.demo.page import Page, has_display
from perenne.cli.demo.story import Narrator, Story, by_week
from perenne.cli.demo.traffic import MINUTES, Answered, Archive, Caller, Fault
from perenne.core.clock import ManualClock, parse_time
from perenne.core.config import load_settings
from perenne.core.interrupts import is_interrupt
from perenne.projects import load_project
from perenne.registry import GateState
from perenne.serving import ModelServer
from perenne.storage.workspace import Workspace
from perenne.telemetry import logs
from perenne.telemetry.heartbeats import Heartbeat

if TYPE_CHECKING:
    from perenne.monitoring.service import Health

NAME = "flight-delays"
OPENING = "2013-03-28"
FAULT_FROM = parse_time("2013-04-30")
"""The fault begins on the first day from here on without an open episode, …"""
FAULT_BY = parse_time("2013-05-14")
"""… but here at the latest."""
FAULTY_DAYS = 4
"""So long it lasts at most; it is mended a day after it was noticed."""
DAYS_AFTER = 4
LIVING_DAY = 8.0
"""Seconds for a day once the story is told."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the demo is played.

    Attributes
    ----------
    fast : bool
        Half the flights.
    pace : float or None
        Seconds for a day; None leaves it to who watches.
    yes : bool
        Ask nobody.
    once : bool
        End with the story.
    browser : bool
        Open one, if it can be seen.
    port : int or None
        The page's; None takes the usual or a free one.
    quiet : bool
        Tell nothing on stderr.
    """

    fast: bool = False
    pace: float | None = None
    yes: bool = False
    once: bool = False
    browser: bool = False
    port: int | None = None
    quiet: bool = False


def play(folder: Path, options: Options) -> Story:
    """Play the demo in a folder, which is made anew; go on afterwards while somebody looks on.

    Raises
    ------
    Conflict, Unavailable
        If the folder holds something that is not an earlier demo, or the page's port is taken.
    """
    started = time.monotonic()
    prepare(folder)
    settings = load_settings(folder, {})
    settings.home.mkdir(exist_ok=True)
    logs.configure("perenne-demo", file=settings.home / "demo.log")
    clock = ManualClock(parse_time(OPENING))
    with Workspace(settings, clock) as workspace:
        platform = Platform(workspace, replay=True)
        with Page(workspace, platform.loop.pulse, options.port) as page:
            return _Play(folder, workspace, clock, platform, page, options, started).whole()


class _Play:
    """Plays the acts."""

    def __init__(
        self,
        folder: Path,
        workspace: Workspace,
        clock: ManualClock,
        platform: Platform,
        page: Page,
        options: Options,
        started: float,
    ) -> None:
        self._folder = folder
        self._workspace = workspace
        self._clock = clock
        self._platform = platform
        self._page = page
        self._options = options
        self._started = started
        self._person = local_principal()
        self._audience = Audience(page, options.pace)
        self._narrator = Narrator(workspace, self._audience.read_sentence, quiet=options.quiet)
        self._decisions = Decisions(
            workspace, self._person, self._audience, self._narrator, page.url, platform.loop.turn, yes=options.yes
        )
        self._days: Days | None = None
        self._puzzle = ""
        self._broken = 0
        self._heard: set[str] = set()

    def whole(self) -> Story:
        """Play all acts, then go on while somebody looks on."""
        self._narrator.begin("from data to service")
        self._show_page()
        lay_flights(self._folder, fast=self._options.fast)
        if not self._first_round():
            return self._end()
        with self._serving() as days:
            self._narrator.begin("the world moves")
            self._let_drift(days)
            self._narrator.begin("a fault upstream, injected by the demo")
            self._break(days)
            self._mend(days)
            story = self._end()
            try:
                self._live_on(days)
            except (KeyboardInterrupt, RuntimeError) as error:
                if not is_interrupt(error):
                    raise
        return story

    def _show_page(self) -> None:
        self._narrator.say("page", f"{self._page.url} shows all of it, live")
        if self._options.browser and self._audience.terminal and has_display():
            self._page.show()

    def _first_round(self) -> bool:
        """Train on the first three months, have the model approved; tell whether it went into service."""
        say = self._narrator.say
        say("data", "flights from New York, from January to 27 March 2013, with the weather of the hour before departure")
        done = run_round(self._workspace, self._person, load_project(self._folder))
        plan = done.outcome.plan
        for trial in done.outcome.chosen.trials:
            reached = f"{trial.metric} {trial.value:.3f} on validation in {trial.seconds:.1f} s CPU"
            say("train", f"{trial.estimator} {trial.parameters}: {reached}")
        held = plan.rows - plan.validation
        say("train", f"{plan.train} rows to learn from, {plan.validation - plan.train} to choose by, {held} to judge by")
        self._settle()
        with self._workspace.database.read() as tx:
            gate = registry.dossier(tx, done.version.id).gate
        if gate.state is not GateState.OPEN:
            say("review", f"{done.version.id} may not serve: {'; '.join(gate.reasons)}. Nothing answers; the story ends here")
        return gate.state is GateState.OPEN

    @contextmanager
    def _serving(self) -> Iterator[Days]:
        """Serve the model over HTTP, and have the recorded days at hand."""
        settings = self._workspace.settings
        with ModelServer(settings.releases / NAME, settings.logs, settings.spool, settings.host, 0) as server:
            server.wait_ready()
            self._narrator.say("serve", f"{NAME} answers on {server.url}/v2/models/{NAME}/infer")
            with (
                closing(Caller(server.port, NAME)) as caller,
                closing(Archive(self._folder / FLIGHTS)) as archive,
                Heartbeat(settings.home, "model-server", NAME, server.url, server.state),
            ):
                self._days = Days(self._workspace, self._clock, self._person, server, caller, archive)
                yield self._days

    def _day(self, days: Days, fault: Fault | None = None, seconds: float | None = None) -> list[Answered]:
        """Play a day, and let the loop act on what it sees at its end."""
        answered = days.play(self._audience.day if seconds is None else seconds, fault)
        self._settle(wait=seconds is None)
        return answered

    def _settle(self, *, wait: bool = True) -> None:
        """Let the loop do all there is to do at this instant; have decided what waits for a person; tell what happened."""
        while True:
            self._platform.loop.settle()
            self._narrator.narrate()
            jobs = self._platform.errands.drain() + self._platform.trainer.drain()
            self._platform.loop.settle()
            self._narrator.narrate()
            decided = self._decisions.approve_waiting(NAME) if wait else 0
            if not jobs and not decided:
                return

    def _let_drift(self, days: Days) -> None:
        """Play the days as they were, until a quiet one in May."""
        while self._clock.now() < FAULT_FROM or (self._clock.now() < FAULT_BY and self._episode_is_open()):
            self._day(days)

    def _break(self, days: Days) -> None:
        """Send a column otherwise, until a day after the loop has stopped the model, or for some days if it does not."""
        self._broken = self._clock.now()
        self._announce("demo.fault_injected", f"injected by the demo: {MINUTES.told}")
        for _ in range(FAULTY_DAYS):
            noticed = self._stopped()
            answered = self._day(days, MINUTES)
            self._name_cause()
            warned = sum(item.warned for item in answered)
            self._narrator.say("serve", f"that day {warned} of {len(answered)} passengers were warned, by {_who(answered)}")
            self._explain(answered)
            if noticed:
                return

    def _mend(self, days: Days) -> None:
        """Send the column as before; after a day, ask whether the model may answer again; look on as it recovers."""
        self._announce("demo.fault_mended", f"mended upstream: {MINUTES.column} comes in hours again")
        self._day(days)
        if self._stopped():
            self._decisions.resume(NAME)
            self._settle()
        for _ in range(DAYS_AFTER):
            self._day(days)
        health = self._health()
        rules = ", ".join(alert.rule for alert in health.alerts) or "none"
        self._narrator.say("monitor", f"{NAME} stands at {health.state}; open alerts: {rules}")

    def _announce(self, action: str, text: str) -> None:
        """Say what the demo does to the traffic, in the audit trail as well."""
        change = {"column": MINUTES.column}
        self._workspace.database.write(
            lambda tx: audit.record(tx, self._person, action, "deployment", NAME, after=change, reason=text)
        )
        self._narrator.narrate()

    def _name_cause(self) -> None:
        """Tell what an alert for drift says that was open before the fault: it goes on, and is no news in the audit trail."""
        for alert in self._health().alerts:
            earlier = alert.rule == "drift" and alert.opened < self._broken and alert.summary not in self._heard
            if earlier and any(cause.feature == MINUTES.column for cause in alert.causes):
                self._heard.add(alert.summary)
                self._narrator.say("monitor", f"alert goes on: {alert.summary}")

    def _explain(self, answered: list[Answered]) -> None:
        """Ask why of one answer to a faulty request, once: what the model was told, and what it had known."""
        if self._puzzle or not answered or answered[-1].variant != "champion":
            return
        self._puzzle = answered[-1].prediction_id
        found = automation.why(self._workspace, self._puzzle)
        value = next(item for item in found.inputs if item.name == MINUTES.column)
        known = "known" if value.known else "never seen"
        text = f"{value.name} was {value.value}, {known} (learned from {value.range}); it moved the score by {value.effect:+.2f}"
        self._narrator.say("why", f"{self._puzzle}: {text}")

    def _episode_is_open(self) -> bool:
        return any(episode.open for episode in self._episodes())

    def _episodes(self) -> list[Episode]:
        with self._workspace.database.read() as tx:
            return list_episodes(tx, NAME)

    def _health(self) -> "Health":
        with self._workspace.database.read() as tx:
            return monitoring.service.deployment_health(tx, NAME, windows=1)

    def _stopped(self) -> bool:
        with self._workspace.database.read() as tx:
            return NAME in serving.service.stopped(tx)

    def _live_on(self, days: Days) -> None:
        """Go on answering and turning while somebody looks on, without waiting for anybody."""
        if self._options.once or not self._audience.stays:
            return
        self._narrator.begin("it goes on")
        told = (
            f"{self._page.url} stays, and so does traffic, a day in {LIVING_DAY:g} s; what needs you waits there; Ctrl-C ends it"
        )
        self._narrator.say("page", told)
        while self._audience.stays and not days.over:
            self._day(days, seconds=LIVING_DAY)
        if self._audience.stays:
            self._narrator.say("serve", "the recorded flights end here; model server and page stay until Ctrl-C")
        while self._audience.stays:
            self._settle(wait=False)
            time.sleep(1)

    def _end(self) -> Story:
        """Sum up."""
        with self._workspace.database.read() as tx:
            champion = registry.placing.aliased(tx, NAME, "champion")
            performance = by_week(monitoring.tallies.realised_series(tx, NAME, "roc_auc"))
        for week in performance:
            realised = f"roc_auc {week.roc_auc:.3f} realised on {week.flights} flights"
            self._narrator.say("monitor", f"week of {week.week}: {realised}, {week.versions}")
        days = self._days
        return Story(
            folder=str(self._folder),
            page=self._page.url,
            seconds=round(time.monotonic() - self._started, 1),
            flights=days.flights if days else 0,
            requests=days.requests if days else 0,
            labels=days.labels if days else 0,
            acts=tuple(self._narrator.acts),
            episodes=tuple(reversed(self._episodes())),
            champion=champion.id if champion else "",
            stopped=self._stopped(),
            performance=performance,
            prediction=self._puzzle or (days.last if days else ""),
        )


def _who(answered: list[Answered]) -> str:
    """Name who answered: the champion, the previous version, a constant."""
    names = ["the constant" if item.variant == "constant" else f"{item.version} ({item.variant})" for item in answered]
    return ", ".join(dict.fromkeys(names))
