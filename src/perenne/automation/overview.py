"""Where every stage of the loop stands, and what needs a person: the answer of `perenne status`.

Each domain is asked once for all projects, or once for those that are shown; here the answers are only put side by side.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from perenne import monitoring, registry, serving, tracking
from perenne.automation import store
from perenne.automation.model import Episode, EpisodeState
from perenne.core.clock import format_time
from perenne.core.stages import Stage
from perenne.projects import ProjectRecord, get_project, list_projects, project_names
from perenne.registry import Dossier, Version
from perenne.serving import Deployment
from perenne.storage import outbox
from perenne.storage.database import Transaction
from perenne.tracking import Run

SHOWN_PROJECTS = 20
SHOWN_NEEDS = 50
SHOWN_EVENTS = 10

WORST_FIRST = ("alarm", "stopped", "warn", "failed", "waiting", "gap", "too_few", "no_data", "none", "ok")
"""How a whole project stands, in one word."""


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


class StateCount(msgspec.Struct, frozen=True):
    """How many projects stand alike; `state` is one of `WORST_FIRST`."""

    state: str
    projects: int


class Status(msgspec.Struct, frozen=True):
    """The installation: what needs a person first, then every stage of the projects that are shown.

    Attributes
    ----------
    needs : tuple of Need
        What a person has to do; `more_needs` more are not listed.
    stages : tuple of StageStatus
        By project: by name if all are shown, else the worst first.
    rest : tuple of StateCount
        The projects that are not shown, the worst first.
    """

    needs: tuple[Need, ...]
    stages: tuple[StageStatus, ...]
    more_needs: int = 0
    rest: tuple[StateCount, ...] = ()


def status(
    tx: Transaction,
    project: str | None = None,
    *,
    limit: int | None = SHOWN_PROJECTS,
    seen: Callable[[str], bool] = lambda _: True,
) -> Status:
    """Tell where every stage stands, of one project or of all.

    Parameters
    ----------
    limit : int or None
        At most so many projects are shown: those that need a person, then those with something wrong, the worst first. None shows
        all, and all that needs a person.
    seen : callable
        Whether whoever asks may see a project, and "" for what belongs to none; what they may not see is not counted either.

    Raises
    ------
    NotFound
        If the named project is not known.
    """
    names = [name for name in project_names(tx) if seen(name)] if project is None else [get_project(tx, project).name]
    known = set(names)
    waiting = [found.version for found in registry.summary.waiting(tx, project) if found.version.project in known]
    found = _needs(tx, names, project, waiting) + (_stuck(tx) if seen("") else [])
    needs, more = _most_urgent(found, None if limit is None else max(limit, SHOWN_NEEDS))
    if limit is None or len(names) <= limit:
        return Status(needs, _stages(tx, names), more)
    words = _words(tx, names, waiting)
    asking = {need.project for _, need in found}
    order = sorted(names, key=lambda name: (name not in asking, WORST_FIRST.index(words[name]), name))
    counts = Counter(words[name] for name in order[limit:])
    rest = tuple(StateCount(word, counts[word]) for word in WORST_FIRST if counts[word])
    return Status(needs, _stages(tx, order[:limit]), more, rest)


def _needs(tx: Transaction, names: Sequence[str], project: str | None, waiting: Sequence[Version]) -> list[tuple[int, Need]]:
    """Return what needs a person, by project, each with how urgent it is: smaller is sooner."""
    known = set(names)
    firing = [
        (3 - line.severity.level, Need(line.deployment, f"alert: {line.summary}", f"perenne alert acknowledge {line.id}"))
        for line in monitoring.summary.open_lines(tx, None if project is None else [project])
        if line.fired is not None and not line.acknowledged_by and line.deployment in known
    ]
    return sorted([(1, _approval(version)) for version in waiting] + firing, key=lambda found: found[1].project)


def _stuck(tx: Transaction) -> list[tuple[int, Need]]:
    """Tell which events could not be delivered: they hold up no other, but what should have followed has not happened."""
    return [
        (1, Need("", f"event {event.id} ({event.name}) was set aside: {event.error}", f"perenne event retry {event.id}"))
        for event in outbox.events(tx, state="set_aside", limit=SHOWN_EVENTS)
    ]


def _approval(version: Version) -> Need:
    what = f"{version.id} waits for approval by {version.policy.approve_by}"
    return Need(version.project, what, f"perenne model approve {version.id}")


def _most_urgent(found: Sequence[tuple[int, Need]], limit: int | None) -> tuple[tuple[Need, ...], int]:
    """Return all in their order if they are few, else the most urgent, and how many more there are."""
    if limit is None or len(found) <= limit:
        return tuple(need for _, need in found), 0
    urgent = sorted(found, key=lambda item: item[0])[:limit]
    return tuple(need for _, need in urgent), len(found) - limit


def _words(tx: Transaction, names: Sequence[str], waiting: Iterable[Version]) -> dict[str, str]:
    """Say in a word how each project stands: the worst that is known of it."""
    watched, stopped = monitoring.summary.states(tx), serving.service.stopped(tx)
    failed = tracking.summary.newest_failed(tx, names)
    approving = {version.project for version in waiting}

    def word(name: str) -> str:
        state = watched.get(name, "none")
        if state == "alarm":
            return state
        if name in stopped:
            return "stopped"
        if state == "warn":
            return state
        return "failed" if name in failed else "waiting" if name in approving else state

    return {name: word(name) for name in names}


@dataclass(frozen=True)
class _Page:
    """What every domain knows about the projects that are shown."""

    projects: Mapping[str, ProjectRecord]
    newest: Mapping[str, Dossier]
    runs: Mapping[str, Run]
    deployments: Mapping[str, Deployment]
    watched: Mapping[str, monitoring.summary.Summary]
    episodes: Mapping[str, Episode]


def _stages(tx: Transaction, names: Sequence[str]) -> tuple[StageStatus, ...]:
    page = _Page(
        {record.name: record for record in list_projects(tx, names)},
        registry.summary.newest(tx, names),
        tracking.summary.newest_runs(tx, names),
        serving.service.named(tx, names),
        monitoring.summary.summaries(tx, names),
        store.newest_of(tx, names),
    )
    return tuple(stage for name in names for stage in _stages_of(page, name))


def _stages_of(page: _Page, name: str) -> list[StageStatus]:
    project, newest, run = page.projects[name], page.newest.get(name), page.runs.get(name)
    bounds = f"{len(project.objectives)} objectives, {len(project.guardrails)} guardrails"
    found = [
        (Stage.ORIGINATE, "stated", f"{project.problem} ({bounds}; owner {project.owner})"),
        (Stage.DATA, "ready" if newest else "none", f"snapshot {newest.version.snapshot[:12]}" if newest else "no snapshot yet"),
        (Stage.TRAIN, run.state.value if run else "none", run.outcome if run else "`perenne run` does the first round"),
        (Stage.REVIEW, *_review(newest)),
        (Stage.SERVE, *_serving(page.deployments.get(name))),
        (Stage.MONITOR, *_monitoring(page.watched.get(name))),
        (Stage.RETRAIN, *_retraining(page.episodes.get(name))),
    ]
    return [StageStatus(name, stage.value, state, detail) for stage, state, detail in found]


def _review(newest: Dossier | None) -> tuple[str, str]:
    if newest is None:
        return "none", "no version yet"
    return newest.gate.state.value, f"{newest.version.id}: {'; '.join(newest.gate.reasons) or 'every check passed'}"


def _serving(deployment: Deployment | None) -> tuple[str, str]:
    if deployment is None:
        return "none", "nothing is deployed; `perenne up` serves a version whose gate is open"
    if deployment.stop is not None:
        return "stopped", f"{deployment.stop.mode.value} answers: {deployment.stop.reason}"
    beside = "".join(f", {variant.version} in shadow" for variant in deployment.challengers)
    return "serving", f"{deployment.champion.version}{beside}"


def _monitoring(found: monitoring.summary.Summary | None) -> tuple[str, str]:
    if found is None:
        return "none", "nothing is watched"
    newest = found.newest
    if newest is None:
        return found.state, "no window has ended yet"
    causes = "; ".join(cause.sentence for cause in newest.causes[:2] if cause.state == "alarm")
    return found.state, f"window from {format_time(newest.window_start)}: {newest.rows} rows{'; ' + causes if causes else ''}"


def _retraining(episode: Episode | None) -> tuple[str, str]:
    if episode is None:
        return "none", "no episode yet"
    state = "open" if episode.open else "settled" if episode.state is EpisodeState.SETTLED else "closed"
    return state, f"{episode.state.value}: {episode.note}"
