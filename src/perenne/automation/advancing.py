"""What an open episode does when it is due: facts are gathered, `deciding` says where it goes, one transaction takes it there."""

import logging
from collections.abc import Callable

import msgspec

from perenne import monitoring, registry, serving
from perenne.auth.principals import Principal, policy_principal
from perenne.automation import deciding, store
from perenne.automation.deciding import MONTH, Decision, Move, Spent, Trial, Wait
from perenne.automation.episodes import get_episode, move, postpone
from perenne.automation.harm import harm_of
from perenne.automation.model import IN_TRIAL, Episode, EpisodeState
from perenne.core.clock import DAY, format_duration
from perenne.core.errors import Conflict, PerenneError
from perenne.projects import ProjectRecord, RetrainPolicy, get_project
from perenne.serving import Deployment, Variant
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace

ROUND_JOB = "round.run"

log = logging.getLogger("perenne.loop")


class RoundJob(msgspec.Struct, frozen=True):
    """The payload of the job that trains an episode's challenger; `now` is the loop's time at which it was asked for."""

    project: str
    episode: str
    now: int


def job_key(episode: Episode) -> str:
    """Name the one job that trains an episode's challenger."""
    return f"{episode.project}/{episode.id}/train"


class Advance(msgspec.Struct, frozen=True):
    """What a state's function gets; without objects no labels are read."""

    tx: Transaction
    actor: Principal
    project: ProjectRecord
    policy: RetrainPolicy
    episode: Episode
    now: int
    objects: ObjectStore | None = None

    def apply(self, decision: Decision) -> Episode:
        """Move the episode as was decided, or look at it again later."""
        if isinstance(decision, Wait):
            postpone(self.tx, self.episode, decision.until)
            return self.episode
        return self.move(decision.to, decision.note, due=decision.due, evidence=decision.evidence)

    def move(self, to: EpisodeState, note: str, *, due: int | None = None, evidence: dict[str, object] | None = None) -> Episode:
        """Move the episode on."""
        return move(
            self.tx, self.actor, self.episode, to, now=self.now, note=note, due=due, policy=self.policy, evidence=evidence
        )  # fmt: skip


def step_of(tx: Transaction, identity: str, now: int, objects: ObjectStore | None = None) -> Advance:
    """Read what a state's function gets."""
    episode = get_episode(tx, identity)
    project = get_project(tx, episode.project)
    actor = policy_principal(project.name, project.owner)
    return Advance(tx, actor, project, project.policy or RetrainPolicy(), episode, now, objects)


def advance_due(workspace: Workspace) -> int:
    """Move every episode that is due, and return how many were looked at; one that stumbles does not keep the others."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        waiting = [episode.id for episode in store.due(tx, now)]
    for identity in waiting:
        try:
            workspace.database.write(lambda tx, identity=identity: advance(tx, identity, now, workspace.objects))  # type: ignore[misc]
        except Conflict:
            log.info("episode %s was moved by somebody else", identity)
        except PerenneError as error:
            log.exception("episode %s stumbled", identity)
            why = error.message
            workspace.database.write(lambda tx, identity=identity, why=why: stumble(tx, identity, why, now))  # type: ignore[misc]
    return len(waiting)


def advance(tx: Transaction, identity: str, now: int, objects: ObjectStore | None = None) -> None:
    """Do what an episode's state asks for, until it waits for time, people or work."""
    while True:
        step = step_of(tx, identity, now, objects)
        action = _ACTIONS.get(step.episode.state)
        if action is None or not step.episode.open or step.episode.due is None or step.episode.due > now:
            return
        if step.episode.state not in _GUARDED and store.find_hold(tx, step.project.name) is not None:
            return
        action(step)


def stumble(tx: Transaction, identity: str, error: str, now: int) -> None:
    """Have a transition that failed tried again, ever later, or end the episode."""
    step = step_of(tx, identity, now)
    if not step.episode.open:
        return
    decision = deciding.stumbled(step.episode.tries + 1, error, now)
    if isinstance(decision, Move):
        take_out(step, error)
        step.apply(decision)
    else:
        again = msgspec.structs.replace(step.episode, tries=step.episode.tries + 1, due=decision.until)
        store.replace(tx, step.episode, again)


def _debounce(step: Advance) -> None:
    step.apply(deciding.gathered(step.policy, step.episode.opened, step.now))


