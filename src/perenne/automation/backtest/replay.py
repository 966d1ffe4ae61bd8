"""A rule replayed over the past, window by window: what it would have heard, opened, trained and promoted. Pure.

What the world was like is asked of a `World`: that of a workspace is `history`, that of a simulated year a few lines of a study.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from perenne.automation.backtest.model import Bout, Compared, Measured, Point, Stretch, Sums, Track, Trained, sum_up
from perenne.automation.model import CLOSED, EpisodeState, Step, rest
from perenne.core.calendar import fires_after
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


def replay(world: World, rule: Rule, first: str, *, price: float | None = None, hear: Callable[[int], None] | None = None) -> Track:
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
