"""A rule replayed over the past, window by window: what it would have heard, opened, trained and promoted. Pure.

What the world was like is asked of a `World`: that of a workspace is `history`, that of a simulated year a few lines of a study.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from perenne.automation.backtest.model import Bout, Compared, Measured, Point, Stretch, Track, Trained, sum_up
from perenne.automation.model import IN_TRIAL, EpisodeState, Step, rest
from perenne.core.calendar import next_time
from perenne.core.clock import DAY, format_duration
from perenne.monitoring import replaying
from perenne.projects import Cron, Drift, Missed, NewData, RetrainPolicy, Trigger
from perenne.registry import Verdict

S = EpisodeState
MONTH = 30 * DAY


class Beside(msgspec.Struct, frozen=True):
    """What a challenger did unseen in one window: rows, and how many the challenger, or the champion, alone had right."""

    rows: int
    wins: int
    losses: int


class Heard(msgspec.Struct, frozen=True):
    """What monitoring says of one window: its state, its findings, and what labels measured if they were given."""

    state: str
    findings: tuple[replaying.Finding, ...]
    measured: Measured | None


class World(Protocol):
    """What happened, as it is asked."""

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The windows, oldest first."""
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

    def train(self, now: int, champion: str, policy: RetrainPolicy, triggers: Sequence[Trigger], alpha: float) -> Trained:
        """Train on what was known at an instant, and hold the result against a champion."""
        ...

    def beside(self, challenger: str, champion: str, window: int) -> Beside:
        """Let a challenger answer a window unseen."""
        ...

    def later(self, challenger: str, champion: str, since: int) -> Compared | None:
        """Compare two models on labels of windows that began after an instant."""
        ...


Accept = Callable[[Trained], bool]


