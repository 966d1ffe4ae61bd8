"""Checking the chain of the trail bit by bit, for a page that is asked for often: what was found good is not read again."""

import threading

import msgspec

from perenne.auth import audit
from perenne.auth.audit import Head
from perenne.auth.chain import Problem
from perenne.storage.transaction import Transaction

STEP = 20_000


class ChainState(msgspec.Struct, frozen=True):
    """How far the chain was checked.

    Attributes
    ----------
    good : int
        Every record up to this number is good.
    head, hash : int, str
        The last record, to be kept elsewhere.
    bad, problem : int or None, str
        The first bad record and what is wrong with it, if one was found.
    """

    good: int
    head: int
    hash: str
    bad: int | None = None
    problem: str = ""


class ChainCheck:
    """Goes on checking where it stopped: at most `STEP` records each time it is asked, and none twice in one process.

    What is changed behind it later, `perenne audit verify` finds: it reads all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._good: Head | None = None
        self._bad: tuple[int, str] | None = None

    def advance(self, tx: Transaction) -> ChainState:
        """Check some more, and tell how far it is."""
        last = audit.head(tx) or Head(0, "")
        with self._lock:
            if self._bad is None:
                self._bad = self._cut(tx, last) or self._check(tx, last)
            good = self._good.seq if self._good else 0
            bad, problem = self._bad or (None, "")
        return ChainState(min(good, last.seq), last.seq, last.hash, bad, problem)

    def _cut(self, tx: Transaction, last: Head) -> tuple[int, str] | None:
        """Tell whether the last good record is gone, or is another one now."""
        if self._good is None:
            return None
        if last.seq < self._good.seq:
            return last.seq + 1, Problem.TRUNCATED
        return None if audit.get_record(tx, self._good.seq).hash == self._good.hash else (self._good.seq, Problem.EDITED)

    def _check(self, tx: Transaction, last: Head) -> tuple[int, str] | None:
        if self._good is not None and self._good.seq >= last.seq:
            return None
        verdict = audit.verify(tx, since=self._good, limit=STEP)
        if verdict.records:
            self._good = Head(verdict.records, audit.get_record(tx, verdict.records).hash)
        return None if verdict.bad_seq is None else (verdict.bad_seq, verdict.problem)
