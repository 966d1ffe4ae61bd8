"""Triggers that nobody announces: the calendar, labelled rows that have gathered, and alerts that still fire after a rest."""

from perenne import monitoring, registry
from perenne.auth.principals import policy_principal
from perenne.automation import store
from perenne.automation.episodes import open_episode
from perenne.core.clock import format_time
from perenne.monitoring import Alert
from perenne.projects import Cron, Drift, Manual, Missed, NewData, ProjectRecord, Trigger, list_projects, next_time
from perenne.registry import Version
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def trigger_scheduled(workspace: Workspace) -> int:
    """Open the episodes that are due without anybody announcing it, and return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        due = [project for project in list_projects(tx) if project.policy is not None and _cause(tx, project, now)]
    return sum(workspace.database.write(lambda tx, project=project: _open(tx, project, now)) for project in due)  # type: ignore[misc]


def _open(tx: Transaction, project: ProjectRecord, now: int) -> int:
    found = _cause(tx, project, now)
    champion = registry.aliased(tx, project.name, "champion")
    if found is None or champion is None or project.policy is None:
        return 0
    trigger, cause = found
    actor = policy_principal(project.name, project.owner)
    opened = open_episode(tx, actor, project.name, project.policy, trigger, cause, champion=champion.id, now=now)
    return int(opened is not None)


def _cause(tx: Transaction, project: ProjectRecord, now: int) -> tuple[Trigger, str] | None:
    """Return the first trigger of the policy that is due, and why; a state that lasts counts only while nothing is going on."""
    champion = registry.aliased(tx, project.name, "champion")
    if champion is None or project.policy is None:
        return None
    free = _is_free(tx, project.name, now)
    for trigger in project.policy.on:
        cause = ""
        match trigger:
            case Cron():
                cause = _due(tx, project, trigger, now)
            case NewData() if free:
                cause = _gathered(tx, project, trigger, champion)
            case Drift() | Missed() if free:
                cause = _held(tx, project, trigger, champion)
            case Manual() | NewData() | Drift() | Missed():
                continue
        if cause:
            return trigger, cause
    return None


def _is_free(tx: Transaction, project: str, now: int) -> bool:
    last = next(iter(store.newest(tx, project, 1)), None)
    return last is None or (not last.open and now >= last.rest_until)


def _due(tx: Transaction, project: ProjectRecord, trigger: Cron, now: int) -> str:
    """Fire once for any number of missed times: only the first one since the last firing counts."""
    last = store.last_trigger(tx, project.name, trigger)
    time = next_time(trigger.expression, project.updated if last is None else last)
    return f"the calendar {trigger.expression}, due {format_time(time)}" if time is not None and time <= now else ""


def _gathered(tx: Transaction, project: ProjectRecord, trigger: NewData, champion: Version) -> str:
    rows = monitoring.tallies.labelled_rows(tx, project.name, champion.id)
    return f"{rows} labelled rows since {champion.id} was put in service" if rows >= trigger.rows else ""


def _held(tx: Transaction, project: ProjectRecord, trigger: Drift | Missed, champion: Version) -> str:
    """Tell which alert still fires after the rest: what was refused once is tried again with newer data."""
    for alert in monitoring.open_alerts(tx, project.name):
        if alert.version == champion.id and alert.fired is not None and _speaks_of(alert, trigger):
            return f"still: {alert.summary}"
    return ""


def _speaks_of(alert: Alert, trigger: Drift | Missed) -> bool:
    if isinstance(trigger, Drift):
        return alert.rule == "drift"
    return alert.rule.startswith(f"objective:{trigger.metric}")