def _check_budget(step: Advance) -> None:
    """End an episode that is not needed or too dear; else queue the job that trains."""
    heard = store.triggers_heard(step.tx, step.episode.id) or [step.episode.trigger]
    harmless = deciding.unneeded(step.policy, heard, harm_of(step.tx, step.project, step.episode))
    if harmless is not None:
        step.apply(harmless)
        return
    since, name = step.now - MONTH, step.project.name
    spent = Spent(store.trained_since(step.tx, name, since), store.cpu_since(step.tx, name, since) / 3_600)
    decision = deciding.affordable(step.policy, spent, step.now)
    episode = step.apply(decision)
    if isinstance(decision, Move) and decision.to is EpisodeState.BUDGET_OK:
        tell_free(step, "budget")
        jobs.enqueue(step.tx, ROUND_JOB, RoundJob(name, episode.id, step.now), key=job_key(episode))
    elif isinstance(decision, Move):
        tell_blocked(step, "budget", decision.note)


def tell_blocked(step: Advance, what: str, note: str) -> None:
    """Let an alert fire while something keeps a policy from retraining that a person has to see to."""
    monitoring.service.raise_alert(step.tx, step.project.name, "", f"policy {what}", note, step.now)


def tell_free(step: Advance, what: str) -> None:
    """End that alert: nothing of the kind keeps the policy from retraining any more."""
    monitoring.service.end_alert(step.tx, step.project.name, "", f"policy {what}", "it could go on", step.now)


def after_infrastructure(step: Advance) -> None:
    """Ask a person where the policy does, else go on to the shadow."""
    if overtaken(step):
        return
    found = registry.dossier(step.tx, step.episode.challenger)
    approved = [decision.approver for decision in found.decisions if decision.approved]
    decision = deciding.allowed(
        step.policy, found.gate.state.value, found.gate.reasons, approved[-1] if approved else "", step.episode.challenger,
        step.now,
    )  # fmt: skip
    if decision.to is EpisodeState.SHADOW:
        _begin_shadow(step)
    step.apply(decision)


def _wait_for_approval(step: Advance) -> None:
    step.apply(deciding.waited_out(step.policy, step.episode.entered, step.now))


def enter_shadow(step: Advance, why: str) -> None:
    """Let the challenger answer unseen beside the champion."""
    if not overtaken(step):
        _begin_shadow(step)
        step.apply(deciding.shadowed(step.policy, why, step.now))


def _begin_shadow(step: Advance) -> None:
    serving.service.set_challenger(step.tx, step.actor, step.project.name, step.episode.challenger, reason="its gate is open")
    watch_version(step.tx, step.actor, step.project, step.episode.challenger)


def overtaken(step: Advance) -> bool:
    """Give the episode up if another champion answers by now than the one its challenger was held against."""
    decision = deciding.superseded(step.episode, serving.service.get_deployment(step.tx, step.project.name).champion.version)
    if decision is None:
        return False
    take_out(step, decision.note)
    step.apply(decision)
    return True


def _count_by_calendar(tx: Transaction, actor: Principal, project: ProjectRecord) -> None:
    """Have observers count in parts of the calendar's windows, once a project asks for such, whoever answers now included."""
    grain = project.monitoring.grain
    if not grain or serving.service.get_deployment(tx, project.name).window_length == grain:
        return
    serving.service.count_by(tx, actor, project.name, grain, reason=f"watched by the {project.monitoring.windows}")
    for watch in monitoring.service.watches(tx, project.name):
        monitoring.service.watch(
            tx, actor, watch.deployment, watch.version, watch.reference, project=watch.project, window_length=grain,
            objectives=watch.objectives, guardrails=watch.guardrails, confirm=watch.confirm, clear=watch.clear,
            plan=project.monitoring,
        )  # fmt: skip


def watch_version(tx: Transaction, actor: Principal, project: ProjectRecord, identity: str) -> None:
    """Have monitoring watch a version by the project's bounds; a window shorter than a day wants a second one to confirm it."""
    confirm = 1 if project.window >= DAY else 2
    version = registry.get_version(tx, identity)
    _count_by_calendar(tx, actor, project)
    monitoring.service.watch(
        tx, actor, deployment=project.name, version=identity, project=project.name, reference=version.reference,
        objectives=project.objectives, guardrails=project.guardrails, confirm=confirm, clear=confirm, plan=project.monitoring,
    )  # fmt: skip


