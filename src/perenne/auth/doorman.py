"""Who may come in at a server's door: a header and an address in, a principal out; guessing is slowed, in bounded memory.

An address that brought ten bad tokens within a minute waits: a second, then twice as long with each further one, a minute at
most. Meanwhile its tokens are not even looked at, but for those that were good before: whoever shares an address with somebody
who guesses goes on working. Nobody is ever locked out for good.
"""

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from perenne.auth.errors import SessionEnded, TooFast, TooManyFailures, Unauthenticated
from perenne.auth.principals import Principal
from perenne.auth.secret import token_in

FREE_FAILURES = 10
WINDOW_SECONDS = 60.0
MAX_WAIT_SECONDS = 60.0
REMEMBERED = 4_096
REPORTS_PER_WINDOW = 60


T = TypeVar("T")
Refusal: TypeAlias = Callable[[str, int], None]
"""Hears of an address whose tokens are refused, and how often: when it begins, and once a minute while it goes on."""


class Doorman:
    """Asks everybody for a token.

    Parameters
    ----------
    verify : callable
        Gives whom a token, shown by an address, stands for; raises `Unauthenticated`.
    on_refusal : callable
        Hears of refusals.
    per_second : float
        How often a token may be used in a second, and as often at once; 0 for no limit.
    clock : callable
        Seconds, ever growing.
    """

    def __init__(
        self,
        verify: Callable[[str, str], Principal],
        on_refusal: Refusal,
        per_second: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verify = verify
        self._pace = Pace(per_second, clock) if per_second else None
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._failures = Failures(on_refusal, clock)

    def admit(self, header: str | None, address: str) -> Principal:
        """Return who calls.

        Parameters
        ----------
        header : str, optional
            The header `Authorization`.
        address : str
            Where the call comes from.

        Raises
        ------
        Unauthenticated
            If there is no token, or none that is valid.
        TooManyFailures, TooFast
            If the address has tried, or the token is used, too often.
        """
        if header is None:
            raise Unauthenticated(
                "this needs a token", code="auth.missing", hint="send it as `Authorization: Bearer prn_…` or as the password"
            )
        key = hashlib.sha256(header.encode("utf-8", "surrogatepass")).digest()
        return self.let_in(key, address, lambda: self._verify(token_in(header), address))

    def let_in(self, key: bytes, address: str, verify: Callable[[], T]) -> T:
        """Return what `verify` finds, unless the address has to wait.

        Parameters
        ----------
        key : bytes
            What is shown, as a digest.
        address : str
            Where the call comes from.
        verify : callable
            Raises `Unauthenticated` for what does not count; a `SessionEnded` is no guess, and costs the address nothing.

        Raises
        ------
        Unauthenticated, TooManyFailures, TooFast
            As `admit` does.
        """
        known = key in self._good
        if not known:
            self._failures.require_patience(address)
        try:
            found = verify()
        except SessionEnded:
            self._good.pop(key, None)
            raise
        except Unauthenticated:
            self._good.pop(key, None)
            self._failures.add(address)
            raise
        if not known:
            self.remember(key)
        if self._pace is not None:
            self._pace.take(key)
        return found

    def remember(self, key: bytes) -> None:
        """Know what is good, so that it goes on while others guess."""
        self._good[key] = None
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)


class Pace:
    """How often each token is used: so often in a second, and as often at once after a pause.

    Parameters
    ----------
    per_second : float
        How often.
    clock : callable
        Seconds, ever growing.
    """

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._clock = clock
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, key: bytes) -> None:
        """Count a use. Raises TooFast if it is one too many."""
        now = self._clock()
        left, since = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            raise TooFast(math.ceil((1 - left) / self._per_second))


class _Entry:
    def __init__(self) -> None:
        self.count = 0
        self.since = 0.0
        self.until = 0.0
        self.reported = -math.inf


class Failures:
    """Counts bad tokens by address. An IPv6 address stands for its network of 64 bits, which one caller may own whole."""

    def __init__(self, on_refusal: Refusal, clock: Callable[[], float]) -> None:
        self._on_refusal = on_refusal
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._reports = (0.0, 0)

    def require_patience(self, address: str) -> None:
        """Raise TooManyFailures while the address has to wait."""
        entry = self._entries.get(_network(address))
        if entry is not None and (left := entry.until - self._clock()) > 0:
            raise TooManyFailures(math.ceil(left))

    def add(self, address: str) -> None:
        """Count a bad token."""
        now, network = self._clock(), _network(address)
        entry = self._entries.pop(network, None) or _Entry()
        self._entries[network] = entry
        if len(self._entries) > REMEMBERED:
            self._entries.popitem(last=False)
        if now - max(entry.since, entry.until) > WINDOW_SECONDS:
            entry.count, entry.since = 0, now
        entry.count += 1
        if entry.count >= FREE_FAILURES:
            entry.until = now + min(2.0 ** (entry.count - FREE_FAILURES), MAX_WAIT_SECONDS)
        if now - entry.reported >= WINDOW_SECONDS and self._may_report(now):
            entry.reported = now
            self._on_refusal(network, entry.count)

    def _may_report(self, now: float) -> bool:
        since, count = self._reports
        if now - since >= WINDOW_SECONDS:
            since, count = now, 0
        self._reports = (since, count + 1)
        return count < REPORTS_PER_WINDOW


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
