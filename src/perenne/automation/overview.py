"""Where every stage of the loop stands, and what needs a person: the answer of `perenne status`."""

import msgspec

from perenne import monitoring, registry, serving, tracking
from perenne.automation import store
from perenne.automation.model import Episode, EpisodeState
from perenne.core.clock import format_time
from perenne.core.errors import NotFound
from perenne.core.stages import Stage
from perenne.projects import ProjectRecord, list_projects
from perenne.registry import GateState
from perenne.serving import Deployment
from perenne.storage import outbox
from perenne.storage.database import Transaction

SHOWN_EVENTS = 10


class StageStatus(msgspec.Struct, frozen=True):
    """One stage of one project: a word, and a sentence."""

    project: str
    stage: str
    state: str
    detail: str


class Need(msgspec.Struct, frozen=True):
    """Something a person has to decide or look at, and the command that does it."""

    project: str
    what: str
    command: str


class Status(msgspec.Struct, frozen=True):
    """The whole installation: what needs a person first, then every stage of every project."""

    needs: tuple[Need, ...]
    stages: tuple[StageStatus, ...]


def status(tx: Transaction, project: str | None = None) -> Status:
    """Tell where every stage stands, of one project or of all.

    Raises
    ------
    NotFound
        If the named project is not known.
    """
    known = [record for record in list_projects(tx) if project in (None, record.name)]
    if project is not None and not known:
        raise NotFound(
            f"project {project[:100]!r} is not known here",
            code="project.not_found",
            hint="`perenne run` in its folder makes it known",
        )
    needs = tuple(need for record in known for need in _needs(tx, record)) + tuple(_stuck(tx))
    return Status(needs, tuple(stage for record in known for stage in _stages(tx, record)))


def _stuck(tx: Transaction) -> list[Need]:
    """Tell which events could not be delivered: they hold up no other, but what should have followed has not happened."""
    return [
        Need("", f"event {event.id} ({event.name}) was set aside: {event.error}", f"perenne event retry {event.id}")
        for event in outbox.events(tx, state="set_aside", limit=SHOWN_EVENTS)
    ]


def _needs(tx: Transaction, project: ProjectRecord) -> list[Need]:
    waiting = [
        Need(
            project.name, f"{version.id} waits for approval by {version.policy.approve_by}", f"perenne model approve {version.id}"
        )
        for version in registry.versions(tx, project.name)
        if registry.dossier(tx, version.id).gate.state is GateState.WAITING
    ]
    firing = [
        Need(project.name, f"alert: {alert.summary}", f"perenne alert acknowledge {alert.id}")
        for alert in monitoring.open_alerts(tx, project.name)
        if alert.fired is not None and not alert.acknowledged_by
    ]
    return waiting + firing


def _stages(tx: Transaction, project: ProjectRecord) -> list[StageStatus]:
    versions = registry.versions(tx, project.name)
    runs = tracking.runs(tx, project.name, limit=1)
    deployment = _deployment(tx, project.name)
    episode = next(iter(store.newest(tx, project.name, 1)), None)
    bounds = f"{len(project.objectives)} objectives, {len(project.guardrails)} guardrails"
    newest = versions[0] if versions else None
    found = [
        (Stage.ORIGINATE, "stated", f"{project.problem} ({bounds}; owner {project.owner})"),
        (Stage.DATA, "ready" if newest else "none", f"snapshot {newest.snapshot[:12]}" if newest else "no snapshot yet"),
        (Stage.TRAIN, runs[0].state.value if runs else "none", runs[0].outcome if runs else "`perenne run` does the first round"),
        (Stage.REVIEW, *_review(tx, newest.id if newest else "")),
        (Stage.SERVE, *_serving(deployment)),
        (Stage.MONITOR, *_monitoring(tx, project.name)),
        (Stage.RETRAIN, *_retraining(episode)),
    ]
    return [StageStatus(project.name, stage.value, state, detail) for stage, state, detail in found]


def _review(tx: Transaction, version: str) -> tuple[str, str]:
    if not version:
        return "none", "no version yet"
    found = registry.dossier(tx, version)
    return found.gate.state.value, f"{version}: {'; '.join(found.gate.reasons) or 'every check passed'}"


def _deployment(tx: Transaction, name: str) -> Deployment | None:
    try:
        return serving.service.get_deployment(tx, name)
    except NotFound:
        return None


def _serving(deployment: Deployment | None) -> tuple[str, str]:
    if deployment is None:
        return "none", "nothing is deployed"
    if deployment.stop is not None:
        return "stopped", f"{deployment.stop.mode.value} answers: {deployment.stop.reason}"
    beside = "".join(f", {variant.version} in shadow" for variant in deployment.challengers)
    return "serving", f"{deployment.champion.version}{beside}"


def _monitoring(tx: Transaction, name: str) -> tuple[str, str]:
    try:
        health = monitoring.deployment_health(tx, name, windows=1)
    except NotFound:
        return "none", "nothing is watched"
    verdicts = [window for stream in health.streams if stream.variant == "champion" for window in stream.windows[:1]]
    if not verdicts:
        return health.state, "no window has ended yet"
    newest = max(verdicts, key=lambda verdict: verdict.window_start)
    causes = "; ".join(cause.sentence for cause in newest.causes[:2] if cause.state == "alarm")
    return health.state, f"window from {format_time(newest.window_start)}: {newest.rows} rows{'; ' + causes if causes else ''}"


def _retraining(episode: Episode | None) -> tuple[str, str]:
    if episode is None:
        return "none", "no episode yet"
    state = "open" if episode.open else "settled" if episode.state is EpisodeState.SETTLED else "closed"
    return state, f"{episode.state.value}: {episode.note}"
