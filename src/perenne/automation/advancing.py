"""What an open episode does next when it is due: one function per state, run in the transaction that moves it."""

from collections.abc import Callable

import msgspec

from perenne import monitoring, registry, serving
from perenne.auth.principals import Principal, policy_principal
from perenne.automation import store
from perenne.automation.episodes import get_episode, move, postpone
from perenne.automation.model import Episode, EpisodeState
from perenne.core.clock import DAY, MINUTE, format_duration
from perenne.projects import ProjectRecord, RetrainPolicy, get_project
from perenne.registry import GateState
from perenne.serving import Variant
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

APPROVAL_TIME = 30 * DAY
LOOK_AGAIN = MINUTE
MONTH = 30 * DAY
ROUND_JOB = "round.run"


class RoundJob(msgspec.Struct, frozen=True):
    """The payload of the job that trains an episode's challenger; `now` is the loop's time at which it was asked for."""

    project: str
    episode: str
    now: int


def job_key(episode: Episode) -> str:
    """Name the one job that trains an episode's challenger."""
    return f"{episode.project}/{episode.id}/train"


class Advance(msgspec.Struct, frozen=True):
    """What a state's function gets."""

    tx: Transaction
    actor: Principal
    project: ProjectRecord
    policy: RetrainPolicy
    episode: Episode
    now: int

    def move(self, to: EpisodeState, note: str, *, due: int | None = None) -> Episode:
        """Move the episode on."""
        return move(
            self.tx, self.actor, self.episode, to, now=self.now, note=note, due=due, policy=self.policy
        )  # fmt: skip


def advance_due(workspace: Workspace) -> int:
    """Move every episode that is due, and return how many were looked at."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        waiting = [episode.id for episode in store.due(tx, now)]
    for identity in waiting:
        workspace.database.write(lambda tx, identity=identity: advance(tx, identity, now))  # type: ignore[misc]
    return len(waiting)


def advance(tx: Transaction, identity: str, now: int) -> None:
    """Do what an episode's state asks for, until it waits for time, people or work."""
    while True:
        episode = get_episode(tx, identity)
        action = _ACTIONS.get(episode.state)
        if action is None or not episode.open or episode.due is None or episode.due > now:
            return
        project = get_project(tx, episode.project)
        policy = project.policy or RetrainPolicy()
        action(Advance(tx, policy_principal(project.name, project.owner), project, policy, episode, now))


def _debounce(step: Advance) -> None:
    waited = step.now - step.episode.opened
    note = f"gathered triggers for {format_duration(waited)}" if waited else "no time set to gather further triggers"
    step.move(EpisodeState.DEBOUNCED, note, due=step.now)


def _check_budget(step: Advance) -> None:
    used = store.trained_since(step.tx, step.project.name, step.now - MONTH)
    allowed = step.policy.runs_per_month
    if used >= allowed:
        step.move(EpisodeState.FAILED, f"budget: {used} training runs in 30 days, {allowed} allowed; nothing was trained")
        return
    episode = step.move(EpisodeState.BUDGET_OK, f"{used} of {allowed} training runs used in 30 days")
    jobs.enqueue(step.tx, ROUND_JOB, RoundJob(step.project.name, episode.id, step.now), key=job_key(episode))


def after_infrastructure(step: Advance) -> None:
    """Ask a person where the policy does, else go on to the shadow."""
    found = registry.dossier(step.tx, step.episode.challenger)
    if found.gate.state is GateState.WAITING:
        note = f"waits for {step.policy.approve_by or 'a person'} to approve {step.episode.challenger}"
        step.move(EpisodeState.AWAITING_APPROVAL, note, due=step.now + APPROVAL_TIME)
    elif found.gate.state is GateState.OPEN:
        approved = [decision.approver for decision in found.decisions if decision.approved]
        enter_shadow(step, f"approved by {approved[-1]}" if approved else "the evidence alone decides")
    else:
        step.move(EpisodeState.FAILED, "; ".join(found.gate.reasons))


def _expire(step: Advance) -> None:
    step.move(EpisodeState.EXPIRED, f"nobody decided within {format_duration(APPROVAL_TIME)}")


