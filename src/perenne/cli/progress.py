"""Work in hand, on stderr, for a person who watches: what is being done, how far it is, and how long it takes still.

Nobody watches a pipe, and whoever said `--quiet` does not want to.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from perenne.cli.terminal import shows_progress, takes_colour
from perenne.core.clock import SECOND, format_duration

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent

_TITLES = {
    "describe": "data: profile",
    "check": "data: hold against the schema",
    "validate": "data: validate",
    "plan": "train: plan columns and split",
    "fit": "train: fit a candidate",
    "choose": "train: choose the best",
    "build": "train: compile and prove parity",
    "evaluate": "review: evaluate and time the compiled form",
}


def _title(step: str) -> str:
    """Return what people call a step; an empty text for one they need not hear of."""
    name, _, number = step.partition("#")
    title = _TITLES.get(name, "")
    return f"{title} {number}" if title and number else title


class RoundProgress:
    """Shows the steps of a round as they start and end; use as a context manager and pass `hear` on.

    Parameters
    ----------
    fits : int
        How many candidates there are; how long the fits that are left take is told from those that are done.
    """

    def __init__(self, fits: int = 0) -> None:
        self._fits = Pace(fits)
        self._steps, self._done = 0, 0
        self._now = ""
        self._began = time.monotonic()
        self._status: Any = None

    def __enter__(self) -> "RoundProgress":
        if shows_progress():
            from rich.console import Console

            self._status = Console(stderr=True, no_color=not takes_colour(sys.stderr)).status("starting …")
            self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()

    def hear(self, event: "StepEvent") -> None:
        """Show one event of the pipeline."""
        from perenne.pipelines import Failed, Finished, Hit, Planned, Started

        if self._status is None:
            return
        match event:
            case Planned():
                self._steps = event.steps
            case Started(step):
                self._now = _title(step)
                if step.startswith("fit"):
                    self._fits.begin()
            case Hit(step):
                self._done += 1
                self._fits.skip(step.startswith("fit"))
            case Finished(step, seconds):
                self._done += 1
                self._fits.end(step.startswith("fit"))
                if title := _title(step):
                    self._say(f"{title}  {format_duration(int(seconds * SECOND))}")
            case Failed(step, error) if title := _title(step):
                self._say(f"{title}  failed: {error}")
        self._status.update(self._line())

    def _line(self) -> str:
        passed = format_duration(int(time.monotonic() - self._began) * SECOND)
        parts = [self._now, f"step {min(self._done + 1, self._steps)} of {self._steps}", f"{passed} so far"]
        if (left := self._fits.left()) is not None:
            parts.append(f"about {format_duration(round(left) * SECOND)} of fitting left")
        return " · ".join(part for part in parts if part)

    def _say(self, text: str) -> None:
        self._status.console.print(f"  {text}", highlight=False, markup=False)


class Pace:
    """How long what is left takes, by how long what is done has taken.

    Parameters
    ----------
    total : int
        How many there are.
    clock : callable
        Seconds, ever growing.

    >>> ticks = iter([0.0, 10.0])
    >>> pace = Pace(3, lambda: next(ticks))
    >>> pace.begin(); pace.end()
    >>> pace.left()
    20.0
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._began: float | None = None
        self._ended = 0.0
        self._done = 0

    def begin(self) -> None:
        """Say that one begins; several may run at once."""
        if self._began is None:
            self._began = self._clock()

    def end(self, counts: bool = True) -> None:
        """Say that one is done."""
        if counts:
            self._done += 1
            self._ended = self._clock()

    def skip(self, counts: bool = True) -> None:
        """Say that one was done already."""
        self._total -= counts

    def left(self) -> float | None:
        """Return the seconds that those left take; None if none is done yet, or none is left."""
        rest = self._total - self._done
        if self._began is None or self._done == 0 or rest <= 0:
            return None
        return (self._ended - self._began) / self._done * rest


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give what hears of how much is done of how much: a bar with the time left on a terminal, nothing elsewhere."""
    if not shows_progress():
        yield lambda done, total: None
        return
    import click

    with click.progressbar(length=1, label=what, file=sys.stderr) as shown:

        def hear(done: int, total: int) -> None:
            shown.length = max(total, 1)
            shown.update(done - shown.pos)

        yield hear


@contextmanager
def counting(noun: str) -> Iterator[Callable[[str, int], None]]:
    """Give what hears of what is being done and how many are done, where nobody knows how many there will be."""
    if not shows_progress():
        yield lambda what, done: None
        return
    from rich.console import Console

    with Console(stderr=True, no_color=not takes_colour(sys.stderr)).status("reading …") as status:
        yield lambda what, done: status.update(f"{what}: {done:,} {noun}")
