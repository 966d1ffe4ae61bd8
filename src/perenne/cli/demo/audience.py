"""Who watches the demo: a person at the terminal, an open page, or nobody; and what they answer."""

import os
import select
import sys
import time
from collections.abc import Callable

from perenne.cli.demo.page import Page

POLL_SECONDS = 0.1
IDLE_SECONDS = 0.5
ANSWERS = {"y": True, "yes": True, "n": False, "no": False}
WATCHED_DAY = 1.4
"""Seconds for a day of the story while somebody watches."""

SENTENCE = 0.25
"""Of a day's seconds, how long a sentence stands before the next one."""


class Audience:
    """Asks, and sets the pace.

    Parameters
    ----------
    page : Page
        The page beside the demo.
    pace : float or None
        Seconds for a day of the story; None takes it as whoever watches needs it, or without a pause if nobody does.
    """

    def __init__(self, page: Page, pace: float | None) -> None:
        self._page = page
        self._pace = pace
        self.terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        self._typed = b""

    @property
    def present(self) -> bool:
        """Whether somebody is there to decide."""
        return self.terminal or self._page.read

    @property
    def stays(self) -> bool:
        """Whether somebody is there to look on after the end: whoever sends the answer into a pipe or a file is not."""
        return (self.terminal and sys.stdout.isatty()) or self._page.read

    @property
    def day(self) -> float:
        """Seconds for a day of the story."""
        if self._pace is not None:
            return self._pace
        return WATCHED_DAY if self.present else 0.0

    def read_sentence(self) -> None:
        """Give whoever watches time to read a sentence."""
        time.sleep(self.day * SENTENCE)

    def forget_typed(self) -> None:
        """Drop what was typed before a question is asked."""
        self._typed = b""
        if self.terminal:
            import termios

            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    def answer(self, settled: Callable[[], bool], idle: Callable[[], object] = lambda: None) -> bool | None:
        """Wait for yes or no at the terminal; None if it was settled elsewhere first, or nobody is left to ask.

        Meanwhile `idle` is called now and then.
        """
        turned = time.monotonic()
        while self.present and not settled():
            if time.monotonic() - turned > IDLE_SECONDS:
                idle()
                turned = time.monotonic()
            line = self._line()
            if line in ANSWERS:
                return ANSWERS[line]
            if line:
                print("y or n, then Enter", file=sys.stderr, flush=True)  # noqa: T201
        return None

    def _line(self) -> str:
        """Return a line that was typed, in small letters; empty after a moment without one."""
        if not self.terminal:
            time.sleep(POLL_SECONDS)
            return ""
        handle = sys.stdin.fileno()
        if select.select([handle], [], [], POLL_SECONDS)[0]:
            typed = os.read(handle, 1_024)
            if not typed:  # the end of what is typed: nobody is there any more
                self.terminal = False
            self._typed += typed
        line, found, rest = self._typed.partition(b"\n")
        if not found:
            return ""
        self._typed = rest
        return line.decode(errors="replace").strip().lower()
