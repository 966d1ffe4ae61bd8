"""Who hears of what, and who does which job: the one table that joins the domains."""

import os
import sys
from collections.abc import Mapping, Sequence

from perenne import automation, data, delivery, labels, llm, monitoring, registry, serving, tracking
from perenne.app.own_traces import read_elsewhere
from perenne.automation import Loop, Reactions, Worker, Workforce
from perenne.core.errors import Invalid
from perenne.core.events import Event
from perenne.storage import jobs
from perenne.storage.outbox import Outbox, Subscriber
from perenne.storage.workspace import Workspace


def subscribers(
    reactions: Reactions,
    alerts: monitoring.alerting.delivering.AlertDelivery,
    indexing: monitoring.alerting.indexing.Indexing,
) -> Mapping[type[Event], Sequence[Subscriber]]:
    """Return who hears of which event."""
    parked = monitoring.alerting.reports.ParkedVersions(alerts.clock)
    return {
        registry.VersionRegistered: [reactions.on_registered],
        registry.VersionDecided: [reactions.on_decided],
        registry.RegistryChanged: [registry.webhooks.queue],
        serving.DeploymentChanged: [reactions.on_deployment, parked.on_deployment],
        monitoring.events.DriftFound: [reactions.on_drift, indexing.on_drift],
        monitoring.events.ObjectiveMissed: [reactions.on_objective],
        monitoring.events.GuardrailBreached: [reactions.on_guardrail],
        monitoring.events.ConceptDrifted: [reactions.on_concept],
        monitoring.events.AlertsChanged: [alerts.queue, indexing.on_alerts],
        jobs.JobFailed: [reactions.on_job_failed],
        tracking.Removed: [llm.on_removed],
        data.ingest.events.SourceFailed: [monitoring.alerting.reports.on_source_failed],
        data.ingest.events.SourceRecovered: [monitoring.alerting.reports.on_source_recovered],
        data.ingest.events.RowsLate: [monitoring.alerting.reports.on_rows_late],
        data.ingest.events.RowsArrived: [reactions.on_arrived, monitoring.performance.taking.on_rows_arrived],
        data.privacy.RowsErased: [labels.erasing.on_erased],
        delivery.events.GatesPassed: [reactions.on_gates_passed],
    }


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
    quick, heavy : mapping
        Kinds of job and their handlers: what is done in passing, such as delivering alerts, and what gets a process of its own.
    errands, trainer : Worker
        Do the one and the other in the thread that asks.
    """

    def __init__(self, workspace: Workspace, *, replay: bool = False) -> None:
        self.workspace = workspace
        alerts = monitoring.alerting.delivering.AlertDelivery.of(workspace)
        indexing = monitoring.alerting.indexing.Indexing.of(os.environ)
        self.loop = Loop(
            workspace,
            Outbox(workspace.database, subscribers(Reactions(workspace.clock), alerts, indexing)),
            replay=replay,
            tend=lambda: monitoring.alerting.tending.tend(workspace, alerts),
        )
        self.quick = {
            monitoring.alerting.delivering.DELIVER: alerts.deliver,
            monitoring.alerting.indexing.INDEX: indexing.send,
            monitoring.discarding.DISCARD: monitoring.discarding.discard,
            monitoring.performance.expecting.ESTIMATE_JOB: monitoring.turns.estimate_losses,
            monitoring.performance.taking.TAKE_JOB: monitoring.performance.taking.take_labels,
            registry.webhooks.DELIVER: registry.webhooks.deliver,
            tracking.artifacts.SCAN: tracking.artifacts.scan,
            tracking.sealing.SEAL: tracking.sealing.seal,
        }
        self.heavy = {
            automation.ROUND_JOB: automation.run_round_job,
            data.ingest.REFRESH_JOB: data.ingest.refresh_job,
            monitoring.elsewhere.reading.READ_JOB: read_elsewhere,
            delivery.gates.GATE_JOB: delivery.gates.run_gate_job,
        }
        self.errands = Worker(workspace, self.quick)
        self.trainer = Worker(workspace, self.heavy)

    def workforce(self, kinds: Sequence[str] = (), *, slots: int = 1) -> Workforce:
        """Return workers for some kinds of job, for all if none is named. Raises Invalid if a kind is not known."""
        known = [*self.quick, *self.heavy]
        for kind in kinds:
            if kind not in known:
                raise Invalid(f"{kind[:60]!r} is no kind of job", code="job.kind", hint=f"one of: {', '.join(known)}")
        chosen = set(kinds or known)
        quick = {kind: handler for kind, handler in self.quick.items() if kind in chosen}
        heavy = [kind for kind in self.heavy if kind in chosen]
        return Workforce(self.workspace, quick, heavy, [sys.executable, "-m", "perenne.app.trainer"], slots=slots)
