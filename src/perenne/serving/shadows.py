"""The challengers of a deployment, as the observer has them: who is asked, what becomes of their answers, and who is given up."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from perenne.inference import Prediction
from perenne.serving.admission import Admission
from perenne.serving.challengers import Asked, Challenger, Package, Shadowed, agreeing
from perenne.serving.counters import Counters, Gauge, Outcome, SeriesKey
from perenne.serving.messages import Served
from perenne.serving.model import Deployment, Release, Role, Variant
from perenne.serving.verdicts import pronounce
from perenne.serving.watching import disagrees
from perenne.serving.windows import WindowKey, Windows
from perenne.stats.columns import Column, Task

log = logging.getLogger("perenne.observer")
Log: TypeAlias = Callable[[Package, WindowKey, str, list[Served], dict[str, Column], Prediction | None], None]


class Shadows:
    """Has challengers, and canaries beside their own callers, answer what the champion answered.

    Parameters
    ----------
    folder, spool : Path
        The release folder, and where verdicts are left.
    server : str
        Whose they are.
    counters : Counters
        Where they are counted.
    package_of : callable
        Reads what a version takes and answers.
    admission : Admission
        Says which packages may be loaded.
    """

    def __init__(
        self,
        folder: Path,
        spool: Path,
        server: str,
        counters: Counters,
        package_of: Callable[[str], Package],
        admission: Admission,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._server = server
        self._counters = counters
        self._package = package_of
        self._admission = admission
        self._deployment: Deployment | None = None
        self.challengers: list[Challenger] = []

    def offer(self, asked: Asked) -> None:
        """Have rows answered by all. Never waits."""
        for challenger in self.challengers:
            challenger.offer(asked)

    def wait(self, seconds: float) -> None:
        """Wait until nobody is busy any more, or the time is up."""
        deadline = time.monotonic() + seconds
        while any(challenger.busy for challenger in self.challengers) and time.monotonic() < deadline:
            time.sleep(0.005)

    def close(self) -> None:
        """End every process."""
        for challenger in self.challengers:
            challenger.close()

    def follow(self, release: Release) -> None:
        """Have those in shadow that the deployment names; one that is the same as before goes on."""
        deployment = release.deployment
        champion = deployment.champion.tree
        same = self._deployment is not None and self._deployment.champion.tree == champion
        self._deployment = deployment
        asked = [v for v in (*deployment.challengers, *deployment.canaries) if not v.parked and v.mirror > 0]
        going, self.challengers = self.challengers, []
        for variant in asked:
            found = next((c for c in going if same and not c.parked and c.is_asked_as(variant)), None)
            if found is not None:
                going.remove(found)
                self.challengers.append(found)
            else:
                self.challengers += self._start(release, variant)
        for challenger in going:
            challenger.close()

    def _start(self, release: Release, variant: Variant) -> list[Challenger]:
        try:
            admitted = self._admission.admit(release, variant.tree)
            champion = self._package(release.deployment.champion.tree).signature
            return [Challenger(self._folder, variant, self._package(variant.tree), champion, admitted)]
        except Exception as error:  # it is not in shadow then; nobody's answer depends on it
            self._counters.add(Gauge.CHALLENGER_ERRORS)
            log.error("challenger %s cannot be loaded: %s", variant.version, error)
            return []

    def take(self, windows: Windows, log_rows: Log) -> None:
        """Log and count what was answered since, and leave a verdict on who is given up."""
        for challenger in self.challengers:
            for shadowed in challenger.take():
                self._shadowed(challenger, shadowed, windows, log_rows)
            why = challenger.parked or self._disagreement(challenger)
            if why and not challenger.reported:
                challenger.reported = True
                self._park(challenger.variant, why)
        dropped = sum(challenger.dropped for challenger in self.challengers)
        self._counters.set(Gauge.MIRRORS_DROPPED, max(dropped, self._counters.own(Gauge.MIRRORS_DROPPED)))

    def _disagreement(self, challenger: Challenger) -> str:
        """Say why a canary answers too differently; numbers differ a little always, and are not judged so."""
        deployment = self._deployment
        judged = challenger.variant.role is Role.CANARY and challenger.package.signature.task in (Task.BINARY, Task.MULTICLASS)
        if deployment is None or not judged:
            return ""
        return disagrees(deployment.rollback, challenger.agreed, challenger.compared)

    def _shadowed(self, challenger: Challenger, shadowed: Shadowed, windows: Windows, log_rows: Log) -> None:
        asked, theirs, row_us = shadowed
        variant, rows = challenger.variant, asked.rows
        key = asked.key._replace(variant=Role.CHALLENGER.value, version=variant.version)
        reference = challenger.package.reference
        window = None if reference is None else windows.window(key, reference)
        series = self._counters.series(SeriesKey(key.deployment, variant.version, Role.CHALLENGER.value, "shadow"))
        if theirs is None:
            self._counters.add(Gauge.CHALLENGER_ERRORS)
            series.count(Outcome.FAILED, rows, 0)
            if window is not None:
                window.errors += len(asked.group)
            return
        for served in asked.group:
            series.count(Outcome.OK, served.rows, row_us * served.rows)
        shadows = [
            msgspec.structs.replace(
                served, latency_us=row_us * served.rows, batch_rows=rows, reason="", status=200, variant=variant.name
            )
            for served in asked.group
        ]
        log_rows(challenger.package, key, variant.tree, shadows, asked.columns, theirs)
        agreed = agreeing(asked.champion.signature, asked.ours, challenger.package.signature, theirs)
        challenger.compare(agreed, rows)
        if window is not None:
            window.add(asked.columns, theirs, asked.group)
            window.compare(agreed, rows)

    def _park(self, variant: Variant, why: str) -> None:
        """Tell the control plane that a version is to be asked no more."""
        deployment = self._deployment
        if deployment is None:
            return
        log.error("%s is not asked any more: %s", variant.version, why)
        pronounce(self._spool, deployment, variant, why, self._server)
