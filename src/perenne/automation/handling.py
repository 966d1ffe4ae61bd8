"""What people do to policies and episodes by hand: pause and resume, cancel, approve and reject."""

from perenne import registry
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.automation import store
from perenne.automation.advancing import job_key, step_of, take_out
from perenne.automation.episodes import get_episode, move
from perenne.automation.model import ANSWERING, Episode, EpisodeState, Hold
from perenne.core.errors import Conflict, Invalid
from perenne.projects import get_project
from perenne.storage import jobs, steering
from perenne.storage.database import Transaction


def pause(tx: Transaction, actor: Principal, project: str, reason: str, now: int) -> Hold:
    """Have a policy open nothing, train nothing and promote nobody until it is resumed; what was promoted stays guarded.

    Raises
    ------
    NotFound, Denied, Invalid
        If there is no such project, it is not theirs to edit, or no reason is given.
    Conflict
        If it has no policy, or is paused already.
    """
    record = get_project(tx, project)
    require(actor, Action.EDIT_PROJECT, project)
    _need(reason)
    if record.policy is None:
        raise Conflict(f"{project} has no policy", code="policy.missing", hint="`project.retrain(…)` in its project.py")
    present = store.find_hold(tx, project)
    if present is not None:
        raise Conflict(f"{present.by} has paused {project}: {present.reason}", code="policy.paused", hint="resume it first")
    hold = Hold(project, actor.name, reason, now)
    store.insert_hold(tx, hold)
    audit.record(tx, actor, "policy.pause", "project", project, after=hold, reason=reason)
    return hold


def resume(tx: Transaction, actor: Principal, project: str, reason: str = "") -> Hold:
    """Let a policy go on that was paused; return how it was paused.

    Raises
    ------
    NotFound, Denied, Conflict
        If there is no such project, it is not theirs to edit, or it is not paused.
    """
    get_project(tx, project)
    require(actor, Action.EDIT_PROJECT, project)
    hold = store.find_hold(tx, project)
    if hold is None or not store.delete_hold(tx, project):
        raise Conflict(f"{project} is not paused", code="policy.not_paused", hint="`perenne policy list` shows what is")
    audit.record(tx, actor, "policy.resume", "project", project, before=hold, reason=reason)
    return hold


def cancel(tx: Transaction, actor: Principal, identity: str, reason: str, now: int) -> Episode:
    """End an episode before anybody is promoted: its job is cancelled, its challenger leaves the deployment.

    Raises
    ------
    NotFound, Denied, Invalid
        If there is no such episode, the project is not theirs to edit, or no reason is given.
    Conflict
        If it has ended, or its challenger answers already.
    """
    episode = get_episode(tx, identity)
    require(actor, Action.EDIT_PROJECT, episode.project)
    _need(reason)
    if not episode.open:
        raise Conflict(f"episode {identity} is {episode.state} already", code="episode.ended", hint="there is nothing to cancel")
    if episode.state in ANSWERING:
        hint = f"`perenne deploy rollback {episode.project}` takes it back"
        raise Conflict(f"{episode.challenger} answers already", code="episode.promoted", hint=hint)
    step = step_of(tx, identity, now)
    why = f"cancelled by {actor.name}: {reason}"
    take_out(step, why)
    ended = move(tx, actor, episode, EpisodeState.CANCELLED, now=now, note=why, policy=step.policy)
    job = jobs.job_of_key(tx, job_key(episode))
    if job is not None and job.state in ("queued", "running"):
        steering.cancel(tx, job.id, why)
    return ended


def decide(tx: Transaction, actor: Principal, identity: str, *, approve: bool, reason: str) -> Episode:
    """Approve or reject the challenger that an episode waits for; the loop does the rest.

    Raises
    ------
    NotFound, Denied
        If there is no such episode, or it is not theirs to decide.
    Conflict
        If it waits for nobody.
    """
    episode = get_episode(tx, identity)
    if episode.state is not EpisodeState.AWAITING_APPROVAL:
        raise Conflict(
            f"episode {identity} is {episode.state}, it waits for nobody",
            code="episode.not_waiting",
            hint="`perenne policy show` tells where it is",
        )
    registry.approvals.decide(tx, actor, episode.challenger, approve=approve, reason=reason)
    return episode


def _need(reason: str) -> None:
    if not reason.strip():
        raise Invalid("a reason is needed", code="policy.reason", hint="say why: --reason '…'")
