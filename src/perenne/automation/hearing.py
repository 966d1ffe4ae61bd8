"""Hearing signals: which triggers of a policy they speak for, what has to come together first, and what becomes of it."""

from collections.abc import Iterator
from typing import NamedTuple

from perenne import monitoring
from perenne.auth.principals import policy_principal
from perenne.automation import store
from perenne.automation.deciding import Signal, complete, matching, speaks_for
from perenne.automation.episodes import open_episode
from perenne.automation.harm import drift_signal, drifted_in
from perenne.automation.model import Episode
from perenne.monitoring import AlertLine
from perenne.projects import AllOf, Drift, NewData, ProjectRecord, RetrainPolicy, Trigger
from perenne.storage.database import Transaction


class Heard(NamedTuple):
    """A signal with its evidence in words, the alert behind it if there is one, and since when it holds, if that is known."""

    signal: Signal
    cause: str
    alert: str = ""
    since: int = 0


class Due(NamedTuple):
    """A trigger that holds, and what was heard."""

    trigger: Trigger
    heard: Heard


def hear(tx: Transaction, project: ProjectRecord, champion: str, heard: Heard, now: int) -> Episode | None:
    """Open an episode if a signal is what the policy waits for; note it if it is a part only; return what was opened."""
    opened = None
    for on, part in matching(project.policy or RetrainPolicy(on=()), heard.signal):
        if isinstance(on, AllOf):
            store.insert_trigger(tx, project.name, None, part, heard.cause, "noted", now)
            parts = held_parts(tx, project, champion, on, now) | {part: now}
            if not complete(on, parts, now):
                continue
        opened = begin(tx, project, champion, Due(on, heard), now) or opened
    return opened


def begin(tx: Transaction, project: ProjectRecord, champion: str, due: Due, now: int) -> Episode | None:
    """Open an episode, or keep the trigger with the open one or for the record."""
    assert project.policy is not None
    actor = policy_principal(project.name, project.owner)
    found = due.heard
    return open_episode(
        tx, actor, project.name, project.policy, due.trigger, found.cause, champion=champion, now=now, alert=found.alert,
        since=found.since, source=project.source,
    )  # fmt: skip


def lasting_trigger(tx: Transaction, project: ProjectRecord, champion: str, now: int) -> Due | None:
    """Return the first trigger of a policy that holds by what lasts: alerts that fire, rows and versions that have gathered."""
    policy = project.policy or RetrainPolicy(on=())
    lasting = list(signals(tx, project, champion))
    for heard in lasting:
        for on, _ in matching(policy, heard.signal):
            if not isinstance(on, AllOf):
                return Due(on, heard)
            if complete(on, held_parts(tx, project, champion, on, now), now):
                return Due(on, heard)
    return None


def held_parts(tx: Transaction, project: ProjectRecord, champion: str, on: AllOf, now: int) -> dict[Trigger, int]:
    """Tell when each part of a trigger was heard last: noted since the last episode was opened, or now if it lasts."""
    last = store.newest_of(tx, [project.name]).get(project.name)
    heard: dict[Trigger, int] = store.noted_since(tx, project.name, last.opened if last else 0)
    for found in signals(tx, project, champion):
        heard.update({part: now for part in on.triggers if speaks_for(part, found.signal)})
    return heard


def signals(tx: Transaction, project: ProjectRecord, champion: str) -> Iterator[Heard]:
    """Go through what lasts: the champion's alerts that fire, the rows labelled, and the versions that have arrived."""
    parts = list(parts_of(project))
    windows = max((part.windows for part in parts if isinstance(part, Drift)), default=1)
    for line in monitoring.summary.open_lines(tx, [project.name]):
        if line.version == champion and line.fired is not None and (signal := _signal(tx, project, line, windows)):
            yield Heard(signal, f"still: {line.summary}", line.id, line.fired)
    if any(isinstance(part, NewData) and part.rows for part in parts):
        rows = monitoring.tallies.labelled_rows(tx, project.name, champion)
        yield Heard(Signal(kind="rows", count=rows), f"{rows} labelled rows since {champion} was put in service")
    if any(isinstance(part, NewData) and part.versions for part in parts):
        for dataset, count in arrived(tx, project.name).items():
            of = f" of {dataset}" if dataset else ""
            words = f"{count} new versions{of} since the last retraining"
            yield Heard(Signal(kind="versions", name=dataset, count=count), words)


def arrived(tx: Transaction, project: str) -> dict[str, int]:
    """Count the versions of data that have arrived since the last episode was opened: in all (no name), and by data set."""
    last = store.newest_of(tx, [project]).get(project)
    found = store.arrivals_since(tx, project, last.opened if last else 0)
    return {"": sum(found.values()), **found} if found else {}


def parts_of(project: ProjectRecord) -> Iterator[Trigger]:
    """Go through the triggers of a project's policy, each alone."""
    for on in project.policy.on if project.policy else ():
        yield from on.triggers if isinstance(on, AllOf) else (on,)


def _signal(tx: Transaction, project: ProjectRecord, line: AlertLine, windows: int) -> Signal | None:
    """Read an alert that fires as a signal; None if no trigger waits for its kind."""
    kind, _, rest = line.rule.partition(":")
    if kind == "drift":
        newest = monitoring.summary.champion_verdicts(tx, project.name, windows)
        features = next((names for verdict in newest if (names := drifted_in(verdict))), ("inputs",))
        return drift_signal(tx, project.name, line.version, features, windows)
    if kind == "objective":
        return Signal(kind="missed", name=rest.partition(":")[0].split(" by ")[0])
    return Signal(kind="concept", name=rest.partition(":")[0]) if kind == "concept" else None
