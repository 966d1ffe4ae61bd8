"""Triggers that nobody announces: the calendar, and labelled rows that have gathered since the champion was trained."""

from perenne import monitoring, registry
from perenne.auth.principals import policy_principal
from perenne.automation import store
from perenne.automation.episodes import open_episode
from perenne.core.clock import format_time
from perenne.projects import Cron, NewData, ProjectRecord, RetrainPolicy
from perenne.projects.calendar import next_time
from perenne.projects.service import projects
from perenne.registry import Version
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def trigger_scheduled(workspace: Workspace) -> int:
    """Open the episodes whose time or number of rows has come, and return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        candidates = [project for project in projects(tx) if _has_schedule(project.policy)]
    return sum(workspace.database.write(lambda tx, project=project: _look(tx, project, now)) for project in candidates)  # type: ignore[misc]


def _has_schedule(policy: RetrainPolicy | None) -> bool:
    return policy is not None and any(isinstance(trigger, Cron | NewData) for trigger in policy.on)


def _look(tx: Transaction, project: ProjectRecord, now: int) -> int:
    champion = registry.aliased(tx, project.name, "champion")
    if champion is None or project.policy is None:
        return 0
    opened = 0
    for trigger in project.policy.on:
        cause = ""
        if isinstance(trigger, Cron):
            cause = _due(tx, project, trigger, now)
        elif isinstance(trigger, NewData):
            cause = _gathered(tx, project, trigger, champion)
        if cause:
            actor = policy_principal(project.name, project.owner)
            found = open_episode(tx, actor, project.name, project.policy, trigger, cause, champion=champion.id, now=now)
            opened += found is not None
    return opened


def _due(tx: Transaction, project: ProjectRecord, trigger: Cron, now: int) -> str:
    """Fire once for any number of missed times: only the newest one since the last firing counts."""
    last = store.last_trigger(tx, project.name, trigger)
    time = next_time(trigger.expression, project.updated if last is None else last)
    return f"the calendar {trigger.expression}, due {format_time(time)}" if time is not None and time <= now else ""


def _gathered(tx: Transaction, project: ProjectRecord, trigger: NewData, champion: Version) -> str:
    rows = monitoring.labelled_rows(tx, project.name, champion.id)
    return f"{rows} labelled rows since {champion.id} was put in service" if rows >= trigger.rows else ""
