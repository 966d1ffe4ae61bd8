"""Progress is for a person at a terminal: which step of how many, and how long fitting takes still."""

import io
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from perenne.cli.progress import Pace, RoundProgress, bar
from perenne.cli.terminal import take_wishes
from perenne.pipelines import Finished, Hit, Planned, Started


class Terminal:
    """A pseudo-terminal that stands for standard error."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.stream = os.fdopen(theirs, "w")

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be standard error: within the test itself, for pytest puts its own there before."""
        monkeypatch.setattr(sys, "stderr", self.stream)

    def read(self) -> str:
        """Return what was written, once no more comes."""
        self.stream.close()
        parts = []
        while True:
            try:
                data = os.read(self._ours, 65_536)
            except OSError:
                break
            if not data:
                break
            parts.append(data)
        os.close(self._ours)
        return b"".join(parts).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    take_wishes([])
    yield terminal
    take_wishes([])


def play(progress: RoundProgress) -> None:
    progress.hear(Planned("run", "standard_round", 5, 1))
    progress.hear(Hit("describe"))
    for step in ("fit", "fit#2"):
        progress.hear(Started(step, 1))
        progress.hear(Finished(step, 2.5))


def test_a_round_says_where_it_is_and_what_is_done(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    terminal.stand_in(monkeypatch)
    with RoundProgress(3) as progress:
        play(progress)
        assert "step 4 of 5" in progress._line() and "of fitting left" in progress._line()
    said = terminal.read()
    assert "train: fit a candidate  2.5s" in said and "train: fit a candidate 2  2.5s" in said


def test_nobody_is_told_in_a_pipe_or_who_asked_for_quiet(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    terminal.stand_in(monkeypatch)
    take_wishes(["--quiet"])
    with RoundProgress(3) as progress, bar("objects") as hear:
        play(progress)
        hear(1, 2)
    assert terminal.read() == ""
    take_wishes([])
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with RoundProgress(3) as progress, bar("objects") as hear:
        play(progress)
        hear(1, 2)
    assert pipe.getvalue() == ""


def test_a_bar_tells_the_time_left(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    terminal.stand_in(monkeypatch)
    with bar("objects") as hear:
        for done in range(1, 5):
            hear(done, 4)
    assert "objects" in terminal.read()


def test_what_is_known_already_takes_no_time() -> None:
    seconds = iter([0.0, 4.0])
    pace = Pace(4, lambda: next(seconds))
    pace.skip()
    assert pace.left() is None, "nothing is known yet"
    pace.begin()
    pace.end()
    assert pace.left() == 8.0


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["model", "list", "--json"], ["model", "list"]),
        (["--quiet", "model", "--no-color", "list"], ["model", "list"]),
        (["why", "--", "--json"], ["why", "--", "--json"]),
    ],
)
def test_flags_of_every_command_stand_anywhere_before_two_dashes(arguments: list[str], left: list[str]) -> None:
    assert take_wishes(arguments) == left
    take_wishes([])