def enter_shadow(step: Advance, why: str) -> None:
    """Let the challenger answer unseen beside the champion."""
    name = step.project.name
    serving.service.set_challenger(step.tx, step.actor, name, step.episode.challenger, reason=why)
    watch_version(step.tx, step.actor, step.project, step.episode.challenger)
    watched = format_duration(step.policy.shadow)
    note = f"{why}; answers unseen for {watched} and {step.policy.shadow_rows} rows"
    step.move(EpisodeState.SHADOW, note, due=step.now + step.policy.shadow)


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


def _leave_shadow(step: Advance) -> None:
    """Promote a challenger that has answered enough rows without failing; go on watching one that has not."""
    name, challenger = step.project.name, step.episode.challenger
    seen = monitoring.tallies.shadow_report(step.tx, name, challenger)
    beside = serving.service.get_deployment(step.tx, name)
    mine = next((v for v in (*beside.canaries, *beside.challengers) if v.version == challenger), None)
    if mine is not None and mine.parked:
        _take_out(step, mine, mine.parked)
        step.move(EpisodeState.REJECTED, f"parked: {mine.parked}")
        return
    if seen.rows < step.policy.shadow_rows:
        postpone(step.tx, step.episode, step.now + LOOK_AGAIN)
        return
    if seen.errors:
        _take_out(step, mine, "it failed in shadow")
        step.move(EpisodeState.REJECTED, f"failed on {seen.errors} of {seen.rows} rows in shadow")
        return
    if step.policy.canary and mine is not None and mine not in beside.canaries:
        why = f"{seen.rows} rows in shadow, none failed; now {step.policy.canary:.1%} of the callers"
        serving.service.steps.set_canary(step.tx, step.actor, name, challenger, step.policy.canary, reason=why)
        postpone(step.tx, step.episode, step.now + step.policy.shadow)
        return
    reason = f"{seen.rows} rows in shadow, none failed; agreed with the champion on {seen.agreement or 0:.1%}"
    serving.service.promote(step.tx, step.actor, name, challenger, reason=reason)
    registry.placing.set_alias(
        step.tx, step.actor, registry.get_version(step.tx, challenger).model, "champion", challenger, reason=reason
    )
    step.move(EpisodeState.PROMOTED, reason, due=step.now)


def _take_out(step: Advance, variant: Variant | None, reason: str) -> None:
    """Take a challenger or canary out of the deployment."""
    canary = variant is not None and variant.role == "canary"
    remove = serving.service.steps.remove_canary if canary else serving.service.remove_challenger
    remove(step.tx, step.actor, step.project.name, step.episode.challenger, reason=reason)


def _soak(step: Advance) -> None:
    note = f"watched for {format_duration(step.policy.soak)}; a missed objective or a breached guardrail rolls back"
    step.move(EpisodeState.SOAKING, note, due=step.now + step.policy.soak)


def _settle(step: Advance) -> None:
    step.move(EpisodeState.SETTLED, f"no guard spoke up in {format_duration(step.now - step.episode.entered)}")


def roll_back(step: Advance, reason: str) -> None:
    """Give the answers back to the previous champion and bar the version that failed."""
    name, failed = step.project.name, step.episode.challenger
    deployment = serving.service.roll_back(step.tx, step.actor, name, reason=reason)
    model = registry.get_version(step.tx, failed).model
    registry.placing.set_alias(step.tx, step.actor, model, "champion", deployment.champion.version, reason=reason)
    registry.approvals.bar(step.tx, step.actor, failed, reason=reason)
    step.move(EpisodeState.ROLLED_BACK, reason)


_ACTIONS: dict[EpisodeState, Callable[[Advance], None]] = {
    EpisodeState.TRIGGERED: _debounce,
    EpisodeState.DEBOUNCED: _check_budget,
    EpisodeState.INFRA_CHECKED: after_infrastructure,
    EpisodeState.AWAITING_APPROVAL: _expire,
    EpisodeState.SHADOW: _leave_shadow,
    EpisodeState.PROMOTED: _soak,
    EpisodeState.SOAKING: _settle,
}
