"""The parent of a model server as guard: what a version was asked of late, and whom it takes out of rotation at once.

It judges canaries, and a champion that is new, by the workers' counts; who fails gets no more callers on this server, whether or
not a control plane is there to hear of it. The verdict is left in the spool, and stands until another generation is served.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from perenne.core.clock import SECOND, SystemClock
from perenne.serving.counters import Counters, Outcome
from perenne.serving.model import Deployment, Role, Variant
from perenne.serving.verdicts import pronounce, read_verdicts, still_stands
from perenne.serving.watching import Tally, judge

log = logging.getLogger("perenne.serving")
_FAILED = (Outcome.FALLBACK, Outcome.FAILED, Outcome.LATE)
_SHADOW = "shadow"


class _Snapshot(NamedTuple):
    """The counts of each version at a moment."""

    at: float
    tallies: dict[tuple[str, str], Tally]


class Guard:
    """Takes versions that fail out of rotation.

    Parameters
    ----------
    counters : Counters
        The workers' counts, and where they read who is ruled out.
    spool : Path
        Where verdicts are left.
    server : str
        Whose guard this is.
    """

    def __init__(self, counters: Counters, spool: Path, server: str) -> None:
        self._counters = counters
        self._spool = spool
        self._server = server
        self._generation = -1
        self._past: deque[_Snapshot] = deque()
        self._out: dict[str, str] = {}

    @property
    def ruled_out(self) -> dict[str, str]:
        """Why packages are asked no more, by their digest."""
        return dict(self._out)

    def look(self, deployment: Deployment) -> None:
        """Judge who is on trial; called a few times a second."""
        if deployment.generation != self._generation:
            self._begin(deployment)
        trial = list(self._on_trial(deployment))
        if not trial:
            return
        now = _Snapshot(time.monotonic(), self._tallies(deployment.name))
        self._past.append(now)
        oldest = now.at - deployment.rollback.window / SECOND
        while len(self._past) > 1 and self._past[1].at <= oldest:
            self._past.popleft()
        for variant, other in trial:
            mine, theirs = self._lately(now, variant.version), self._lately(now, other.version)
            if not theirs.requests:  # the version before was asked before this generation
                theirs = sum((tally for (name, _), tally in now.tallies.items() if name == other.version), Tally())
            why = judge(deployment.rollback, mine, theirs)
            if why:
                self._rule_out(deployment, variant, why)

    def _begin(self, deployment: Deployment) -> None:
        """Count anew, and remember who was ruled out by an earlier life of this server and is still asked."""
        self._generation = deployment.generation
        self._past.clear()
        self._past.append(_Snapshot(time.monotonic(), self._tallies(deployment.name)))
        told = [verdict for _, verdict in read_verdicts(self._spool, deployment.name)]
        mine = [v for v in told if v.role is not Role.CHALLENGER and v.generation == deployment.generation]
        self._out = {verdict.tree: verdict.reason for verdict in mine if still_stands(verdict, deployment)}
        self._counters.rule_out(self._out)

    def _on_trial(self, deployment: Deployment) -> Iterator[tuple[Variant, Variant]]:
        """Go through who is to be judged, and against whom."""
        if not deployment.rollback.automatic or deployment.stop is not None:
            return
        for variant in deployment.canaries:
            if not variant.parked and variant.tree not in self._out:
                yield variant, deployment.champion
        before, champion = deployment.previous, deployment.champion
        new = deployment.crowned > SystemClock().now() - deployment.rollback.watch
        if before is not None and new and champion.tree not in self._out:
            yield champion, before

    def _lately(self, now: _Snapshot, version: str) -> Tally:
        """Return what a version was asked in the window, by whatever name."""
        before = self._past[0].tallies
        return sum((tally - before.get(key, Tally()) for key, tally in now.tallies.items() if key[0] == version), Tally())

    def _tallies(self, name: str) -> dict[tuple[str, str], Tally]:
        found: dict[tuple[str, str], Tally] = {}
        for key, counts in self._counters.read().items():
            if key.deployment == name and key.endpoint != _SHADOW:
                asked = sum(counts.outcomes) - counts.outcomes[Outcome.INVALID] - counts.outcomes[Outcome.UNAVAILABLE]
                tally = Tally(asked, sum(counts.outcomes[outcome] for outcome in _FAILED), counts.cells)
                found[key.version, key.variant] = found.get((key.version, key.variant), Tally()) + tally
        return found

    def _rule_out(self, deployment: Deployment, variant: Variant, why: str) -> None:
        self._out[variant.tree] = why
        self._counters.rule_out(self._out)
        log.error("%s gets no more callers here: %s", variant.version, why)
        pronounce(self._spool, deployment, variant, why, self._server)
