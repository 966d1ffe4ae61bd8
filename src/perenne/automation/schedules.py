"""Triggers that nobody announces: the calendar, labelled rows that have gathered, and alerts that still fire after a rest."""

from perenne import monitoring, registry
from perenne.auth.principals import policy_principal
from perenne.automation import store
from perenne.automation.episodes import open_episode
from perenne.core.clock import format_time
from perenne.monitoring import Alert
from perenne.projects import Cron, Drift, Manual, Missed, NewData, ProjectRecord, Trigger, list_projects
from perenne.registry import Version
from perenne.storage import schedules
from perenne.storage.database import Transaction
from perenne.storage.schedules import Schedule
from perenne.storage.workspace import Workspace


def trigger_scheduled(workspace: Workspace) -> int:
    """Open the episodes that are due without anybody announcing it, and return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        projects = {project.name: project for project in list_projects(tx) if project.policy is not None}
        stale = _stale_calendars(tx, projects)
        due = [project for project in projects.values() if _cause(tx, project, now)]
    if stale:
        workspace.database.write(lambda tx: _keep_calendars(tx, projects))
    with workspace.database.read() as tx:
        times = schedules.due_schedules(tx, now, _PREFIX)
    opened = sum(workspace.database.write(lambda tx, time=time: _fire(tx, projects, time, now)) for time in times)  # type: ignore[misc]
    return opened + sum(workspace.database.write(lambda tx, project=project: _open(tx, project, now)) for project in due)  # type: ignore[misc]


_PREFIX = "policy/"


def _calendars(projects: dict[str, ProjectRecord]) -> dict[str, tuple[ProjectRecord, Cron]]:
    """Name the calendars of all policies: each is a schedule."""
    return {
        f"{_PREFIX}{project.name}/{trigger.zone}/{trigger.expression}": (project, trigger)
        for project in projects.values()
        if project.policy is not None
        for trigger in project.policy.on
        if isinstance(trigger, Cron)
    }


def _stale_calendars(tx: Transaction, projects: dict[str, ProjectRecord]) -> bool:
    return {schedule.name for schedule in schedules.schedules(tx, _PREFIX)} != set(_calendars(projects))


def _keep_calendars(tx: Transaction, projects: dict[str, ProjectRecord]) -> None:
    """Have one schedule for each calendar of a policy; a new one counts from its last firing, or from when it was stated."""
    wanted = _calendars(projects)
    for name in {schedule.name for schedule in schedules.schedules(tx, _PREFIX)} - set(wanted):
        schedules.drop_schedule(tx, name)
    for name, (project, trigger) in wanted.items():
        last = store.last_trigger(tx, project.name, trigger)
        after = project.updated if last is None else last
        schedules.keep_schedule(tx, name, trigger.expression, trigger.zone, after=after)


def _fire(tx: Transaction, projects: dict[str, ProjectRecord], time: Schedule, now: int) -> int:
    """Open an episode because its time has come: once for any number of missed times, and by one of several loops."""
    project, trigger = _calendars(projects).get(time.name, (None, None))
    if project is None or trigger is None or project.policy is None or time.due is None:
        return 0
    champion = registry.aliased(tx, project.name, "champion")
    if champion is None or not schedules.fire(tx, time, now):
        return 0
    actor = policy_principal(project.name, project.owner)
    place = "" if trigger.zone == "UTC" else f" in {trigger.zone}"
    cause = f"the calendar {trigger.expression}{place}, due {format_time(time.due)}"
    opened = open_episode(tx, actor, project.name, project.policy, trigger, cause, champion=champion.id, now=now)
    return int(opened is not None)


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
            case NewData() if free:
                cause = _gathered(tx, project, trigger, champion)
            case Drift() | Missed() if free:
                cause = _held(tx, project, trigger, champion)
            case Cron() | Manual() | NewData() | Drift() | Missed():
                continue
        if cause:
            return trigger, cause
    return None


def _is_free(tx: Transaction, project: str, now: int) -> bool:
    last = next(iter(store.newest(tx, project, 1)), None)
    return last is None or (not last.open and now >= last.rest_until)


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
