"""Triggers that nobody announces: the calendar, data that has gathered, and alerts that still fire after a rest."""

from perenne import monitoring, registry
from perenne.automation import store
from perenne.automation.deciding import Signal
from perenne.automation.hearing import Due, Heard, begin, hear, lasting_trigger, parts_of
from perenne.automation.model import Episode
from perenne.core.clock import format_time
from perenne.projects import Concept, Cron, Drift, Missed, NewData, ProjectRecord, list_projects, project_names
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
        due = [projects[name] for name in _candidates(tx, projects, now) if _due(tx, projects[name], now)]
    if stale:
        workspace.database.write(lambda tx: _keep_calendars(tx, projects))
    with workspace.database.read() as tx:
        times = schedules.due_schedules(tx, now, _PREFIX)
    opened = sum(workspace.database.write(lambda tx, time=time: _fire(tx, projects, time, now)) for time in times)  # type: ignore[misc]
    return opened + sum(workspace.database.write(lambda tx, project=project: _open(tx, project, now)) for project in due)  # type: ignore[misc]


_PREFIX = "policy/"


def _candidates(tx: Transaction, projects: dict[str, ProjectRecord], now: int) -> list[str]:
    """Name the projects of which some state that lasts may be due: asked once for all, so that an idle turn costs little."""
    firing: dict[str, set[str]] = {}
    for line in monitoring.summary.open_lines(tx):
        if line.fired is not None:
            firing.setdefault(line.deployment, set()).add(line.rule.partition(":")[0])
    alarmed = {name for name, kinds in firing.items() if name in projects and not kinds.isdisjoint(_kinds(projects[name]))}
    labelled = {name for name, project in projects.items() if _fewest(project)}
    fed = {name for name, project in projects.items() if any(isinstance(p, NewData) and p.versions for p in parts_of(project))}
    fed = store.gathering(tx, fed) if fed else set()
    last = store.newest_of(tx, alarmed | labelled | fed) if alarmed | labelled | fed else {}
    free = {name for name in alarmed | labelled | fed if _is_free(last.get(name), now)} - set(store.holds(tx))
    rows = monitoring.tallies.most_labelled(tx, labelled & free) if labelled & free else {}
    return sorted(name for name in free if name in alarmed | fed or rows.get(name, 0) >= _fewest(projects[name]) > 0)


_KINDS = {Drift: "drift", Missed: "objective", Concept: "concept"}


def _kinds(project: ProjectRecord) -> set[str]:
    """Name the kinds of alert that a policy retrains on."""
    return {kind for part in parts_of(project) if (kind := _KINDS.get(type(part))) is not None}


def _fewest(project: ProjectRecord) -> int:
    """Return how many labelled rows the policy waits for, the fewest if it says so twice; 0 if it does not."""
    return min((part.rows for part in parts_of(project) if isinstance(part, NewData) and part.rows), default=0)


def _calendars(projects: dict[str, ProjectRecord]) -> dict[str, tuple[ProjectRecord, Cron]]:
    """Name the calendars of all policies: each is a schedule."""
    return {
        f"{_PREFIX}{project.name}/{trigger.zone}/{trigger.expression}": (project, trigger)
        for project in projects.values()
        for trigger in parts_of(project)
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
    place = "" if trigger.zone == "UTC" else f" in {trigger.zone}"
    cause = f"the calendar {trigger.expression}{place}, due {format_time(time.due)}"
    signal = Signal(kind="cron", name=f"{trigger.zone}/{trigger.expression}")
    return int(hear(tx, project, champion.id, Heard(signal, cause), now) is not None)


def _open(tx: Transaction, project: ProjectRecord, now: int) -> int:
    found = _due(tx, project, now)
    champion = registry.placing.aliased(tx, project.name, "champion")
    if found is None or champion is None:
        return 0
    return int(begin(tx, project, champion.id, found, now) is not None)


def _due(tx: Transaction, project: ProjectRecord, now: int) -> Due | None:
    """Return the first trigger of the policy that is due, and why; what lasts counts only while the policy is free."""
    champion = registry.placing.aliased(tx, project.name, "champion")
    if champion is None or not _is_free(store.newest_of(tx, [project.name]).get(project.name), now):
        return None
    return lasting_trigger(tx, project, champion.id, now)


def _is_free(last: Episode | None, now: int) -> bool:
    return last is None or (not last.open and now >= last.rest_until)
