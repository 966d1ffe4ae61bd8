"""The loop's heartbeat: collect, judge, join labels, deliver events, move episodes. Each step is safe to repeat.

Each is also safe when several processes do it at once: what moves is moved by guarded changes. What lies on this machine's disk
is collected and released by every process; the rest by the one that leads.
"""

import logging
import time
from collections.abc import Callable

from perenne import data, monitoring, registry, serving, tracking
from perenne.automation.advancing import advance_due
from perenne.automation.learning import judge_canaries, learn
from perenne.automation.rollbacks import hear_verdicts
from perenne.automation.schedules import PolicyMemory, trigger_scheduled
from perenne.storage.outbox import Outbox
from perenne.storage.retention import prune
from perenne.storage.workspace import Workspace
from perenne.telemetry.pulse import Pulse

log = logging.getLogger("perenne.loop")

PRUNE_INTERVAL_S = 600.0


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
    tend : callable
        What is due for alerts; returns how much that was.

    Attributes
    ----------
    pulse : Pulse
        How it goes.
    """

    def __init__(
        self, workspace: Workspace, outbox: Outbox, *, replay: bool = False, tend: Callable[[], int] = lambda: 0
    ) -> None:
        self._workspace = workspace
        self._outbox = outbox
        self._replay = replay
        self._tend_alerts = tend
        self._released: dict[str, tuple[int, object]] = {}
        self._prune_at = 0.0
        self._retired = ("", "")
        self._policies = PolicyMemory()
        self.pulse = Pulse()

    def turn(self, *, leads: bool = True) -> int:
        """Do all that is due now, and return how much that was. A part that fails is logged and tried again in the next turn.

        Parameters
        ----------
        leads : bool
            Whether to do what one process does for all.
        """
        moving = (self._outbox.deliver, self._schedule, self._advance, self._outbox.deliver)
        shared = (self._close_lost, self._guard, self._judge, self._judge_canaries, self._tend, *moving)
        parts = (
            self._collect,
            self._hear,
            self._realise,
            *(shared if leads else (self._judge_share,)),
            self._release,
            self._learn,
        )
        with self.pulse.turn():
            return sum(self._guarded(part) for part in parts)

    def tidy(self) -> int:
        """Remove what ended long ago, now and then; return how many rows went."""
        if time.monotonic() < self._prune_at:
            return 0
        self._prune_at = time.monotonic() + PRUNE_INTERVAL_S
        return self._guarded(self._prune)

    def _prune(self) -> int:
        retired = monitoring.turns.retire(self._workspace, self._workspace.clock.now(), self._retired)
        self._retired = retired.after
        gone = retired.windows + monitoring.elsewhere.turns.prune(self._workspace)
        return gone + prune(self._workspace.database) + tracking.artifacts.sweep(self._workspace)

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
        return monitoring.turns.collect(self._workspace)

    def _hear(self) -> int:
        return hear_verdicts(self._workspace) + serving.service.queue.take_in(self._workspace)

    def _realise(self) -> int:
        now = self._workspace.clock.now()
        return monitoring.turns.realise(self._workspace, now) + monitoring.turns.realise_outcomes(self._workspace, now)

    def _close_lost(self) -> int:
        return tracking.service.close_lost_runs(self._workspace.database)

    def _guard(self) -> int:
        return monitoring.turns.look_at_running(self._workspace, self._workspace.clock.now())

    def _judge(self) -> int:
        now = self._workspace.clock.now()
        return monitoring.turns.judge_due(self._workspace, now) + monitoring.turns.draw_due(self._workspace, now)

    def _tend(self) -> int:
        return self._tend_alerts()

    def _judge_share(self) -> int:
        """Judge what nobody else does at the moment."""
        return monitoring.turns.judge_due(self._workspace, self._workspace.clock.now(), leads=False)

    def _judge_canaries(self) -> int:
        return judge_canaries(self._workspace)

    def _learn(self) -> int:
        return learn(self._workspace)

    def _schedule(self) -> int:
        read = data.ingest.queue_due(self._workspace) + monitoring.elsewhere.turns.queue_due(self._workspace)
        return read + trigger_scheduled(self._workspace, self._policies)

    def _advance(self) -> int:
        return advance_due(self._workspace)

    def _release(self) -> int:
        """Bring every release folder to its deployment's generation: compared, not announced, so that no crash can miss one.

        Likewise when signatures, keys or what is asked of packages have changed.
        """
        with self._workspace.database.read() as tx:
            generations, trust = serving.service.generations(tx), registry.trust.mark(tx)
            changed = [name for name, generation in generations.items() if self._released.get(name) != (generation, trust)]
            stale = serving.service.named(tx, changed) if changed else {}
        for _, deployment in sorted(stale.items()):
            serving.release(self._workspace, deployment, replay=self._replay)
            self._released[deployment.name] = (deployment.generation, trust)
        return len(stale)

    def _guarded(self, part: Callable[[], int]) -> int:
        try:
            return part()
        except Exception:
            self.pulse.fail(part.__name__.strip("_"))
            log.exception("a part of the loop failed; it is tried again")
            return 0