class Rule(msgspec.Struct, frozen=True):
    """Something to be replayed: a policy, or a simple rule with a test of its own instead of the policy's gate, shadow and soak.

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
    weekly = msgspec.structs.replace(policy, on=(Cron("0 0 * * 1"),), cooldown=0, debounce=0)
    never = msgspec.structs.replace(policy, on=())
    return (
        Rule("weekly", weekly, ("Retrains every Monday; promotes what has the greater mean.",), mean_greater),
        Rule("never", never, ("Never retrains.",)),
    )


def mean_greater(trained: Trained) -> bool:
    """Take what looks better, by however little.

    >>> mean_greater(Trained(model="m@2", verdict=Verdict.FAIL, detail="", compared=Compared(0.001, -0.1, 0.1, 50)))
    True
    """
    return trained.compared is not None and trained.compared.difference > 0


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


class _Open:
    """The episode that is open, and what it has gathered."""

    def __init__(self, now: int, champion: str, trigger: Trigger, cause: str, due: int) -> None:
        self.opened, self.champion, self.due = now, champion, due
        self.triggers, self.causes = [trigger], [cause]
        self.state = S.TRIGGERED
        self.steps = [Step(0, "", S.TRIGGERED.value, cause, now)]
        self.trained: Trained | None = None
        self.entered = now
        self.rows = self.wins = self.losses = 0

    def move(self, to: EpisodeState, note: str, now: int, due: int) -> None:
        """Go on to another state, which is looked at again at `due`."""
        self.steps.append(Step(len(self.steps), self.state.value, to.value, note, now))
        self.state, self.entered, self.due = to, now, due

    def bout(self, ended: int | None) -> Bout:
        """Return the episode as it stands."""
        trained = self.trained
        return Bout(
            opened=self.opened,
            ended=ended,
            state=self.state,
            triggers=tuple(self.causes),
            steps=tuple(self.steps),
            champion=self.champion,
            challenger=trained.model if trained else "",
            note=self.steps[-1].note,
            trained=trained is not None,
            cpu_seconds=trained.cpu_seconds if trained else 0.0,
            compared=trained.compared if trained else None,
        )


class _Run:
    """One rule on its way through the past."""

    def __init__(self, world: World, rule: Rule, first: str) -> None:
        self._world, self._rule, self._policy = world, rule, rule.policy
        self._champion = self._previous = first
        self._books: dict[str, replaying.AlertBook] = {}
        self._open: _Open | None = None
        self._closed: list[Bout] = []
        self._rest_until = self._rejections = 0
        self._trainings: list[int] = []
        self._since = 0  # the window from which the champion answers
        self._realised: set[int] = set()
        self._answered: list[str] = []
        self._calendars: dict[Cron, int | None] = {}
        self._begin = world.stretches[0].start if world.stretches else 0
        self.points: list[Point] = []

    def turn(self, place: int) -> None:
        """Live through one window: it is answered, judged, and acted upon when it has ended."""
        stretch = self._world.stretches[place]
        self._answered.append(self._champion)
        heard = self._world.hear(self._champion, place, labels=False)
        fired = self._listen(place, heard, stretch.end)
        for late in self._labelled_by(stretch.end):
            fired += self._listen(late, self._world.hear(self._answered[late], late, labels=True), stretch.end)
        known = self._world.labelled_at(place) is not None
        measured = self._world.hear(self._champion, place, labels=True).measured if known else None
        names = tuple(dict.fromkeys(finding.rule for finding in fired))
        self.points.append(Point(stretch.start, stretch.length, self._champion, heard.state, measured, names))
        self._watch_trial(place)
        self._react(fired, stretch.end)
        self._advance(stretch.end)
        self._remind(stretch.end)
        self._advance(stretch.end)

    def judged(self) -> Iterator[Bout]:
        """Return the episodes, each with what labels that came after its decision say of it; the open one as it stands."""
        for bout in [*self._closed, *([self._open.bout(None)] if self._open else [])]:
            decided = next((step.time for step in reversed(bout.steps) if step.after in _DECIDED), None)
            if decided is None or not bout.challenger or bout.challenger == bout.champion:
                yield bout
            else:
                yield msgspec.structs.replace(bout, later=self._world.later(bout.challenger, bout.champion, decided))

    def _book(self, model: str) -> replaying.AlertBook:
        return self._books.setdefault(model, replaying.AlertBook(self._world.clear))

    def _labelled_by(self, now: int) -> list[int]:
        """Return the windows of the present champion whose labels have come since they were last judged."""
        places = range(self._since, len(self._answered))
        ready = [place for place in places if place not in self._realised and (self._world.labelled_at(place) or now + 1) <= now]
        self._realised.update(ready)
        return ready

    def _listen(self, place: int, heard: Heard, now: int) -> list[replaying.Finding]:
        return self._book(self._answered[place]).hear(self._world.stretches[place].start, heard.findings)

    def _react(self, fired: Sequence[replaying.Finding], now: int) -> None:
        """Do what events cause: take back what soaks and fails, open an episode, or let the open one hear of it."""
        for finding in fired:
            bad = finding.rule.startswith(("objective:", "guardrail:"))
            if bad and self._open is not None and self._open.state is S.SOAKING:
                self._roll_back(finding.summary, now)
                continue
            trigger = spoken(self._policy.on, finding.rule)
            if trigger is not None:
                self._trigger(trigger, finding.summary, now)

    def _remind(self, now: int) -> None:
        """Open what nobody announces: calendars, rows that have gathered, and alerts that still fire after a rest."""
        for trigger in self._policy.on:
            if isinstance(trigger, Cron):
                due = self._calendars.setdefault(trigger, next_time(trigger.expression, self._begin, trigger.zone))
                if due is not None and due <= now:
                    self._calendars[trigger] = next_time(trigger.expression, now, trigger.zone)
                    self._trigger(trigger, f"the calendar {trigger.expression}", due)
        if self._open is not None or now < self._rest_until:
            return None
        for trigger in self._policy.on:
            if isinstance(trigger, NewData) and trigger.rows:
                gathered = sum(self._world.labels(place) for place in self._realised if place >= self._since)
                if gathered >= trigger.rows:
                    return self._trigger(trigger, f"{gathered} labelled rows", now)
        for rule, finding in self._book(self._champion).firing.items():
            lasting = spoken(self._policy.on, rule)
            if lasting is not None:
                return self._trigger(lasting, f"still: {finding.summary}", now)

    def _trigger(self, trigger: Trigger, cause: str, now: int) -> None:
        if self._open is not None:
            self._open.triggers.append(trigger)
            self._open.causes.append(cause)
        elif now >= self._rest_until:
            self._open = _Open(now, self._champion, trigger, cause, now + self._policy.debounce)

    def _watch_trial(self, place: int) -> None:
        """Let a challenger in shadow answer a window unseen."""
        item = self._open
        if item is not None and item.trained is not None and item.state in IN_TRIAL:
            seen = self._world.beside(item.trained.model, self._champion, place)
            item.rows, item.wins, item.losses = item.rows + seen.rows, item.wins + seen.wins, item.losses + seen.losses

    def _advance(self, now: int) -> None:
        """Do what the open episode's state asks for, until it waits."""
        while self._open is not None and self._open.due <= now:
            before = self._open.state
            _ACTIONS[before](self, self._open, self._open.due if before is not S.SHADOW else now)
            if self._open is not None and self._open.state is before:
                return

    def _debounce(self, item: _Open, now: int) -> None:
        item.move(S.DEBOUNCED, f"gathered triggers for {format_duration(now - item.opened) or '0s'}", now, now)

    def _budget(self, item: _Open, now: int) -> None:
        used = sum(time > now - MONTH for time in self._trainings)
        if used >= self._policy.runs_per_month:
            return self._end(
                item, S.FAILED, f"budget: {used} training runs in 30 days, {self._policy.runs_per_month} allowed", now
            )
        self._trainings.append(now)
        item.move(S.BUDGET_OK, f"{used} of {self._policy.runs_per_month} training runs used in 30 days", now, now)
        item.trained = self._world.train(now, self._champion, self._policy, item.triggers, self._policy.promote.alpha)
        if not item.trained.model:
            return self._end(item, S.FAILED, item.trained.detail, now)
        item.move(S.TRAINING, "trained", now, now + item.trained.length)

    def _judge(self, item: _Open, now: int) -> None:
        assert item.trained is not None
        item.move(S.EVALUATED, f"{item.trained.model} against {self._champion}", now, now)
        accept = self._rule.accept
        if accept is not None:
            if not accept(item.trained) or item.trained.model == self._champion:
                return self._end(item, S.REJECTED, item.trained.detail, now)
            item.move(S.BLESSED, item.trained.detail, now, now)
            self._promote(item, "taken at once", now)
            return self._end(item, S.SETTLED, "nobody looks again", now)
        if item.trained.verdict is not Verdict.PASS:
            return self._end(item, S.REJECTED, item.trained.detail, now)
        item.move(S.BLESSED, item.trained.detail, now, now)
        item.move(S.SHADOW, "answers unseen", now, now + self._policy.shadow)

    def _leave_shadow(self, item: _Open, now: int) -> None:
        if item.rows < self._policy.shadow_rows:
            return
        self._promote(item, f"{item.rows} rows in shadow", now)
        item.move(S.SOAKING, f"watched for {format_duration(self._policy.soak)}", now, now + self._policy.soak)

    def _promote(self, item: _Open, note: str, now: int) -> None:
        assert item.trained is not None
        item.move(S.PROMOTED, note, now, now)
        self._previous, self._champion = self._champion, item.trained.model
        self._since = len(self._answered)
        self._realised.clear()

    def _settle(self, item: _Open, now: int) -> None:
        self._end(item, S.SETTLED, f"no guard spoke up in {format_duration(now - item.entered)}", now)

    def _roll_back(self, reason: str, now: int) -> None:
        assert self._open is not None
        self._champion = self._previous
        self._since = len(self._answered)
        self._realised.clear()
        self._end(self._open, S.ROLLED_BACK, reason, now)

    def _end(self, item: _Open, to: EpisodeState, note: str, now: int) -> None:
        item.move(to, note, now, now)
        self._closed.append(item.bout(now))
        self._open = None
        if self._rule.accept is None:
            rejections, self._rejections = self._rejections, 0 if to is S.SETTLED else self._rejections + 1
            self._rest_until = now + rest(self._policy.cooldown, rejections)


_DECIDED = frozenset({S.PROMOTED.value, S.REJECTED.value})
_ACTIONS: dict[EpisodeState, Callable[[_Run, _Open, int], None]] = {
    S.TRIGGERED: _Run._debounce,
    S.DEBOUNCED: _Run._budget,
    S.TRAINING: _Run._judge,
    S.SHADOW: _Run._leave_shadow,
    S.SOAKING: _Run._settle,
}


def spoken(on: Sequence[Trigger], rule: str) -> Trigger | None:
    """Return the first trigger of a policy that an alert's rule speaks of."""
    for trigger in on:
        if isinstance(trigger, Drift) and rule == "drift":
            return trigger
        if isinstance(trigger, Missed) and rule.startswith(f"objective:{trigger.metric}"):
            return trigger
        if isinstance(trigger, Missed) and not trigger.metric and rule.startswith("guardrail:"):
            return trigger
    return None
