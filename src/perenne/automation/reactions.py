"""What automation does when others announce something: the subscribers of the outbox."""

import msgspec

from perenne import data, delivery, monitoring, registry, serving
from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind, policy_principal
from perenne.auth.roles import Role
from perenne.automation import advancing, deciding, store
from perenne.automation.advancing import Advance, overtaken, step_of, watch_version
from perenne.automation.deciding import Signal
from perenne.automation.episodes import open_episode_of
from perenne.automation.harm import drift_signal
from perenne.automation.hearing import Heard, arrived, hear
from perenne.automation.model import ANSWERING, EpisodeState
from perenne.automation.rollbacks import missed_before, roll_back_soaking
from perenne.core.clock import Clock
from perenne.core.errors import NotFound
from perenne.projects import AllOf, Drift, NewData, ProjectRecord, get_project
from perenne.registry import GateState, VersionDecided, VersionForm, VersionRegistered
from perenne.serving import Deployment, StopMode
from perenne.storage.database import Transaction
from perenne.storage.jobs import JobFailed


class Reactions:
    """Subscribers that decide by a clock.

    Parameters
    ----------
    clock : Clock
        The loop's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_registered(self, tx: Transaction, event: VersionRegistered) -> None:
        """Put the first version of a project in service, if nobody needs to approve it."""
        self._launch(tx, event.version)

    def on_gates_passed(self, tx: Transaction, event: delivery.events.GatesPassed) -> None:
        """Put the first version of a project in service that waited for its gates."""
        self._launch(tx, event.version)

    def on_decided(self, tx: Transaction, event: VersionDecided) -> None:
        """Go on, or stop, where an episode waited for this decision; launch a first version that was approved."""
        version = registry.get_version(tx, event.version)
        episode = open_episode_of(tx, version.project)
        if episode is None or episode.challenger != event.version:
            if event.approved:
                self._launch(tx, event.version)
            return
        if episode.state is not EpisodeState.AWAITING_APPROVAL:
            return
        step = self._step(tx, episode.id)
        if event.approved:
            advancing.enter_shadow(step, f"approved by {event.approver}")
        else:
            step.move(EpisodeState.REJECTED, f"rejected by {event.approver}: {event.reason}")

    def on_drift(self, tx: Transaction, event: monitoring.events.DriftFound) -> None:
        """Open an episode if the policy retrains on drift."""
        signal = drift_signal(tx, event.deployment, event.version, event.features, self._windows(tx, event.deployment))
        cause = f"drift in {', '.join(event.features[:3])}"
        since = next((alert.since for alert in monitoring.summary.alerts_of(tx, [event.alert])), event.window_start)
        self._hear(tx, event.deployment, event.version, Heard(signal, cause, event.alert, since))

    def on_objective(self, tx: Transaction, event: monitoring.events.ObjectiveMissed) -> None:
        """Roll back a version that misses an objective while it soaks; else open an episode if the policy says so."""
        cause = f"{event.objective}: {event.source} {event.value:.4g}, limit {event.threshold:.4g}"
        before = missed_before(tx, event.deployment, event.alert)
        if deciding.takes_back("objective", missed_before=before) and self._roll_back(
            tx, event.deployment, event.version, f"objective missed: {cause}"
        ):
            return
        signal = Signal(kind="missed", name=event.objective.split(" by ")[0])
        heard = Heard(signal, f"objective missed: {cause}", event.alert, event.window_start)
        self._hear(tx, event.deployment, event.version, heard)

    def on_concept(self, tx: Transaction, event: monitoring.events.ConceptDrifted) -> None:
        """Open an episode if the policy retrains when what is true has changed."""
        where = f" in {event.segment}" if event.segment else ""
        heard = Heard(
            Signal(kind="concept", name=event.detector),
            f"what is true has changed{where}, by {event.detector}",
            event.alert,
            event.since,
        )
        self._hear(tx, event.deployment, event.version, heard)

    def on_arrived(self, tx: Transaction, event: "data.ingest.events.RowsArrived") -> None:
        """Count a new version of a project's data, and open an episode if the policy retrains on so many."""
        project = _project(tx, event.project) if event.project else None
        if project is None or project.policy is None:
            return
        now, cause = self._clock.now(), f"{event.added:,} rows of {event.dataset} are new"
        kind = NewData(versions=1, dataset=event.dataset)
        store.insert_trigger(tx, project.name, None, kind, cause, store.ARRIVED, now)
        champion = registry.placing.aliased(tx, project.name, "champion")
        for dataset, count in arrived(tx, project.name).items() if champion is not None else ():
            signal = Signal(kind="versions", name=dataset, count=count)
            hear(tx, project, champion.id, Heard(signal, f"{count} new versions: {cause}"), now)  # type: ignore[union-attr]

    def on_guardrail(self, tx: Transaction, event: monitoring.events.GuardrailBreached) -> None:
        """Stop a model that breaches a guardrail at once: for the previous version, a constant answer, or a person's queue."""
        cause = f"guardrail breached: {event.guardrail} is {event.value:.4g}, limit {event.threshold:.4g}"
        if event.group:
            cause += f" (worst: {event.group})"
        if event.stop != "alert":
            if self._roll_back(tx, event.deployment, event.version, cause):
                return
            stop(tx, _guard(event.deployment), event.deployment, event.version, cause, StopMode(event.stop))
        heard = Heard(Signal(kind="missed"), cause, event.alert, event.window_start)
        self._hear(tx, event.deployment, event.version, heard)

    def on_deployment(self, tx: Transaction, event: serving.DeploymentChanged) -> None:
        """Let alias and monitoring follow what is deployed, also where a person changed it by hand."""
        project = _project(tx, event.deployment)
        if project is None:
            return
        actor = policy_principal(project.name, project.owner)
        deployment = serving.service.get_deployment(tx, event.deployment)
        for variant in (deployment.champion, *deployment.canaries, *deployment.challengers):
            watch_version(tx, actor, project, variant.version)
        model = registry.get_version(tx, deployment.champion.version).model
        present = registry.placing.aliased(tx, model, "champion")
        if present is None or present.id != deployment.champion.version:
            registry.placing.set_alias(
                tx, actor, model, "champion", deployment.champion.version, reason=f"{event.change} by hand"
            )
        self._notice(tx, event.deployment, deployment.champion.version)

    def _notice(self, tx: Transaction, name: str, champion: str) -> None:
        """End an episode whose challenger no longer answers, or was held against one that does not, because of a person."""
        episode = open_episode_of(tx, name)
        if episode is None:
            return
        step = self._step(tx, episode.id)
        if episode.state not in ANSWERING:
            overtaken(step)
        elif champion == episode.champion:
            step.move(EpisodeState.ROLLED_BACK, f"a person gave the answers back to {champion}")
        elif champion != episode.challenger:
            step.move(EpisodeState.SUPERSEDED, f"{champion} answers now, by hand")

    def on_job_failed(self, tx: Transaction, event: JobFailed) -> None:
        """End the episode whose round was given up or cancelled: nobody would move it on."""
        if event.kind != advancing.ROUND_JOB:
            return
        payload = msgspec.json.decode(event.payload, type=advancing.RoundJob)
        step = self._step(tx, payload.episode)
        if step.episode.open:
            step.move(EpisodeState.FAILED, f"the round was cancelled: {event.error}" if event.cancelled else event.error)

    def _hear(self, tx: Transaction, deployment: str, version: str, heard: Heard) -> None:
        """Hear of a version that answers; what became of one before it is no reason to retrain."""
        project = _project(tx, deployment)
        if project is None or project.policy is None:
            return
        if serving.service.get_deployment(tx, deployment).champion.version == version:
            hear(tx, project, version, heard, self._clock.now())

    def _windows(self, tx: Transaction, deployment: str) -> int:
        """Tell how many windows the policy looks at when inputs drift."""
        project = _project(tx, deployment)
        on = project.policy.on if project is not None and project.policy is not None else ()
        parts = [part for one in on for part in (one.triggers if isinstance(one, AllOf) else (one,))]
        return max((part.windows for part in parts if isinstance(part, Drift)), default=1)

    def _roll_back(self, tx: Transaction, deployment: str, version: str, reason: str) -> bool:
        return roll_back_soaking(tx, deployment, version, reason, self._clock.now())

    def _step(self, tx: Transaction, identity: str) -> Advance:
        return step_of(tx, identity, self._clock.now())

    def _launch(self, tx: Transaction, identity: str) -> None:
        """Make a version the first champion of its project, if its gate is open and there is no champion yet."""
        version = registry.get_version(tx, identity)
        if version.form is not VersionForm.PACKAGE or registry.placing.aliased(tx, version.model, "champion") is not None:
            return
        if registry.dossier(tx, identity).gate.state is not GateState.OPEN:
            return
        project = get_project(tx, version.project)
        actor = policy_principal(project.name, project.owner)
        reason = "the first version whose gate is open"
        registry.placing.set_alias(tx, actor, version.model, "champion", identity, reason=reason)
        length = project.monitoring.grain or project.window
        serving.service.deploy(tx, actor, project.name, identity, window_length=length, answer=version.fallback, reason=reason)
        watch_version(tx, actor, project, identity)


