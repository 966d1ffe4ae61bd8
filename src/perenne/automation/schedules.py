"""Triggers that nobody announces: the calendar, labelled rows that have gathered, and alerts that still fire after a rest."""

from collections.abc import Sequence

from perenne import monitoring, registry
from perenne.auth.principals import policy_principal
from perenne.automation import store
from perenne.automation.episodes import open_episode
from perenne.automation.model import Episode
from perenne.core.clock import format_time
from perenne.monitoring import AlertLine
from perenne.projects import Cron, Drift, Manual, Missed, NewData, ProjectRecord, Trigger, list_projects, project_names
from perenne.registry import Version
from perenne.storage import schedules
from perenne.storage.database import Transaction
from perenne.storage.schedules import Schedule
from perenne.storage.workspace import Workspace


class PolicyMemory:
    """The projects that have a policy: each is read again only when it changed, for the loop asks twice a second."""

    def __init__(self) -> None:
        self._changed: dict[str, int] = {}
        self._projects: dict[str, ProjectRecord] = {}

    def read(self, tx: Transaction) -> dict[str, ProjectRecord]:
        """Return the projects that have a policy, by name."""
        changed = project_names(tx)
        stale = [name for name, time in changed.items() if self._changed.get(name) != time]
        fresh = {project.name: project for project in list_projects(tx, stale)} if stale else {}
        known = self._projects | fresh
        self._projects = {name: known[name] for name in changed}
        self._changed = changed
        return {name: project for name, project in self._projects.items() if project.policy is not None}


def trigger_scheduled(workspace: Workspace, policies: PolicyMemory | None = None) -> int:
    """Open the episodes that are due without anybody announcing it, and return how many."""
    now = workspace.clock.now()
    with workspace.database.read() as tx:
        projects = (policies or PolicyMemory()).read(tx)
        stale = _stale_calendars(tx, projects)
        due = [projects[name] for name in _candidates(tx, projects, now) if _cause(tx, projects[name], now)]
    if stale:
        workspace.database.write(lambda tx: _keep_calendars(tx, projects))
    with workspace.database.read() as tx:
        times = schedules.due_schedules(tx, now, _PREFIX)
    opened = sum(workspace.database.write(lambda tx, time=time: _fire(tx, projects, time, now)) for time in times)  # type: ignore[misc]
    return opened + sum(workspace.database.write(lambda tx, project=project: _open(tx, project, now)) for project in due)  # type: ignore[misc]


_PREFIX = "policy/"


def _candidates(tx: Transaction, projects: dict[str, ProjectRecord], now: int) -> list[str]:
    """Name the projects of which some state that lasts may be due: asked once for all, so that an idle turn costs little."""
    firing: dict[str, list[AlertLine]] = {}
    for line in monitoring.summary.open_lines(tx):
        if line.fired is not None:
            firing.setdefault(line.deployment, []).append(line)
    alarmed = {name for name, lines in firing.items() if name in projects and _may_speak(projects[name], lines)}
    gathering = {name for name, project in projects.items() if _gathers(project)}
    last = store.newest_of(tx, alarmed | gathering) if alarmed | gathering else {}
    free = {name for name in alarmed | gathering if _is_free(last.get(name), now)}
    rows = monitoring.tallies.most_labelled(tx, gathering & free) if gathering & free else {}
    return sorted(name for name in free if name in alarmed or rows.get(name, 0) >= _gathers(projects[name]))


def _may_speak(project: ProjectRecord, lines: Sequence[AlertLine]) -> bool:
    """Tell whether one of a project's firing alerts is one that its policy retrains on."""
    triggers = [trigger for trigger in project.policy.on if isinstance(trigger, Drift | Missed)] if project.policy else []
    return any(_speaks_of(line, trigger) for line in lines for trigger in triggers)


def _gathers(project: ProjectRecord) -> int:
    """Return how many labelled rows the policy waits for, the fewest if it says so twice; 0 if it does not."""
    return (
        min((trigger.rows for trigger in project.policy.on if isinstance(trigger, NewData)), default=0) if project.policy else 0
    )


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
    champion = registry.placing.aliased(tx, project.name, "champion")
    if champion is None or not schedules.fire(tx, time, now):
        return 0
    actor = policy_principal(project.name, project.owner)
    place = "" if trigger.zone == "UTC" else f" in {trigger.zone}"
    cause = f"the calendar {trigger.expression}{place}, due {format_time(time.due)}"
    opened = open_episode(tx, actor, project.name, project.policy, trigger, cause, champion=champion.id, now=now)
    return int(opened is not None)


def _open(tx: Transaction, project: ProjectRecord, now: int) -> int:
    found = _cause(tx, project, now)
    champion = registry.placing.aliased(tx, project.name, "champion")
    if found is None or champion is None or project.policy is None:
        return 0
    trigger, cause, alert = found
    actor = policy_principal(project.name, project.owner)
    opened = open_episode(tx, actor, project.name, project.policy, trigger, cause, champion=champion.id, now=now, alert=alert)
    return int(opened is not None)


def _cause(tx: Transaction, project: ProjectRecord, now: int) -> tuple[Trigger, str, str] | None:
    """Return the first trigger of the policy that is due, why, and the alert behind it; what lasts counts only while free."""
    champion = registry.placing.aliased(tx, project.name, "champion")
    if champion is None or project.policy is None:
        return None
    free = _is_free(store.newest_of(tx, [project.name]).get(project.name), now)
    for trigger in project.policy.on:
        cause = alert = ""
        match trigger:
            case NewData() if free:
                cause = _gathered(tx, project, trigger, champion)
            case Drift() | Missed() if free:
                cause, alert = _held(tx, project, trigger, champion)
            case Cron() | Manual() | NewData() | Drift() | Missed():
                continue
        if cause:
            return trigger, cause, alert
    return None


def _is_free(last: Episode | None, now: int) -> bool:
    return last is None or (not last.open and now >= last.rest_until)


def _gathered(tx: Transaction, project: ProjectRecord, trigger: NewData, champion: Version) -> str:
    rows = monitoring.tallies.labelled_rows(tx, project.name, champion.id)
    return f"{rows} labelled rows since {champion.id} was put in service" if rows >= trigger.rows else ""


def _held(tx: Transaction, project: ProjectRecord, trigger: Drift | Missed, champion: Version) -> tuple[str, str]:
    """Tell which alert still fires after the rest: what was refused once is tried again with newer data."""
    for alert in monitoring.summary.open_lines(tx, [project.name]):
        if alert.version == champion.id and alert.fired is not None and _speaks_of(alert, trigger):
            return f"still: {alert.summary}", alert.id
    return "", ""


def _speaks_of(alert: AlertLine, trigger: Drift | Missed) -> bool:
    if isinstance(trigger, Drift):
        return alert.rule == "drift"
    return alert.rule.startswith(f"objective:{trigger.metric}")
