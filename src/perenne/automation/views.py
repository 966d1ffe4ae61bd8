"""The payloads of the episodes' screens: all of them with the policies behind, and one with everything that decided it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import monitoring, projects, registry
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.principals import Principal
from perenne.auth.queries import text
from perenne.auth.roles import Action, allowed, sees
from perenne.automation import advancing, episodes, store
from perenne.automation.advancing import job_key
from perenne.automation.backtest import views as backtests
from perenne.automation.model import ANSWERING, IN_TRIAL, Episode, EpisodeState, Step, TriggerLine
from perenne.automation.path import TONES, Path, path_of, state_word
from perenne.automation.standing import Standing, standings
from perenne.core.paging import Page, page_of
from perenne.monitoring import Alert, BoundState
from perenne.projects import ProjectRecord, RetrainPolicy, get_project, list_projects, project_names
from perenne.registry import Decision, Dossier, Evidence, GateState
from perenne.stats.sequential import log_e_value
from perenne.storage import jobs
from perenne.storage.links import Kind, links_from
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

SHOWN_POLICIES = 200


class EpisodeRow(msgspec.Struct, frozen=True):
    """An episode in a line; `tone` and `word` show its state."""

    id: str
    project: str
    state: str
    word: str
    tone: str
    trigger: str
    cause: str
    champion: str
    challenger: str
    note: str
    opened: int
    entered: int
    open: bool


class PolicyRow(msgspec.Struct, frozen=True):
    """A project's retraining policy in sentences, how it stands, its newest episode; `rests_until` while it rests.

    `may_edit` tells whether whoever asks may pause and resume it, `may_trigger` whether an episode could be opened now.
    """

    project: str
    sentences: tuple[str, ...]
    newest: EpisodeRow | None
    rests_until: int | None
    standing: Standing
    may_edit: bool
    may_trigger: bool


class PoliciesView(msgspec.Struct, frozen=True):
    """A window of the episodes, newest first, and the policies by project."""

    rows: tuple[EpisodeRow, ...]
    total: int
    offset: int
    limit: int
    open: int
    policies: tuple[PolicyRow, ...]
    more_policies: int


class JobLine(msgspec.Struct, frozen=True):
    """The job that trains the challenger: how far it is."""

    id: str
    state: str
    attempt: int
    attempts_allowed: int
    progress: float | None
    message: str | None
    error: str | None


class CauseAlert(msgspec.Struct, frozen=True):
    """An alert that opened the episode or joined it; `window` is the start of the window in which it was found."""

    id: str
    deployment: str
    version: str
    rule: str
    severity: str
    state: str
    summary: str
    window: int


class GateView(msgspec.Struct, frozen=True):
    """What is known of the challenger: the gate, its reasons, every fact, every decision; `approve_by` is who is asked."""

    state: str
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    required: tuple[str, ...]
    decisions: tuple[Decision, ...]
    approve_by: str
    may_decide: bool


class ShadowView(msgspec.Struct, frozen=True, kw_only=True):
    """What the challenger did in shadow and as a canary, and what the policy asks for.

    Attributes
    ----------
    agreement : float or None
        With the champion.
    labelled, wins, losses : int
        Rows whose label has come, and those that the challenger or the champion alone has right.
    log_e_better, log_e_worse, needed : float
        The evidence of those labels either way, as logarithms, and from where it decides: the logarithm of 1 / alpha.
    prove_live : bool
        Whether it must be shown to be better to be promoted.
    canary : float
        The share of callers it answers for after the shadow.
    """

    rows: int
    errors: int
    agreement: float | None
    needed_rows: int
    length: int
    labelled: int = 0
    wins: int = 0
    losses: int = 0
    log_e_better: float = 0.0
    log_e_worse: float = 0.0
    needed: float = 0.0
    prove_live: bool = False
    canary: float = 0.0


class SoakView(msgspec.Struct, frozen=True):
    """How long a promoted version is watched, and how objectives and guardrails stand in its newest window."""

    length: int
    window: int | None
    rows: int
    bounds: tuple[BoundState, ...]


class EpisodeView(msgspec.Struct, frozen=True, kw_only=True):
    """An episode with all that moved it; what is not known yet is None.

    `evidence` has the figures of each state that was entered, `alpha` the chance of a mistake that its test took.
    """

    episode: EpisodeRow
    generation: int
    due: int | None
    rest_until: int
    rejections: int
    path: Path
    steps: tuple[Step, ...]
    triggers: tuple[TriggerLine, ...]
    alerts: tuple[CauseAlert, ...]
    policy: tuple[str, ...]
    job: JobLine | None
    run: str
    comparison: Evidence | None
    gate: GateView | None
    shadow: ShadowView | None
    soak: SoakView | None
    alpha: float
    evidence: dict[str, dict[str, Any]]
    may_cancel: bool


def policies_view(tx: Transaction, actor: Principal, page: Page, *, now: int, state: str = "", project: str = "") -> PoliciesView:
    """Show a window of the episodes and the policies of the projects the actor sees.

    Raises
    ------
    Invalid
        If there is no such state.
    """
    names = [name for name in project_names(tx, with_policy=True) if sees(actor, name) and project in ("", name)]
    only = [project] if project and sees(actor, project) else list(actor.projects) or None if not project else []
    rows, total = episodes.episode_page(tx, page, state=state, projects=only)
    _, opened = episodes.episode_page(tx, Page(0, 1), state="open", projects=only)
    shown = names[:SHOWN_POLICIES]
    newest = store.newest_of(tx, shown)
    may = allowed(actor, Action.EDIT_PROJECT)
    records = list_projects(tx, shown)
    found = standings(tx, records, now)
    policies = tuple(_policy(record, newest.get(record.name), found[record.name], now, may=may) for record in records)
    return PoliciesView(tuple(map(episode_row, rows)), total, page.offset, page.limit, opened, policies, len(names) - len(shown))


def _policy(record: ProjectRecord, newest: Episode | None, standing: Standing, now: int, *, may: bool) -> PolicyRow:
    assert record.policy is not None
    rests = newest.rest_until if newest is not None and not newest.open and newest.rest_until > now else None
    free = newest is None or not newest.open
    return PolicyRow(
        record.name,
        projects.wording.policy_words(record.policy),
        None if newest is None else episode_row(newest),
        rests,
        standing,
        may,
        may and free and not rests and standing.paused is None,
    )


def episode_row(item: Episode) -> EpisodeRow:
    """Put an episode into a line."""
    return EpisodeRow(
        item.id, item.project, item.state.value, state_word(item.state), TONES.get(item.state, "info"),
        projects.wording.trigger_words(item.trigger), item.cause, item.champion, item.challenger, item.note, item.opened,
        item.entered, item.open,
    )  # fmt: skip


def episode_view(tx: Transaction, actor: Principal, identity: str, objects: ObjectStore | None = None) -> EpisodeView:
    """Show one episode; with the object store, in which labelled rows lie, also what labels say of a trial. Raises NotFound."""
    item = episodes.get_episode(tx, identity)
    policy = get_project(tx, item.project).policy or RetrainPolicy()
    steps = tuple(episodes.history(tx, identity))
    found = registry.dossier(tx, item.challenger) if item.challenger else None
    reached = {step.after for step in steps}
    return EpisodeView(
        episode=episode_row(item),
        generation=item.generation,
        due=item.due,
        rest_until=item.rest_until,
        rejections=item.rejections,
        path=path_of(item, steps),
        steps=steps,
        triggers=tuple(store.triggers_of(tx, identity)),
        alerts=_alerts(tx, identity),
        policy=projects.wording.policy_words(policy),
        job=_job(tx, item),
        run=found.version.run if found else "",
        comparison=_comparison(found),
        gate=None if found is None else _gate(actor, found),
        shadow=_shadow(tx, item, policy, steps, objects) if EpisodeState.SHADOW in reached else None,
        soak=_soak(tx, item, policy) if EpisodeState.SOAKING in reached else None,
        alpha=item.alpha,
        evidence={step.after: step.evidence for step in steps if step.evidence},
        may_cancel=item.open and item.state not in ANSWERING and allowed(actor, Action.EDIT_PROJECT),
    )


def _alerts(tx: Transaction, identity: str) -> tuple[CauseAlert, ...]:
    blamed = [link.target for link in links_from(tx, Kind.EPISODE, identity) if link.target_kind == Kind.ALERT]
    return tuple(map(_alert, monitoring.summary.alerts_of(tx, blamed))) if blamed else ()


def _alert(item: Alert) -> CauseAlert:
    return CauseAlert(
        item.id, item.deployment, item.version, item.rule, item.severity.value, item.state.value, item.summary, item.latest
    )


def _job(tx: Transaction, item: Episode) -> JobLine | None:
    job = jobs.job_of_key(tx, job_key(item))
    if job is None:
        return None
    return JobLine(job.id, job.state, job.attempt, job.attempts_allowed, job.share, job.message, job.error)


def _comparison(found: Dossier | None) -> Evidence | None:
    compared = [item for item in found.evidence if item.check.startswith("compare:")] if found else []
    return compared[-1] if compared else None


def _gate(actor: Principal, found: Dossier) -> GateView:
    policy = found.version.policy
    may = allowed(actor, Action.APPROVE_BUSINESS) and found.gate.state is GateState.WAITING
    return GateView(
        found.gate.state.value, found.gate.reasons, found.evidence, policy.required, found.decisions, policy.approve_by, may
    )


def _shadow(
    tx: Transaction, item: Episode, policy: RetrainPolicy, steps: Sequence[Step], objects: ObjectStore | None
) -> ShadowView:
    """Tell how the trial stands; once it is over, as it was when it was decided."""
    ended = next((step for step in reversed(steps) if "log_e_better" in step.evidence), None)
    asked: dict[str, Any] = {
        "prove_live": policy.prove_live,
        "canary": policy.canary,
        "needed_rows": policy.shadow_rows,
        "length": policy.shadow,
    }
    if ended is not None and item.state not in IN_TRIAL:
        told = {name: ended.evidence[name] for name in ShadowView.__struct_fields__ if name in ended.evidence}
        return ShadowView(**(asked | told))
    trial = advancing.trial_of(advancing.step_of(tx, item.id, item.entered, objects))
    return ShadowView(
        rows=trial.rows, errors=trial.errors, agreement=trial.agreement, labelled=trial.labelled, wins=trial.wins,
        losses=trial.losses, log_e_better=log_e_value(trial.wins, trial.losses),
        log_e_worse=log_e_value(trial.losses, trial.wins), needed=-math.log(policy.promote.alpha), **asked,
    )  # fmt: skip


def _soak(tx: Transaction, item: Episode, policy: RetrainPolicy) -> SoakView:
    found = monitoring.summary.summaries(tx, [item.project]).get(item.project)
    newest = found.newest if found else None
    if newest is None or newest.version != item.challenger:
        return SoakView(policy.soak, None, 0, ())
    return SoakView(policy.soak, newest.window_start, newest.rows, newest.bounds)


def project_of_episode(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of an episode."""
    return episodes.get_episode(tx, path["episode"]).project


@needs(Action.READ, filters=True, returns=PoliciesView)
async def get_policies(request: Request) -> Response:
    """Show the episodes, of one `state` or `project` if named, and the policies."""
    page, now = page_of(request.query_params), request.app.state.workspace.clock.now()
    state, project = text(request, "state"), text(request, "project")
    return await answers.view(request, lambda tx, actor: policies_view(tx, actor, page, now=now, state=state, project=project))


@needs(Action.READ, project=project_of_episode, returns=EpisodeView)
async def get_episode(request: Request) -> Response:
    """Show an episode."""
    objects = request.app.state.workspace.objects
    return await answers.view(request, lambda tx, actor: episode_view(tx, actor, request.path_params["episode"], objects))


routes = [
    Route("/api/view/policy", get_policies, methods=["GET"]),
    Route("/api/view/policy/{episode}", get_episode, methods=["GET"]),
    *backtests.routes,
]