def stop(
    tx: Transaction,
    actor: Principal,
    deployment: str,
    version: str,
    reason: str,
    wanted: StopMode = StopMode.PREVIOUS,
) -> Deployment | None:
    """Stop whoever answers, and let somebody else: as is wanted, where that can be.

    For a champion its previous version steps in; for that one, or if there is none, the constant; a person always can.

    Returns
    -------
    Deployment or None
        What answers now; None if that version does not answer, so that nothing was to be done, or there is no constant.
    """
    current = serving.service.get_deployment(tx, deployment)
    stand_in = current.stand_in
    if version not in ([current.champion.version] if current.stop is None else [stand_in.version] if stand_in else []):
        return None
    mode = wanted
    if wanted is StopMode.PREVIOUS and (current.stop is not None or current.previous is None):
        mode = StopMode.CONSTANT
    if mode is StopMode.CONSTANT and current.answer is None:
        audit.record(tx, actor, "deployment.stop_impossible", "deployment", deployment, reason=f"no constant answer; {reason}")
        return None
    return serving.service.stop(tx, actor, deployment, mode=mode, reason=reason)


def _guard(deployment: str) -> Principal:
    return Principal(f"guardrail:{deployment}", PrincipalKind.SYSTEM, frozenset({Role.DEPLOYER}))


def _project(tx: Transaction, name: str) -> ProjectRecord | None:
    try:
        return get_project(tx, name)
    except NotFound:
        return None