def _try(step: Advance) -> None:
    """Promote a challenger that has answered enough without failing; go on watching one that has not; take a bad one out."""
    if overtaken(step):
        return
    decision = deciding.tried(step.policy, step.episode.state, trial_of(step), step.now)
    if not isinstance(decision, Move):
        step.apply(decision)
        return
    name, challenger = step.project.name, step.episode.challenger
    if decision.to is EpisodeState.CANARY:
        serving.service.steps.set_canary(step.tx, step.actor, name, challenger, step.policy.canary, reason=decision.note)
    elif decision.to is EpisodeState.PROMOTED:
        serving.service.promote(step.tx, step.actor, name, challenger, reason=decision.note)
        model = registry.get_version(step.tx, challenger).model
        registry.placing.set_alias(step.tx, step.actor, model, "champion", challenger, reason=decision.note)
    else:
        take_out(step, decision.note)
    step.apply(decision)


def trial_of(step: Advance) -> Trial:
    """Gather how a challenger does: unseen, or with its share of the callers, whose failures serving judges."""
    name, challenger, champion = step.project.name, step.episode.challenger, step.episode.champion
    seen = monitoring.tallies.shadow_report(step.tx, name, challenger)
    canary = step.episode.state is EpisodeState.CANARY
    answered = monitoring.tallies.canary_rows(step.tx, name, challenger) if canary else seen.rows
    mine = _variant(serving.service.get_deployment(step.tx, name), challenger)
    paired = monitoring.tallies.paired(step.tx, step.objects, name, champion, challenger) if step.objects else None
    return Trial(
        entered=step.episode.entered,
        rows=answered,
        errors=0 if canary else seen.errors,
        parked=mine.parked if mine is not None else "",
        labelled=paired.rows if paired else 0,
        wins=paired.wins if paired else 0,
        losses=paired.losses if paired else 0,
        agreement=seen.agreement,
    )


def _variant(deployment: Deployment, version: str) -> Variant | None:
    return next((v for v in (*deployment.canaries, *deployment.challengers) if v.version == version), None)


def take_out(step: Advance, reason: str) -> None:
    """Take a challenger or canary out of the deployment, if it is in one."""
    if step.episode.state not in IN_TRIAL:
        return
    variant = _variant(serving.service.get_deployment(step.tx, step.project.name), step.episode.challenger)
    if variant is None:
        return
    remove = serving.service.steps.remove_canary if variant.role == "canary" else serving.service.remove_challenger
    remove(step.tx, step.actor, step.project.name, step.episode.challenger, reason=reason)


def _soak(step: Advance) -> None:
    note = f"watched for {format_duration(step.policy.soak)}; a missed objective or a breached guardrail rolls back"
    step.move(EpisodeState.SOAKING, note, due=step.now + step.policy.soak)


def _settle(step: Advance) -> None:
    step.apply(deciding.soaked(step.policy, step.episode.entered, step.now))


def roll_back(step: Advance, reason: str) -> None:
    """Give the answers back to the previous champion and bar the version that failed."""
    name, failed = step.project.name, step.episode.challenger
    deployment = serving.service.roll_back(step.tx, step.actor, name, reason=reason)
    model = registry.get_version(step.tx, failed).model
    registry.placing.set_alias(step.tx, step.actor, model, "champion", deployment.champion.version, reason=reason)
    registry.approvals.bar(step.tx, step.actor, failed, reason=reason)
    step.move(EpisodeState.ROLLED_BACK, reason, evidence={"back_to": deployment.champion.version, "barred": failed})


_ACTIONS: dict[EpisodeState, Callable[[Advance], None]] = {
    EpisodeState.TRIGGERED: _debounce,
    EpisodeState.DEBOUNCED: _check_budget,
    EpisodeState.INFRA_CHECKED: after_infrastructure,
    EpisodeState.AWAITING_APPROVAL: _wait_for_approval,
    EpisodeState.SHADOW: _try,
    EpisodeState.CANARY: _try,
    EpisodeState.PROMOTED: _soak,
    EpisodeState.SOAKING: _settle,
}

_GUARDED = frozenset({EpisodeState.PROMOTED, EpisodeState.SOAKING})
"""Where an episode goes on although its policy is paused: what answers people stays guarded."""
