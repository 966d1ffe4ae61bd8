"""Who hears of what, and who does which job: the one table that joins the domains."""

import os
from collections.abc import Callable, Mapping, Sequence

import msgspec

from perenne import automation, monitoring, registry, serving
from perenne.automation import Loop, Reactions, Worker
from perenne.core.events import Event
from perenne.storage import jobs
from perenne.storage.jobs import Job
from perenne.storage.outbox import Outbox, Subscriber
from perenne.storage.workspace import Workspace
from perenne.telemetry import tracing


class Platform:
    """The parts of one process, joined.

    Parameters
    ----------
    workspace : Workspace
        What they work on.
    replay : bool
        Whether model servers take the time of a request from the request: for recorded traffic in accelerated time.

    Attributes
    ----------
    loop : Loop
        The heartbeat.
    errands : Worker
        Does what is quick and talks to the outside: delivering alerts.
    trainer : Worker
        Does what is heavy: rounds.
    """

    def __init__(self, workspace: Workspace, *, replay: bool = False) -> None:
        self.workspace = workspace
        self._delivery = monitoring.notify.AlertDelivery(monitoring.notify.channels_from(os.environ))
        self.loop = Loop(workspace, Outbox(workspace.database, self._subscribers()), replay=replay)
        self.errands = Worker(workspace, _traced({monitoring.notify.DELIVER: self._deliver}))
        self.trainer = Worker(workspace, _traced({automation.ROUND_JOB: automation.run_round_job}))

    def _subscribers(self) -> Mapping[type[Event], Sequence[Subscriber]]:
        reactions = Reactions(self.workspace.clock)
        return {
            registry.VersionRegistered: [reactions.on_registered],
            registry.VersionDecided: [reactions.on_decided],
            serving.DeploymentChanged: [reactions.on_deployment],
            monitoring.events.DriftFound: [reactions.on_drift],
            monitoring.events.ObjectiveMissed: [reactions.on_objective],
            monitoring.events.GuardrailBreached: [reactions.on_guardrail],
            monitoring.events.AlertsChanged: [self._delivery.queue],
        }

    def _deliver(self, workspace: Workspace, job: Job) -> None:
        self._delivery.deliver(msgspec.json.decode(job.payload, type=monitoring.notify.Delivery))
        workspace.database.write(lambda tx: jobs.finish(tx, job))


Handler = Callable[[Workspace, Job], None]


def _traced(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """Put a span around each job."""

    def with_span(handler: Handler) -> Handler:
        def work(workspace: Workspace, job: Job) -> None:
            with tracing.span(f"job {job.kind}", {"perenne.job": job.id, "perenne.attempt": job.attempt}, kind="consumer"):
                handler(workspace, job)

        return work

    return {kind: with_span(handler) for kind, handler in handlers.items()}
