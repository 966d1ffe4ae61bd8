"""How much memory a process of a model server may hold, and how often it is replaced if it holds more."""

import math
import time
from collections.abc import Callable

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 3600.0


class Diet:
    """Tells who is to be replaced. One that is heavy again at once, for its model is, is left alone for longer each time.

    Parameters
    ----------
    most : int
        Bytes a process may hold; 0 for no limit.
    clock : callable
        Seconds, ever growing.

    Examples
    --------
    >>> now = [0.0]
    >>> diet = Diet(100, lambda: now[0])
    >>> diet.is_due(0, 99), diet.is_due(0, 101), diet.is_due(0, 101)
    (False, True, False)
    >>> now[0] = 11.0
    >>> diet.is_due(1, 101)
    True
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._again = -math.inf
        self._pause = FIRST_PAUSE

    def is_due(self, block: int, held: int) -> bool:
        """Tell whether the process of a block, which holds so much, is to be replaced now: one at a time."""
        if not self._most or held <= self._most:
            return False
        now = self._clock()
        if now < self._again:
            return False
        self._pause = min(LONGEST_PAUSE, 2 * self._pause) if now - self._again < self._pause else FIRST_PAUSE
        self._again = now + self._pause
        return True

    def describe(self, held: int) -> str:
        """Say how much is held, and how much may be."""
        return f"{held / 1e6:,.0f} MB of {self._most / 1e6:,.0f}"
