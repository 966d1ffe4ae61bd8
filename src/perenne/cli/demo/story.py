"""The story of the demo as data, in acts, and who tells it: what is in the audit trail, what was asked and what was answered."""

import sys
from collections.abc import Callable

import msgspec

from perenne import monitoring
from perenne.auth import audit
from perenne.automation import Episode
from perenne.cli.demo.narration import narrate
from perenne.cli.terminal import paint
from perenne.core.clock import DAY, format_time
from perenne.storage.workspace import Workspace

_COLOURS = {"fault": "error", "you": "bold"}


class Line(msgspec.Struct, frozen=True):
    """A sentence of the story: the day it happened on, and the stage of the loop it belongs to."""

    day: str
    stage: str
    text: str


class Act(msgspec.Struct, frozen=True):
    """A part of the story."""

    title: str
    lines: list[Line]


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
    folder, page : str
        Where the project and its workspace are, and where the page was.
    seconds : float
        How long it took, waiting for people included.
    flights, requests : int
        What was asked, in how many HTTP requests.
    labels : int
        What came true, posted a day later.
    acts : tuple of Act
        What happened, in order. What the demo itself broke is in the act that says so, and in the audit trail.
    episodes : tuple of Episode
        The retrainings, oldest first.
    champion : str
        The version in service at the end; empty if none was let into it.
    stopped : bool
        Whether it was stopped at the end.
    performance : tuple of Week
        Realised performance of the champions.
    prediction : str
        The id of an answer to ask `perenne why` about.
    """

    folder: str
    page: str
    seconds: float
    flights: int
    requests: int
    labels: int
    acts: tuple[Act, ...]
    episodes: tuple[Episode, ...]
    champion: str
    stopped: bool
    performance: tuple[Week, ...]
    prediction: str


class Narrator:
    """Tells the story on stderr while it happens, and keeps it.

    Parameters
    ----------
    workspace : Workspace
        Whose audit trail is told, by its clock.
    pause : callable
        Gives whoever watches time to read a sentence.
    quiet : bool
        Only keep it.
    """

    def __init__(self, workspace: Workspace, pause: Callable[[], None], *, quiet: bool = False) -> None:
        self._workspace = workspace
        self._pause = pause
        self._quiet = quiet
        self._told = 0
        self.acts: list[Act] = []

    def begin(self, title: str) -> None:
        """Begin an act."""
        self.acts.append(Act(title, []))
        self._print(paint(f"\n── Act {len(self.acts)}: {title}", "bold", sys.stderr))

    def ask(self, text: str) -> None:
        """Tell one sentence that wants an answer: whoever wants it quiet is asked all the same."""
        quiet, self._quiet = self._quiet, False
        self.say("you", text)
        self._quiet = quiet

    def say(self, stage: str, text: str) -> None:
        """Tell one sentence."""
        line = Line(format_time(self._workspace.clock.now())[:10], stage, text)
        self.acts[-1].lines.append(line)
        self._print(f"{paint(line.day, 'dim', sys.stderr)}  {paint(f'{stage:<8}', _COLOURS.get(stage, ''), sys.stderr)}  {text}")
        self._pause()

    def narrate(self) -> None:
        """Turn the audit records since the last time into sentences."""
        with self._workspace.database.read() as tx:
            records = audit.trail(tx, limit=500)
        for record in sorted(records, key=lambda record: record.seq):
            if record.seq > self._told:
                self._told = record.seq
                for stage, text in narrate(record):
                    self.say(stage, text)

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def by_week(points: list[monitoring.tallies.RealisedPoint]) -> tuple[Week, ...]:
    """Put what came true of the days together by weeks."""
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
