"""The loop's heartbeat: collect, judge, join labels, deliver events, move episodes. Every step is safe to repeat and to interrupt."""

import logging
from collections.abc import Callable

from perenne import monitoring
from perenne.automation.advancing import advance_due
from perenne.automation.schedules import trigger_scheduled
from perenne.storage.outbox import Outbox
from perenne.storage.workspace import Workspace

log = logging.getLogger("perenne.loop")


class Loop:
    """One turn after another, by the workspace's clock.

    Parameters
    ----------
    workspace : Workspace
        Whose loop it is.
    outbox : Outbox
        With the subscribers of all domains.
    """

    def __init__(self, workspace: Workspace, outbox: Outbox) -> None:
        self._workspace = workspace
        self._outbox = outbox

    def turn(self) -> int:
        """Do all that is due now, and return how much that was. A part that fails is logged and tried again in the next turn."""
        return sum(
            self._guarded(part)
            for part in (self._observe, self._outbox.deliver, self._schedule, self._advance, self._outbox.deliver)
        )

    def settle(self, turns: int = 20) -> int:
        """Turn until nothing is left to do at this instant, and return how much was done."""
        done = 0
        for _ in range(turns):
            count = self.turn()
            done += count
            if not count:
                break
        return done

    def _observe(self) -> int:
        now = self._workspace.clock.now()
        collected = monitoring.collect(self._workspace)
        realised = monitoring.realise(self._workspace, now)
        return collected + realised + monitoring.judge_due(self._workspace, now)

    def _schedule(self) -> int:
        return trigger_scheduled(self._workspace)

    def _advance(self) -> int:
        return advance_due(self._workspace)

    def _guarded(self, part: Callable[[], int]) -> int:
        try:
            return part()
        except Exception:
            log.exception("a part of the loop failed; it is tried again")
            return 0
