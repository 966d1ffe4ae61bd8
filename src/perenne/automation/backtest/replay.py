"""A rule replayed over the past, window by window: what it would have heard, opened, trained and promoted. Pure.

Every decision is one of `perenne.automation.deciding`, which the loop asks as well. What the world was like is asked of a
`World`: that of a workspace is `history`, that of a simulated year a few lines of a study.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from perenne import monitoring
from perenne.automation import deciding
from perenne.automation.backtest.model import Bout, Compared, Measured, Point, Stretch, Track, Trained, sum_up
from perenne.automation.deciding import Harm, Move, Signal, Spent, Trial
from perenne.automation.harm import MOST_WINDOWS, drifted_in, judged_harm
from perenne.automation.model import CLOSED, IN_TRIAL, Episode, EpisodeState, Step
from perenne.core.calendar import next_time
from perenne.monitoring import WindowVerdict
from perenne.projects import AllOf, Cron, Objective, Promotion, RetrainPolicy, Trigger
from perenne.registry import Verdict

S = EpisodeState


class Beside(msgspec.Struct, frozen=True):
    """What a challenger did unseen in a window: rows, those with a label, and those that only one of the two has right."""

    rows: int
    labelled: int
    wins: int
    losses: int


class Heard(msgspec.Struct, frozen=True):
    """What monitoring says of one window: the verdict, its findings, and what labels measured."""

    verdict: WindowVerdict
    findings: tuple[monitoring.replaying.Finding, ...]
    measured: Measured | None


class World(Protocol):
    """What happened, as it is asked."""

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The windows, oldest first."""
        ...

    @property
    def objectives(self) -> Sequence[Objective]:
        """What the models are held to."""
        ...

    @property
    def clear(self) -> int:
        """How many windows without alarm resolve an alert."""
        ...

    def labelled_at(self, window: int) -> int | None:
        """Tell when the labels of a window were known; None if they never were."""
        ...

    def labels(self, window: int) -> int:
        """Count the labelled rows of a window."""
        ...

    def hear(self, model: str, window: int, *, labels: bool) -> Heard:
        """Judge a window as if a model had answered it, with its labels or without."""
        ...

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Train on what was known at an instant, and hold it against a champion; rows from `since` on are the new ones."""
        ...

    def beside(self, challenger: str, champion: str, window: int) -> Beside:
        """Let a challenger answer a window unseen."""
        ...

    def later(self, challenger: str, champion: str, since: int) -> Compared | None:
        """Compare two models on labels of windows that began after an instant."""
        ...


Accept = Callable[[Trained], bool]


class Rule(msgspec.Struct, frozen=True):
    """Something to be replayed: a policy, or a simple rule that has a test of its own, no shadow, no soak and no way back.

    Attributes
    ----------
    accept : callable, optional
        Tells whether what was trained is promoted at once.
    """

    name: str
    policy: RetrainPolicy
    words: tuple[str, ...]
    accept: Accept | None = None


def simple_rules(policy: RetrainPolicy) -> tuple[Rule, ...]:
    """Return the rules that a policy is held against: retrain weekly and take what looks better, and never."""
    return (
        simple_rule(
            "weekly", policy, (Cron("0 0 * * 1"),), "Retrains every Monday; promotes what has the greater mean.", mean_greater
        ),
        Rule("never", msgspec.structs.replace(policy, on=()), ("Never retrains.",)),
    )


def simple_rule(name: str, policy: RetrainPolicy, on: tuple[Trigger, ...], words: str, accept: Accept) -> Rule:
    """Return a rule that trains like a policy, and neither rests nor asks for more than its own test."""
    bare = msgspec.structs.replace(
        policy, on=on, cooldown=0, debounce=0, skip_unneeded=False, blackout=(), runs_per_month=1_000_000,
        cpu_hours_per_month=0.0, money_per_month=0.0, false_promotions_per_year=0.0,
    )  # fmt: skip
    return Rule(name, bare, (words,), accept)


def mean_greater(trained: Trained) -> bool:
    """Take what looks better, by however little.

    >>> mean_greater(Trained(model="m@2", verdict=Verdict.FAIL, detail="", compared=Compared(0.001, -0.1, 0.1, 50)))
    True
    """
    return trained.compared is not None and trained.compared.difference > 0


def whatever(trained: Trained) -> bool:
    """Take whatever was made."""
    return bool(trained.model)


def replay(
    world: World, rule: Rule, first: str, *, price: float | None = None, hear: Callable[[int], None] | None = None
) -> Track:
    """Replay a rule.

    Parameters
    ----------
    first : str
        The model that answers at the beginning.
    price : float, optional
        Of an hour of CPU.
    hear : callable, optional
        Told after every window how many are done; may raise to stop.
    """
    run = _Run(world, rule, first)
    for place in range(len(world.stretches)):
        run.turn(place)
        if hear is not None:
            hear(place + 1)
    bouts = tuple(run.judged())
    return Track(rule.name, rule.words, bouts, tuple(run.points), sum_up(bouts, run.points, price))


class _Seen:
    """What the open episode has gathered beside its state."""

    def __init__(self, trigger: Trigger, cause: str) -> None:
        self.triggers, self.causes = [trigger], [cause]
        self.steps: list[Step] = []
        self.trained: Trained | None = None
        self.ready = 0
        self.beside: dict[int, Beside] = {}


class _Run:
    """One rule on its way through the past."""

    def __init__(self, world: World, rule: Rule, first: str) -> None:
        self._world, self._rule, self._policy = world, rule, rule.policy
        self._champion = self._previous = first
        self._books: dict[str, monitoring.replaying.AlertBook] = {}
        self._drifted: list[tuple[str, ...]] = []
        self._missed: frozenset[str] = frozenset()  # what fired of the champion before
        self._verdicts: dict[int, WindowVerdict] = {}
        self._episode: Episode | None = None
        self._last: Episode | None = None
        self._seen = _Seen(Cron("0 0 1 1 *"), "")
        self._closed: list[Bout] = []
        self._heard: dict[Trigger, int] = {}
        self._trainings: list[tuple[int, float]] = []
        self._alphas: list[tuple[int, float]] = []
        self._since = 0  # the window from which the champion answers
        self._realised: set[int] = set()
        self._answered: list[str] = []
        self._calendars: dict[Cron, int | None] = {}
        self._begin = world.stretches[0].start if world.stretches else 0
        self.points: list[Point] = []

    def turn(self, place: int) -> None:
        """Live through one window: it is answered, judged, and acted upon when it has ended."""
        stretch = self._world.stretches[place]
        champion, now = self._champion, stretch.end
        self._answered.append(champion)
        self._advance(now - 1)
        self._watch_trial(place)
        heard = self._world.hear(champion, place, labels=False)
        fired = self._listen(place, heard)
        for late in self._labelled_by(now):
            fired += self._listen(late, self._world.hear(champion, late, labels=True))
        known = self._world.labelled_at(place) is not None
        measured = self._world.hear(champion, place, labels=True).measured if known else None
        names = tuple(dict.fromkeys(finding.rule for finding in fired))
        self.points.append(Point(stretch.start, stretch.length, champion, heard.verdict.state.value, measured, names))
        self._react(fired, now)
        self._advance(now)
        self._remind(now)
        self._advance(now)

    def judged(self) -> Iterator[Bout]:
        """Return the episodes, each with what labels that came after its decision say of it; the open one as it stands."""
        for bout in [*self._closed, *([self._bout(self._episode)] if self._episode else [])]:
            decided = next((step.time for step in reversed(bout.steps) if step.after in _DECIDED), None)
            if decided is None or not bout.challenger or bout.challenger == bout.champion:
                yield bout
            else:
                yield msgspec.structs.replace(bout, later=self._world.later(bout.challenger, bout.champion, decided))

    def _book(self) -> monitoring.replaying.AlertBook:
        return self._books.setdefault(self._champion, monitoring.replaying.AlertBook(self._world.clear))

    def _labelled_by(self, now: int) -> list[int]:
        """Return the windows of the present champion whose labels have come since they were last judged."""
        places = (place for place in range(self._since, len(self._answered)) if place not in self._realised)
        ready = [place for place in places if (time := self._world.labelled_at(place)) is not None and time <= now]
        self._realised.update(ready)
        return ready

    def _listen(self, place: int, heard: Heard) -> list[monitoring.replaying.Finding]:
        if place == len(self._answered) - 1:
            self._drifted.insert(0, drifted_in(heard.verdict))
        self._verdicts[place] = heard.verdict
        if self._answered[place] != self._champion:
            return []
        return self._book().hear(self._world.stretches[place].start, heard.findings)

    def _react(self, fired: Sequence[monitoring.replaying.Finding], now: int) -> None:
        """Do what events cause: take back what soaks and fails, open an episode, or let the open one hear of it."""
        for finding in fired:
            kind = finding.rule.partition(":")[0]
            soaks = self._episode is not None and self._episode.state is S.SOAKING and kind in ("objective", "guardrail")
            if soaks and deciding.takes_back(kind, missed_before=finding.rule in self._missed):
                self._roll_back(finding.summary, now)
            else:
                self._signal(self._signal_of(finding), finding.summary, now)

    def _signal_of(self, finding: monitoring.replaying.Finding) -> Signal:
        kind, _, rest = finding.rule.partition(":")
        if kind == "drift":
            features = tuple(cause.feature for cause in finding.causes)
            return Signal(kind="drift", features=features, windows=tuple(self._drifted))
        if kind == "concept":
            return Signal(kind="concept", name=rest.partition(":")[0])
        return Signal(kind="missed", name=rest.partition(":")[0].partition(" by ")[0] if kind == "objective" else finding.rule)

    def _remind(self, now: int) -> None:
        """Say what nobody announces: calendars, rows that have gathered, and alerts that still fire after a rest."""
        for trigger in self._policy.on:
            for part in trigger.triggers if isinstance(trigger, AllOf) else (trigger,):
                if isinstance(part, Cron):
                    self._ring(part, now)
        if self._episode is not None or (self._last is not None and now < self._last.rest_until):
            return
        gathered = sum(self._world.labels(place) for place in self._realised)
        self._signal(Signal(kind="rows", count=gathered), f"{gathered} labelled rows", now)
        for finding in list(self._book().firing.values()):
            self._signal(self._signal_of(finding), f"still: {finding.summary}", now)

    def _ring(self, calendar: Cron, now: int) -> None:
        due = self._calendars.setdefault(calendar, next_time(calendar.expression, self._begin, calendar.zone))
        if due is not None and due <= now:
            self._calendars[calendar] = next_time(calendar.expression, now, calendar.zone)
            name = f"{calendar.zone}/{calendar.expression}"
            self._signal(Signal(kind="cron", name=name), f"the calendar {calendar.expression}", now)

    def _signal(self, signal: Signal, cause: str, now: int) -> None:
        for trigger, part in deciding.matching(self._policy, signal):
            if isinstance(trigger, AllOf):
                self._heard[part] = now
                if not deciding.complete(trigger, self._heard, now):
                    continue
            self._arrive(trigger, cause, now)

    def _arrive(self, trigger: Trigger, cause: str, now: int) -> None:
        what = deciding.arrival(self._episode, self._last, now, held=False)
        if what == "merged":
            self._seen.triggers.append(trigger)
            self._seen.causes.append(cause)
        elif what == "opened":
            rejections = self._last.rejections if self._last else 0
            self._seen = _Seen(trigger, cause)
            self._seen.steps.append(Step(0, "", S.TRIGGERED.value, cause, now))
            since = self._drift_began(now)
            self._episode = Episode(
                "", "", S.TRIGGERED, 0, trigger, cause, self._champion, "", cause, now, now, now, 0, rejections, since
            )  # fmt: skip

    def _drift_began(self, now: int) -> int:
        """Return since when the newest windows have drifted without a break."""
        count = next((place for place, found in enumerate(self._drifted) if not found), len(self._drifted))
        return self._world.stretches[len(self._answered) - count].start if count else now

    def _watch_trial(self, place: int) -> None:
        """Let a challenger in its trial answer a window unseen."""
        if self._episode is not None and self._episode.state in IN_TRIAL:
            self._seen.beside[place] = self._world.beside(self._episode.challenger, self._champion, place)

    def _advance(self, now: int) -> None:
        """Ask for the open episode's next decision, until it waits for something that has not come by now."""
        while (item := self._episode) is not None and item.due is not None and item.due <= now:
            at = now if item.state in IN_TRIAL else item.due
            decision = _ASKED[item.state](self, item, at)
            if isinstance(decision, Move):
                self._move(decision, at)
            elif decision.until > now or item.state in IN_TRIAL:
                self._episode = msgspec.structs.replace(item, due=max(decision.until, now + 1))
                return
            else:
                self._episode = msgspec.structs.replace(item, due=decision.until)

    def _move(self, move: Move, now: int, **changes: object) -> None:
        item = self._episode
        assert item is not None
        due = move.due if move.due is not None else now
        after = msgspec.structs.replace(
            item, state=move.to, generation=item.generation + 1, note=move.note, entered=now, due=due, **changes
        )
        self._seen.steps.append(Step(after.generation, item.state.value, move.to.value, move.note, now))
        self._episode = after
        if move.to is S.PROMOTED:
            self._answer_with(after.challenger)
        if move.to in CLOSED:
            rejections, rests = deciding.after_end(item, move.to, self._policy, now)
            self._last = msgspec.structs.replace(after, rejections=rejections, rest_until=rests)
            self._closed.append(self._bout(after))
            self._episode = None

    def _debounce(self, item: Episode, now: int) -> deciding.Decision:
        return deciding.gathered(self._policy, item.opened, now)

    def _start(self, item: Episode, now: int) -> deciding.Decision:
        """Look whether it is needed and can be afforded; then train."""
        found = deciding.unneeded(self._policy, self._seen.triggers, self._harm(item))
        if found is not None:
            return found
        month = [cpu for time, cpu in self._trainings if time > now - deciding.MONTH]
        return deciding.affordable(self._policy, Spent(len(month), sum(month) / 3_600), now)

    def _train(self, item: Episode, now: int) -> deciding.Decision:
        if self._seen.trained is None:
            terms = deciding.terms(self._policy, self._seen.triggers, self._alphas, now)
            trained = self._world.train(now, self._champion, self._policy, terms, item.since)
            self._trainings.append((now, trained.cpu_seconds))
            if not trained.model:
                return Move(S.FAILED, trained.detail)
            self._alphas.append((now, terms.alpha))
            self._seen.trained = trained
            return Move(S.TRAINING, f"alpha {terms.alpha:.3g}", due=now + trained.length)
        self._move(
            Move(S.EVALUATED, f"{self._seen.trained.model} against {item.champion}"), now, challenger=self._seen.trained.model
        )
        return self._examine(self._seen.trained, item.champion)

    def _examine(self, trained: Trained, champion: str) -> Move:
        passes = trained.verdict is Verdict.PASS if self._rule.accept is None else self._rule.accept(trained)
        gate, again = "open" if passes else "closed", trained.model == champion
        return deciding.examined(gate, [trained.detail], again=again, sentence=trained.detail, evidence={})

    def _blessed(self, item: Episode, now: int) -> deciding.Decision:
        if self._rule.accept is not None:
            return Move(S.PROMOTED, "taken at once")
        return deciding.shadowed(self._policy, "nobody is waited for", now)

    def _trial(self, item: Episode, now: int) -> deciding.Decision:
        """Look at what was answered unseen, and at the labels that have come of it."""
        seen = self._seen.beside
        labelled = [one for place, one in seen.items() if (time := self._world.labelled_at(place)) is not None and time <= now]
        trial = Trial(
            entered=item.entered,
            rows=sum(one.rows for one in seen.values()),
            labelled=sum(one.labelled for one in labelled),
            wins=sum(one.wins for one in labelled),
            losses=sum(one.losses for one in labelled),
        )
        return deciding.tried(self._policy, item.state, trial, now)

    def _promoted(self, item: Episode, now: int) -> deciding.Decision:
        if self._rule.accept is not None:
            return Move(S.SETTLED, "nobody looks again")
        return Move(S.SOAKING, "watched", due=now + self._policy.soak)

    def _soak(self, item: Episode, now: int) -> deciding.Decision:
        return deciding.soaked(self._policy, item.entered, now)

    def _harm(self, item: Episode) -> Harm:
        """Say what is known of the harm that drift does, by the windows since it began."""
        others = tuple(sorted(rule for rule in self._book().firing if rule != "drift"))
        since = item.since or item.opened
        places = [place for place in range(self._since, len(self._answered)) if self._world.stretches[place].end > since]
        newest = [self._verdicts[place] for place in places[-MOST_WINDOWS:]]
        return judged_harm(self._world.objectives, newest, others)

    def _answer_with(self, model: str) -> None:
        self._missed = frozenset(self._book().firing)
        self._previous, self._champion = self._champion, model
        self._since = len(self._answered)
        self._realised.clear()
        self._drifted.clear()
        self._books.pop(model, None)

    def _roll_back(self, reason: str, now: int) -> None:
        self._answer_with(self._previous)
        self._move(Move(S.ROLLED_BACK, reason), now)

    def _bout(self, item: Episode) -> Bout:
        trained = self._seen.trained
        return Bout(
            opened=item.opened,
            ended=item.entered if item.state in CLOSED else None,
            state=item.state,
            triggers=tuple(self._seen.causes),
            steps=tuple(self._seen.steps),
            champion=item.champion,
            challenger=item.challenger,
            note=item.note,
            trained=trained is not None,
            cpu_seconds=trained.cpu_seconds if trained else 0.0,
            compared=trained.compared if trained else None,
        )


_DECIDED = frozenset({S.PROMOTED.value, S.REJECTED.value})
_ASKED: dict[EpisodeState, Callable[[_Run, Episode, int], deciding.Decision]] = {
    S.TRIGGERED: _Run._debounce,
    S.DEBOUNCED: _Run._start,
    S.BUDGET_OK: _Run._train,
    S.TRAINING: _Run._train,
    S.BLESSED: _Run._blessed,
    S.SHADOW: _Run._trial,
    S.CANARY: _Run._trial,
    S.PROMOTED: _Run._promoted,
    S.SOAKING: _Run._soak,
}
