"""What a backtest tells: the episodes a rule would have opened, how the models it chose would have done, and the sums. Pure."""

from collections.abc import Sequence

import msgspec

from perenne.automation.model import EpisodeState, Step
from perenne.registry import Verdict

NEITHER = frozenset({EpisodeState.FAILED, EpisodeState.EXPIRED})


class Stretch(msgspec.Struct, frozen=True):
    """A window of the past: from when, and for how long; microseconds."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The first instant after it."""
        return self.start + self.length


class Measured(msgspec.Struct, frozen=True):
    """A metric with its interval, and on how many labelled rows; `below` tells whether the objective is missed for certain."""

    value: float
    low: float | None
    high: float | None
    rows: int
    below: bool | None = None


class Compared(msgspec.Struct, frozen=True):
    """A challenger against a champion on the same rows: the difference, above 0 if it is better, with its interval."""

    difference: float
    low: float
    high: float
    rows: int


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What a training came to.

    Attributes
    ----------
    model : str
        What it made; empty if nothing.
    verdict : Verdict
        Whether the policy's test and every other check let it pass.
    detail : str
        Why, in a sentence.
    compared : Compared or None
        The test's figures.
    cpu_seconds, length : float, int
        What it cost, and how long it took (microseconds).
    """

    model: str
    verdict: Verdict
    detail: str
    compared: Compared | None = None
    cpu_seconds: float = 0.0
    length: int = 0


class Bout(msgspec.Struct, frozen=True, kw_only=True):
    """An episode as it would have been, or was.

    Attributes
    ----------
    triggers : tuple of str
        What opened it, and what joined later.
    steps : tuple of Step
        Its transitions.
    later : Compared or None
        Challenger against champion on labels that came after the decision.
    """

    opened: int
    ended: int | None
    state: EpisodeState
    triggers: tuple[str, ...]
    steps: tuple[Step, ...]
    champion: str
    challenger: str
    note: str
    trained: bool
    cpu_seconds: float = 0.0
    compared: Compared | None = None
    later: Compared | None = None

    @property
    def promoted(self) -> bool:
        """Whether its challenger came to answer people."""
        return any(step.after == EpisodeState.PROMOTED for step in self.steps)

    @property
    def wrong(self) -> bool | None:
        """Whether a promotion was one for nothing or for worse, by the labels that came afterwards; None if none did."""
        return None if not self.promoted or self.later is None else self.later.difference <= 0

    @property
    def missed(self) -> bool:
        """Whether what was not promoted was better beyond chance on the labels that came afterwards."""
        return not self.promoted and self.later is not None and self.later.low > 0


class Point(msgspec.Struct, frozen=True):
    """One window as it would have been: who answered, how well, what monitoring would have said, and what fired."""

    start: int
    length: int
    model: str
    state: str
    measured: Measured | None
    fired: tuple[str, ...] = ()


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule comes to. Times are microseconds; `known` is the time of windows with labels, `below` that below the objective.

    `wrong` promotions were no better on the labels that came afterwards, `judged` is how many promotions those tell of; `missed`
    challengers were turned away though those labels show them to be better; `unneeded` episodes found that none was needed.
    """

    opened: int
    trained: int
    promoted: int
    rejected: int
    rolled_back: int
    failed: int
    unneeded: int
    judged: int
    wrong: int
    missed: int
    below: int
    known: int
    mean: float | None
    cpu_seconds: float
    money: float | None


class Track(msgspec.Struct, frozen=True):
    """One rule over the whole time."""

    name: str
    words: tuple[str, ...]
    bouts: tuple[Bout, ...]
    points: tuple[Point, ...]
    sums: Sums


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole backtest.

    Attributes
    ----------
    train : str
        `real` or `simulated`.
    metric, limit : str, float or None
        What is compared, and the objective's limit.
    notes : tuple of str
        What was taken for granted, and what could not be known.
    whole : bool
        Whether it came to its end; a time limit may have stopped it.
    """

    project: str
    start: int
    end: int
    train: str
    metric: str
    limit: float | None
    tracks: tuple[Track, ...]
    notes: tuple[str, ...]
    made: int
    whole: bool = True


def sum_up(bouts: Sequence[Bout], points: Sequence[Point], price: float | None) -> Sums:
    """Add up what a rule came to; `price` is that of an hour of CPU.

    >>> sum_up([], [], 0.5).money
    0.0
    """
    ends = [bout.state for bout in bouts]
    known = [point for point in points if point.measured is not None]
    judged = [bout.wrong for bout in bouts if bout.wrong is not None]
    cpu = sum(bout.cpu_seconds for bout in bouts)
    values = [point.measured.value for point in known if point.measured is not None]
    return Sums(
        opened=len(bouts),
        trained=sum(bout.trained for bout in bouts),
        promoted=sum(bout.promoted for bout in bouts),
        rejected=ends.count(EpisodeState.REJECTED),
        rolled_back=ends.count(EpisodeState.ROLLED_BACK),
        failed=sum(state in NEITHER for state in ends),
        unneeded=ends.count(EpisodeState.NOT_NEEDED),
        judged=len(judged),
        wrong=sum(judged),
        missed=sum(bout.missed for bout in bouts),
        below=sum(point.length for point in known if point.measured is not None and point.measured.below),
        known=sum(point.length for point in known),
        mean=sum(values) / len(values) if values else None,
        cpu_seconds=cpu,
        money=None if price is None else cpu / 3_600 * price,
    )
