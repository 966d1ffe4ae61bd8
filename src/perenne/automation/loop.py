"""The loop's heartbeat: collect, judge, join labels, deliver events, move episodes. Each step is safe to repeat."""

import logging
from collections.abc import Callable

from perenne import monitoring, serving
from perenne.automation.advancing import advance_due
from perenne.automation.pulse import Pulse
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
    replay : bool
        Whether model servers take the time of a request from the request.

    Attributes
    ----------
    pulse : Pulse
        How it goes.
    """

    def __init__(self, workspace: Workspace, outbox: Outbox, *, replay: bool = False) -> None:
        self._workspace = workspace
        self._outbox = outbox
        self._replay = replay
        self._released: dict[str, int] = {}
        self.pulse = Pulse()

    def turn(self) -> int:
        """Do all that is due now, and return how much that was. A part that fails is logged and tried again in the next turn."""
        parts = (
            self._collect,
            self._realise,
            self._judge,
            self._outbox.deliver,
            self._schedule,
            self._advance,
            self._outbox.deliver,
            self._release,
        )
        with self.pulse.turn():
            return sum(self._guarded(part) for part in parts)

    def settle(self, turns: int = 20) -> int:
        """Turn until nothing is left to do at this instant, and return how much was done."""
        done = 0
        for _ in range(turns):
            count = self.turn()
            done += count
            if not count:
                break
        return done

    def _collect(self) -> int:
        return monitoring.collect(self._workspace)

    def _realise(self) -> int:
        return monitoring.realise(self._workspace, self._workspace.clock.now())

    def _judge(self) -> int:
        return monitoring.judge_due(self._workspace, self._workspace.clock.now())

    def _schedule(self) -> int:
        return trigger_scheduled(self._workspace)

    def _advance(self) -> int:
        return advance_due(self._workspace)

    def _release(self) -> int:
        """Bring every release folder to its deployment's generation: compared, not announced, so that no crash can miss one."""
        with self._workspace.database.read() as tx:
            deployments = serving.service.deployments(tx)
        stale = [deployment for deployment in deployments if self._released.get(deployment.name) != deployment.generation]
        for deployment in stale:
            serving.release(self._workspace, deployment, replay=self._replay)
            self._released[deployment.name] = deployment.generation
        return len(stale)

    def _guarded(self, part: Callable[[], int]) -> int:
        try:
            return part()
        except Exception:
            self.pulse.fail(part.__name__.strip("_"))
            log.exception("a part of the loop failed; it is tried again")
            return 0
